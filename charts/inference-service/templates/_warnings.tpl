{{/* Warnings about valid but risky values, for NOTES. */}}
{{- define "inference-service.warnings" -}}
{{- $warnings := list -}}
{{- $model := .Values.model -}}
{{- $source := include "inference-service.modelSources" . -}}
{{- $public := or .Values.ingress.enabled .Values.httpRoute.enabled (ne .Values.service.type "ClusterIP") -}}
{{- $scaled := and .Values.autoscaling.enabled (gt (int .Values.autoscaling.maxReplicas) 1) -}}
{{- if and (ne $source "hub") (not $model.sha256) }}
{{- $warnings = append $warnings "model.sha256 is empty: pods serve any artifact that matches its manifest, also after a rollback. Set it to the manifest's sha256." }}
{{- end }}
{{- if eq $source "hostPath" }}
{{- $warnings = append $warnings (printf "model.hostPath: every node that may run a pod needs %s. On several nodes use model.image or model.persistentVolumeClaim." $model.hostPath.path) }}
{{- end }}
{{- if and (eq $source "hub") (not $model.hub.claimName) }}
{{- $warnings = append $warnings "model.hub without a claim: every new pod downloads the model. Set model.hub.claimName." }}
{{- end }}
{{- if and (eq $source "persistentVolumeClaim") (has $model.persistentVolumeClaim.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) $scaled }}
{{- $warnings = append $warnings (printf "model.persistentVolumeClaim is %s: pods beyond the first may wait for it. Use a ReadOnlyMany claim, or autoscaling.maxReplicas 1." $model.persistentVolumeClaim.accessMode) }}
{{- end }}
{{- if and (eq .Values.image.tag "latest") (not .Values.image.digest) }}
{{- $warnings = append $warnings "image.tag is latest: a rollback may start another image. Set a fixed tag or image.digest." }}
{{- end }}
{{- if float64 .Values.artificialCpuSec }}
{{- $warnings = append $warnings (printf "artificialCpuSec is %v: every request burns that much CPU time on purpose. Set it to 0 outside demonstrations." .Values.artificialCpuSec) }}
{{- end }}
{{- if $public }}
{{- $warnings = append $warnings "The service has neither authentication nor TLS of its own, and it is reachable from outside the cluster. Put a gateway in front." }}
{{- end }}
{{- if and $public .Values.networkPolicy.enabled (eq (keys .Values.networkPolicy.from | join " ") "same-namespace") }}
{{- $warnings = append $warnings "networkPolicy.from lets in only pods of this namespace, so where policies are enforced callers from outside are kept out. Add them." }}
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
{{- $warnings = append $warnings "networkPolicy.enabled is false: every pod of the cluster may call the service." }}
{{- end }}
{{- $monitors := list -}}
{{- range tuple "prometheusRule" "dashboard" }}
{{- if (get $.Values .).enabled }}{{ $monitors = append $monitors . }}{{ end }}
{{- end }}
{{- if and $monitors (not .Values.serviceMonitor.enabled) }}
{{- $warnings = append $warnings (printf "%s without serviceMonitor: unless another scrape names its job %s, the dashboard is empty and InferenceServiceDown never ends. Set serviceMonitor.enabled: true." (join " and " $monitors) .Release.Name) }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (eq (keys .Values.networkPolicy.from | join " ") "same-namespace") }}
{{- $warnings = append $warnings "serviceMonitor is enabled, and networkPolicy.from admits only this namespace: where policies are enforced, a Prometheus in another namespace is kept out. Add its namespace." }}
{{- end }}
{{- if lt (int (ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled)) 2 }}
{{- $warnings = append $warnings "The service may run on a single pod: it is unavailable while that pod's node is drained or fails. Run at least two pods." }}
{{- end }}
{{- $cpu := dig "limits" "cpu" "" .Values.resources | toString }}
{{- if and (eq .Values.app "lm") $cpu }}
{{- $cpus := hasSuffix "m" $cpu | ternary (divf (trimSuffix "m" $cpu | float64) 1000) (float64 $cpu) }}
{{- /* 0.09 s a token: SmolLM2 135M v1, 8 sequences, one CPU, measured by python -m apps.lm.tests.full_batch */ -}}
{{- $seconds := divf (mulf (int64 .Values.maxTotalTokens) 0.09) $cpus | ceil }}
{{- if gt $seconds (float64 .Values.requestTimeoutSeconds) }}
{{- $warnings = append $warnings (printf "maxTotalTokens is %d, and resources.limits.cpu is %s: in a full batch of the shipped model such an answer takes about %v s, and at requestTimeoutSeconds (%v) it ends with what it has. Raise requestTimeoutSeconds or resources.limits.cpu, or lower maxTotalTokens." (int64 .Values.maxTotalTokens) $cpu $seconds .Values.requestTimeoutSeconds) }}
{{- end }}
{{- end }}
{{- toJson $warnings -}}
{{- end }}
