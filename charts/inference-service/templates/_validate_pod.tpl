{{/* Mistakes in values for pods: labels, annotations, environment, volumes and claims. */}}

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
{{- range tuple "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" }}
{{- $label := . -}}
{{- range $key := tuple "podLabels" "commonLabels" }}
{{- if hasKey (get $.Values $key | default dict) $label }}
{{- $mistakes = append $mistakes (printf "%s (%s) is the chart's own label. Choose another name." $key $label) }}
{{- end }}
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
{{- $own := list "MODEL_PATH" "MODEL_NAME" "MODEL_VERSION" "MODEL_SHA256" "MODEL_REVISION" "HF_HOME" "HF_TOKEN" "ARTIFICIAL_CPU_SEC" "MAX_TOTAL_TOKENS"
      "LOG_LEVEL" "REQUEST_TIMEOUT_SECONDS" "MAX_IN_FLIGHT" "MAX_QUEUE" "MAX_BODY_BYTES" "MAX_TOTAL_BODY_BYTES" "DRAIN_SECONDS"
      "KEEP_ALIVE_SECONDS" "CONNECTION_MAX_AGE_SECONDS" "CORS_ORIGINS" "ALLOWED_HOSTS" -}}
{{- range $name, $_ := .Values.env }}
{{- if has $name $own }}
{{- $mistakes = append $mistakes (printf "env (%s) is set by the chart from a value. Set that value instead." $name) }}
{{- end }}
{{- end }}
{{- range tuple "models" "hub-cache" "tmp" }}
{{- if hasKey $.Values.volumes . }}
{{- $mistakes = append $mistakes (printf "volumes (%s) is the chart's own volume. Choose another name." .) }}
{{- end }}
{{- end }}
{{- $claims := list -}}
{{- range .Values.resourceClaims }}{{ $claims = append $claims .name }}{{ end -}}
{{- range .Values.resources.claims }}
{{- if not (has .name $claims) }}
{{- $mistakes = append $mistakes (printf "resources.claims (%v) is not in resourceClaims, so the pod would be refused. Add it to resourceClaims." .name) }}
{{- end }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
{{- if and .Values.autoscaling.keda.enabled .Values.autoscaling.metrics }}
{{- $mistakes = append $mistakes (printf "autoscaling.metrics (%s) are for the HorizontalPodAutoscaler, and autoscaling.keda.enabled is true. Write them as autoscaling.keda.triggers, or turn KEDA off." (keys .Values.autoscaling.metrics | sortAlpha | join ", ")) }}
{{- else if and .Values.autoscaling.keda.triggers (not .Values.autoscaling.keda.enabled) }}
{{- $mistakes = append $mistakes (printf "autoscaling.keda.triggers (%s) need autoscaling.keda.enabled, which is false. Turn KEDA on, or remove them." (keys .Values.autoscaling.keda.triggers | sortAlpha | join ", ")) }}
{{- end }}
{{- if and .Values.autoscaling.keda.saturation.enabled (not .Values.autoscaling.keda.enabled) }}
{{- $mistakes = append $mistakes "autoscaling.keda.saturation.enabled needs autoscaling.keda.enabled, which is false. Turn KEDA on, or saturation off." }}
{{- end }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}
