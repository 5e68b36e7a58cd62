{{/* Every object has its release's name. A string or number that a user chooses is rendered by toYaml or quote: YAML
reads no, 0123 and 1e5 as other types, and a template prints the number 1048576 as 1.048576e+06. */}}

{{/* Immutable, and out of the values' reach: two releases never share a pod. */}}
{{- define "inference-service.selectorLabels" -}}
app.kubernetes.io/name: inference-service
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* Another name than the selector's: a pod that Helm runs is never an endpoint and no budget counts it. */}}
{{- define "inference-service.testLabels" -}}
app.kubernetes.io/name: inference-service-test
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* Without the model's version, which the Deployment and its pods alone bear: a switch changes nothing else. */}}
{{- define "inference-service.commonLabels" -}}
app.kubernetes.io/component: {{ .Values.app }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "inference-service.labels" -}}
{{ include "inference-service.selectorLabels" . }}
{{ include "inference-service.commonLabels" . }}
{{- end }}

{{/* The hosts that callers may name, the release's own among them, so that its tests and its Ingress go on; nothing for any. */}}
{{- define "inference-service.allowedHosts" -}}
{{- if .Values.allowedHosts -}}
{{- $service := list .Release.Name .Release.Namespace "svc" "cluster" "local" -}}
{{- $own := list "localhost" "127.0.0.1" -}}
{{- range tuple 1 2 3 5 }}{{ $own = append $own (slice $service 0 . | join ".") }}{{ end -}}
{{- $ingress := ternary .Values.ingress.hosts dict .Values.ingress.enabled | keys | sortAlpha -}}
{{- $routes := ternary .Values.httpRoute.hostnames list .Values.httpRoute.enabled | default list -}}
{{- concat .Values.allowedHosts $ingress $routes $own | uniq | join "," -}}
{{- end -}}
{{- end }}

{{- define "inference-service.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "inference-service.image" -}}
{{- $image := .Values.image -}}
{{- $repository := $image.repository | default (printf "%s-service" .Values.app) -}}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}{{ else }}{{ $repository }}:{{ $image.tag }}{{ end }}
{{- end }}

{{/* Containers that a user gives by name. */}}
{{- define "inference-service.containers" -}}
{{- $containers := list -}}
{{- range $name, $container := . }}{{ $containers = append $containers (merge (dict "name" $name) $container) }}{{ end -}}
{{- if $containers }}{{ toYaml $containers }}{{ end -}}
{{- end }}
