{{/* Mistakes in values for pods, autoscaling and access that are Kubernetes' own fields. */}}

{{- define "inference-service.podMistakes" -}}
{{- $mistakes := list -}}
{{- range $name, $_ := .Values.podAnnotations }}
{{- if hasPrefix "inference-service/" $name }}
{{- $mistakes = append $mistakes (printf "podAnnotations (%s) is the chart's own annotation, which identifies the pod's model. Choose another name." $name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := .Values.commonLabels }}
{{- if has $name (list "app.kubernetes.io/managed-by" "helm.sh/chart") }}
{{- $mistakes = append $mistakes (printf "commonLabels (%s) is the chart's own label. Choose another name." $name) }}
{{- else if hasKey $.Values.podLabels $name }}
{{- $mistakes = append $mistakes (printf "podLabels (%s) is in commonLabels too, which also apply to pods. Remove one." $name) }}
{{- end }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- $mistakes = append $mistakes "httpRoute.enabled is true without a Gateway. Set httpRoute.parentRefs, such as {public: {namespace: gateways}}." }}
{{- end }}
{{- $fields := dict "loadBalancerClass" (list "LoadBalancer") "loadBalancerSourceRanges" (list "LoadBalancer") "externalTrafficPolicy" (list "NodePort" "LoadBalancer") -}}
{{- range $field, $types := $fields }}
{{- if and (get $.Values.service $field) (not (has $.Values.service.type $types)) }}
{{- $mistakes = append $mistakes (printf "service.%s needs service.type %s, which is %s. Set the type, or remove %s." $field (join " or " $types) $.Values.service.type $field) }}
{{- end }}
{{- end }}
{{- range tuple "PORT" "APP" "PATH" }}
{{- if hasKey ($.Values.env | default dict) . }}
{{- $mistakes = append $mistakes (printf "env (%s) is set by the image; another value keeps the service from starting, or its probes from reaching it. Remove it." .) }}
{{- end }}
{{- end }}
{{- $host := dig "HOST" "" (.Values.env | default dict) -}}
{{- if and $host (not (has $host (list "0.0.0.0" "::"))) }}
{{- $mistakes = append $mistakes (printf "env.HOST (%v) is not an address that probes and callers reach. Remove it (IPv4), or set it to `::`, which answers IPv6 and IPv4." $host) }}
{{- end }}
{{- $claims := list -}}
{{- range .Values.resourceClaims }}{{ $claims = append $claims .name }}{{ end -}}
{{- range .Values.resources.claims }}
{{- if not (has .name $claims) }}
{{- $mistakes = append $mistakes (printf "resources.claims (%v) is not in resourceClaims, so the pod would be refused. Add it to resourceClaims." .name) }}
{{- end }}
{{- end }}
{{- $reference := (.Values.model.image).reference | default "" -}}
{{- if and (regexMatch "(^|/)[^/:@]+(:latest)?$" $reference) (not .Values.image.allowMutableTag) }}
{{- $mistakes = append $mistakes (printf "model.image.reference (%s) has the tag latest; a rollback could not restore the old model. Set a fixed tag or a digest, or image.allowMutableTag: true." $reference) }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
{{- if and .Values.autoscaling.keda.enabled .Values.autoscaling.metrics }}
{{- $mistakes = append $mistakes (printf "autoscaling.metrics (%s) are for the HorizontalPodAutoscaler, and autoscaling.keda.enabled is true. Write them as autoscaling.keda.triggers, or turn KEDA off." (keys .Values.autoscaling.metrics | sortAlpha | join ", ")) }}
{{- else if and .Values.autoscaling.keda.triggers (not .Values.autoscaling.keda.enabled) }}
{{- $mistakes = append $mistakes (printf "autoscaling.keda.triggers (%s) need autoscaling.keda.enabled, which is false. Turn KEDA on, or remove them." (keys .Values.autoscaling.keda.triggers | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}
