{{/* Every object has its release's name. Strings and numbers of a user are rendered with toYaml or quote: YAML reads no,
0123 and 1e5 as other types, and a template prints the number 1048576 as 1.048576e+06. */}}

{{/* Immutable and independent of the values, so that two releases never share a pod. */}}
{{- define "inference-service.selectorLabels" -}}
app.kubernetes.io/name: inference-service
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* The name differs from the selector's, so that hook pods are no endpoints and no budget counts them. */}}
{{- define "inference-service.testLabels" -}}
app.kubernetes.io/name: inference-service-test
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* The model's version is only on the Deployment and its pods, so that a switch changes no other object. */}}
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

{{/* The allowed hosts, with the release's own names for its tests and its Ingress; empty if every host is allowed. */}}
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

{{/* Whether KEDA reads the saturation from the pods; empty if not. */}}
{{- define "inference-service.scalesOnSaturation" -}}
{{- $scaling := .Values.autoscaling -}}
{{- if and $scaling.enabled $scaling.keda.enabled $scaling.keda.saturation.enabled }}true{{ end -}}
{{- end }}

{{/* A list of containers from a map by name. */}}
{{- define "inference-service.containers" -}}
{{- $containers := list -}}
{{- range $name, $container := . }}{{ $containers = append $containers (merge (dict "name" $name) $container) }}{{ end -}}
{{- if $containers }}{{ toYaml $containers }}{{ end -}}
{{- end }}
