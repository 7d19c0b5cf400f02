{{/* The part that a WasmPlugin has in its spec, and a TrafficExtension in spec.wasm. */}}
{{- define "meshmeter.wasm" -}}
{{- $image := .Values.plugin.image -}}
# An image whose last layer holds plugin.wasm; by digest (@sha256:...), what meters is what was reviewed.
url: oci://{{ include "meshmeter.image" $image }}
{{- with .Values.plugin.imagePullSecret }}
imagePullSecret: {{ . | toYaml }}
{{- end }}
# Metering must not take traffic down: if the plugin cannot be pulled, or fails, calls go on, unmetered, and an
# alert says so. README.md ("If the plugin cannot run") weighs it against FAIL_RELOAD.
failStrategy: {{ .Values.plugin.failStrategy }}
vmConfig:
  env:
  # From the proxy's environment, which has it from a Secret: so the token stands in no resource.
  - name: MESHMETER_INGEST_TOKEN
    valueFrom: HOST
# Checked offline by `meshmeter check`; a wrong one is refused by the proxy, which keeps the one before.
pluginConfig:
  {{- include "meshmeter.pluginConfig" . | nindent 2 }}
{{- end }}

{{/* The placement's configuration, with that of the values laid over it: keys of maps one by one, lists as a whole. */}}
{{- define "meshmeter.pluginConfig" -}}
{{- if .Values.plugin.config -}}
{{- $whole := mergeOverwrite (include "meshmeter.placementConfig" . | fromYaml) (deepCopy .Values.plugin.config) -}}
{{- if .Values.plugin.shadow -}}
{{- /* Whatever the values say: what asks, and what refuses, is off. */ -}}
{{- $whole = omit $whole "budgets" -}}
{{- $whole = mergeOverwrite $whole (dict "include_usage" false "include_usage_else" "pass") -}}
{{- end -}}
{{ toYaml $whole }}
{{- else -}}
{{ include "meshmeter.placementConfig" . }}
{{- end -}}
{{- end }}

{{- define "meshmeter.placementConfig" -}}
collector:
  # Istio's name for port 8080 of the collector's Service.
  cluster: outbound|8080||{{ include "meshmeter.collectorHost" . }}
  authority: {{ include "meshmeter.collectorHost" . | toYaml }}
  path: /v1/events
  token_env: MESHMETER_INGEST_TOKEN
{{- if not .Values.plugin.shadow }}
# Budgets refuse nothing without this key (docs/budgets.md).
# budgets: {}
{{- end }}
# Who pays: the first source that shows anything; what names nobody makes the tenant `invalid`.
tenant:
{{- if eq .Values.placement "sidecar-client" }}
# A caller's own sidecar has no certificate of the caller to look at, so the application says who pays. The collector
# believes it within the limits of this namespace's token (README.md): `tenants={{ .Values.client.namespace }}`.
- from: header
  name: x-tenant-id
  trusted: true
{{- else }}
# A claim of a token that Istio has verified (jwt/). `payload` is the key under which Istio's RequestAuthentication
# leaves the claims. Without a token the next source decides.
- from: jwt
  claim: tenant
  payload_key: payload
# The namespace in the caller's certificate: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT. Only the proxy's own trust
# domain counts; `trust_domains` names others. Both sources are proven; no header is trusted.
- from: spiffe
  take: namespace
{{- end }}
{{- if eq .Values.placement "sidecar-server" }}
providers:
# Istio's name for the model's own port. Streams are asked for their usage, which vLLM reports.
- cluster: inbound|{{ .Values.server.port }}||
  provider: {{ .Values.server.provider | toYaml }}
  include_usage: true
{{- end }}
{{- if .Values.plugin.shadow }}
# The plugin reads: it changes nothing, and refuses nothing.
include_usage: false
include_usage_else: pass
{{- end }}
{{- end }}
