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

{{/* The label of a namespace by which Istio's injector finds its pods: that of one control plane, or of a revision. */}}
{{- define "meshmeter.injection" -}}
{{- if .Values.revision }}istio.io/rev: {{ .Values.revision | toYaml }}{{ else }}istio-injection: enabled{{ end }}
{{- end }}

{{/* How a WasmPlugin, a TrafficExtension or a Telemetry finds the proxies. */}}
{{- define "meshmeter.selector" -}}
{{- if eq .Values.placement "waypoint" -}}
targetRefs:
- group: gateway.networking.k8s.io
  kind: Gateway
  name: {{ .Values.waypoint.name | toYaml }}
{{- else -}}
selector:
  matchLabels:
    {{- if eq .Values.placement "egress-gateway" }}
    istio: {{ .Values.gateway.label | toYaml }}
    {{- else if eq .Values.placement "sidecar-server" }}
    app: {{ .Values.server.name | toYaml }}
    {{- else }}
    app: {{ .Values.client.name | toYaml }}
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
- meshmeter_status
- meshmeter_reason
- meshmeter_budget
- meshmeter_version
# The journal (telemetry.yaml) keeps what has left the proxy when it is killed: a line longer than 1 KiB is
# written at once, a shorter one within 10 ms. Istio's own setting is 64 KiB and a second.
fileFlushMinSizeKb: 1
fileFlushInterval: 0.01s
# A stream that is being billed may end in its own time.
terminationDrainDuration: 300s
{{- end }}

{{/* The bounds of the histograms' buckets, in milliseconds and in tokens: those that OpenTelemetry's conventions for generative
AI advise, with two more between each of them from 0.64 s to 41 s, so that a quantile there is right to a quarter. By the
beginning of the name within Envoy. envoy/envoy.yaml and envoy/gateway/gateway.yaml have the same. */}}
{{- define "meshmeter.histogramBuckets" -}}
{
  "wasmcustom.gen_ai_client_inference_duration_milliseconds": [10, 20, 40, 80, 160, 320, 640, 800, 1000, 1280, 1600, 2000, 2560, 3200, 4000, 5120, 6400, 8000, 10240, 12800, 16000, 20480, 25600, 32000, 40960, 81920, 163840, 327680, 655360],
  "wasmcustom.gen_ai_client_inference_time_to_first_chunk_milliseconds": [10, 20, 40, 80, 160, 320, 480, 640, 800, 1000, 1280, 1600, 2000, 2560, 3200, 4000, 5120, 6400, 8000, 10240, 12800, 16000, 20480, 25600, 32000, 40960, 81920],
  "wasmcustom.gen_ai_server_time_per_output_token_milliseconds": [1, 5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500],
  "wasmcustom.gen_ai_client_inference_operation_input_tokens": [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304],
  "wasmcustom.gen_ai_client_inference_operation_output_tokens": [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]
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
        kubernetes.io/metadata.name: {{ .Values.collector.namespace | toYaml }}
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
        kubernetes.io/metadata.name: {{ $root.Values.monitoring.namespace | toYaml }}
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
