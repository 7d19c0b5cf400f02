{{/* An image of a pod: repository:tag, or repository@digest. */}}
{{- define "meshmeter.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{/* The host of the collector's Service. */}}
{{- define "meshmeter.collectorHost" -}}
meshmeter-collector.{{ .Values.collector.namespace }}.svc.cluster.local
{{- end }}

{{/* The namespace where the plugin runs. */}}
{{- define "meshmeter.namespace" -}}
{{- get (dict "egress-gateway" .Values.gateway.namespace "waypoint" .Values.waypoint.namespace "sidecar-server" .Values.server.namespace "sidecar-client" .Values.client.namespace "none" "") .Values.placement }}
{{- end }}

{{/* The service account of those proxies, and so their identity. */}}
{{- define "meshmeter.serviceAccount" -}}
{{- get (dict "egress-gateway" .Values.gateway.serviceAccount "waypoint" .Values.waypoint.name "sidecar-server" .Values.server.name "sidecar-client" .Values.client.serviceAccount) .Values.placement }}
{{- end }}

{{/* How a WasmPlugin, a TrafficExtension or a Telemetry finds the proxies. */}}
{{- define "meshmeter.selector" -}}
{{- if eq .Values.placement "waypoint" -}}
targetRefs:
- group: gateway.networking.k8s.io
  kind: Gateway
  name: {{ .Values.waypoint.name }}
{{- else -}}
selector:
  matchLabels:
    {{- if eq .Values.placement "egress-gateway" }}
    istio: egressgateway
    {{- else if eq .Values.placement "sidecar-server" }}
    app: {{ .Values.server.name }}
    {{- else }}
    app: {{ .Values.client.name }}
    {{- end }}
{{- end }}
{{- end }}

{{/* What the proxies themselves must know: labels of metrics, how the journal is written, the drain. */}}
{{- define "meshmeter.proxyConfig" -}}
# The labels of meshmeter's metrics. Without an entry here a label stays a part of the metric's name.
extraStatTags:
- tenant
- gen_ai_provider_name
- gen_ai_response_model
- gen_ai_operation_name
- gen_ai_token_type
- meshmeter_outcome
- meshmeter_evidence
- meshmeter_reason
- meshmeter_budget
# The journal (telemetry.yaml) keeps what has left the proxy when it is killed: a line longer than 1 KiB is
# written at once, a shorter one within 10 ms. Istio's own setting is 64 KiB and a second.
fileFlushMinSizeKb: 1
fileFlushInterval: 0.01s
# A stream that is being billed may end in its own time.
terminationDrainDuration: 300s
{{- end }}

{{/* The bounds of the histograms' buckets, in milliseconds and in tokens: those that OpenTelemetry's conventions for generative
AI advise. By the beginning of the name within Envoy. */}}
{{- define "meshmeter.histogramBuckets" -}}
{
  "wasmcustom.gen_ai_client_operation_duration_milliseconds": [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 81920, 163840, 327680, 655360],
  "wasmcustom.gen_ai_server_time_to_first_token_milliseconds": [5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000, 30000, 60000],
  "wasmcustom.gen_ai_server_time_per_output_token_milliseconds": [1, 5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500],
  "wasmcustom.gen_ai_client_token_usage": [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]
}
{{- end }}

{{/* The ports of a NetworkPolicy towards Istio and the collector, and DNS. */}}
{{- define "meshmeter.meshEgress" -}}
- to:
  - namespaceSelector: {}
  # NodeLocal DNSCache: an address of the node, not of a pod.
  - ipBlock:
      cidr: 169.254.20.10/32
  ports:
  - { port: 53, protocol: UDP }
  - { port: 53, protocol: TCP }
# istiod: certificates and configuration.
- to:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: istio-system
  ports:
  - { port: 15012, protocol: TCP }
{{- end }}

{{- define "meshmeter.toCollector" -}}
- to:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ .Values.collector.namespace }}
    podSelector:
      matchLabels:
        app.kubernetes.io/name: meshmeter-collector
  ports:
  - { port: 8080, protocol: TCP }
{{- end }}

{{/* Prometheus may scrape: `include "meshmeter.scraped" (list . PORT...)`. */}}
{{- define "meshmeter.scraped" -}}
{{- $root := first . -}}
- from:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ $root.Values.monitoring.namespace }}
  ports:
  {{- range rest . }}
  - { port: {{ . }}, protocol: TCP }
  {{- end }}
{{- end }}

{{/* What every pod of meshmeter's own image has. */}}
{{- define "meshmeter.restricted" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{/* Grew in the time WINDOW: `include "meshmeter.grew" (list METRIC LABELS WINDOW)`. A counter that begins with its first
increment is new, and to increase() a new series has not grown. */}}
{{- define "meshmeter.grew" -}}
{{- $all := printf "%s{%s}" (index . 0) (index . 1) -}}
{{- $window := index . 2 -}}
(increase({{ $all }}[{{ $window }}]) > 0 or ({{ $all }} unless {{ $all }} offset {{ $window }}) > 0)
{{- end }}
