{{/* Mistakes that a schema cannot find: contradictions between values, and wrong paths. All are reported at once. */}}

{{- define "inference-service.validate" -}}
{{- $mistakes := concat
      (include "inference-service.releaseMistakes" . | fromJsonArray)
      (include "inference-service.podMistakes" . | fromJsonArray)
      (include "inference-service.modelMistakes" . | fromJsonArray)
      (include "inference-service.pathMistakes" . | fromJsonArray)
      (include "inference-service.scalingMistakes" . | fromJsonArray)
      (include "inference-service.rolloutMistakes" . | fromJsonArray)
      (include "inference-service.accessMistakes" . | fromJsonArray) -}}
{{- if $mistakes }}
{{- fail (printf "\nThe values of release %s hold %d mistake(s):\n- %s" .Release.Name (len $mistakes) (join "\n- " $mistakes)) }}
{{- end }}
{{- end }}

{{- define "inference-service.modelMistakes" -}}
{{- $mistakes := list -}}
{{- $model := .Values.model -}}
{{- $sources := splitList " " (include "inference-service.modelSources" .) | compact -}}
{{- $all := "model.hostPath.path, model.persistentVolumeClaim.claimName, model.image.reference, model.hub.id" -}}
{{- if not $sources }}
{{- $mistakes = append $mistakes (printf "model has no source. Set exactly one of %s." $all) }}
{{- else if gt (len $sources) 1 }}
{{- $mistakes = append $mistakes (printf "model has %d sources (%s). Set exactly one of %s." (len $sources) (join ", " $sources) $all) }}
{{- end }}
{{- if has "hub" $sources }}
{{- if ne .Values.app "lm" }}
{{- $mistakes = append $mistakes (printf "model.hub.id (%s) needs app: lm, and app is %s. Set app: lm or take the model from another source." $model.hub.id .Values.app) }}
{{- end }}
{{- if not $model.hub.revision }}
{{- $mistakes = append $mistakes (printf "model.hub.id (%s) has no model.hub.revision; without the commit the model may change. Set it to the 40 hex digits." $model.hub.id) }}
{{- end }}
{{- if $model.sha256 }}
{{- $mistakes = append $mistakes (printf "model.sha256 (%s) is set beside model.hub.id (%s), where model.hub.revision is the identity. Remove model.sha256." $model.sha256 $model.hub.id) }}
{{- end }}
{{- else }}
{{- range tuple "name" "version" }}
{{- if not (get $model .) }}
{{- $mistakes = append $mistakes (printf "model.%s is empty; with the %s it names the artifact. Set it." . (ternary "version" "name" (eq . "name"))) }}
{{- end }}
{{- end }}
{{- $pathVersion := regexFind "_v[0-9A-Za-z][0-9A-Za-z.-]*$" (trimSuffix ".onnx" (trimSuffix ".joblib" $model.path)) | trimPrefix "_" -}}
{{- if and $pathVersion $model.version (ne $pathVersion $model.version) }}
{{- $mistakes = append $mistakes (printf "model.path (%s) says version %s, and model.version is %s. Correct one, or leave model.path empty: it follows name and version." $model.path $pathVersion $model.version) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.image.tag "latest") (not .Values.image.digest) (not .Values.image.allowMutableTag) }}
{{- $mistakes = append $mistakes "image.tag is latest; a rollback could not restore the old image. Set a fixed tag or image.digest, or image.allowMutableTag: true." }}
{{- end }}
{{- $reference := (.Values.model.image).reference | default "" -}}
{{- if and (regexMatch "(^|/)[^/:@]+(:latest)?$" $reference) (not .Values.image.allowMutableTag) }}
{{- $mistakes = append $mistakes (printf "model.image.reference (%s) has the tag latest; a rollback could not restore the old model. Set a fixed tag or a digest, or image.allowMutableTag: true." $reference) }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}

{{/* A model is a path within one folder of its source: a pod must not read other files of a node or a claim. */}}
{{- define "inference-service.pathMistakes" -}}
{{- $mistakes := list -}}
{{- $model := .Values.model -}}
{{- range $value, $path := dict "model.hostPath.path" ($model.hostPath).path "model.image.path" ($model.image).path }}
{{- if and $path (or (eq (clean $path) "/") (has ".." (splitList "/" $path))) }}
{{- $mistakes = append $mistakes (printf "%s (%s) must be a folder below /, written without a part `..`. Set the folder that holds artifact and manifest, such as /models." $value $path) }}
{{- end }}
{{- end }}
{{- range $value, $path := dict "model.path" $model.path "model.persistentVolumeClaim.subPath" ($model.persistentVolumeClaim).subPath }}
{{- if and $path (or (hasPrefix "/" $path) (has ".." (splitList "/" $path))) }}
{{- $mistakes = append $mistakes (printf "%s (%s) must be a path within the source: relative, without a part `..`. Correct it, or leave it empty." $value $path) }}
{{- end }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}

{{/* A quantity of CPU, such as 150m or 1.5, as a number; 0 for none, and for other ways to write it. */}}
{{- define "inference-service.cpu" -}}
{{- $cpu := toString . -}}
{{- if regexMatch "^[0-9.]+m$" $cpu }}{{ divf (trimSuffix "m" $cpu) 1000 }}{{ else if regexMatch "^[0-9.]+$" $cpu }}{{ $cpu }}{{ else }}0{{ end -}}
{{- end }}

{{- define "inference-service.scalingMistakes" -}}
{{- $mistakes := list -}}
{{- $scaling := .Values.autoscaling -}}
{{- if $scaling.enabled }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- $mistakes = append $mistakes (printf "autoscaling.minReplicas (%v) exceeds autoscaling.maxReplicas (%v). Lower minReplicas or raise maxReplicas." $scaling.minReplicas $scaling.maxReplicas) }}
{{- end }}
{{- $triggers := ternary $scaling.keda.triggers dict $scaling.keda.enabled | default dict -}}
{{- $waking := list -}}
{{- range $name, $trigger := $triggers }}
{{- $metadata := $trigger.metadata | default dict -}}
{{- $pods := or (has $trigger.type (list "cpu" "memory")) (eq (toString $metadata.aggregateFromKubeServiceEndpoints) "true") -}}
{{- if not (or $pods (regexMatch "(inference_|vllm:)" (toString $metadata.query))) }}{{ $waking = append $waking $name }}{{ end -}}
{{- end }}
{{- if and (eq (int $scaling.minReplicas) 0) (not $waking) }}
{{- $mistakes = append $mistakes "autoscaling.minReplicas (0) needs a trigger in autoscaling.keda.triggers that sees load while no pod runs, such as a gateway's rate of requests. CPU use, saturation and the pods' other metrics (inference_…, vllm:…) end with the last pod, and nothing would start one. Add such a trigger, or raise minReplicas." }}
{{- end }}
{{- $requests := .Values.resources.requests | default dict -}}
{{- $limits := .Values.resources.limits | default dict -}}
{{- if $scaling.targetCPUUtilizationPercentage }}
{{- if not (or $requests.cpu $limits.cpu) }}
{{- $mistakes = append $mistakes (printf "autoscaling.targetCPUUtilizationPercentage (%v) is a share of resources.requests.cpu, which is not set. Set the request, or the target to null." $scaling.targetCPUUtilizationPercentage) }}
{{- end }}
{{- $request := include "inference-service.cpu" ($requests.cpu | default $limits.cpu) | float64 -}}
{{- $limit := include "inference-service.cpu" $limits.cpu | float64 -}}
{{- $target := divf (mulf $request $scaling.targetCPUUtilizationPercentage) 100 -}}
{{- if and $request $limit (ge $target $limit) (not .Values.extraContainers) }}
{{- $mistakes = append $mistakes (printf "autoscaling.targetCPUUtilizationPercentage (%v) of resources.requests.cpu (%v) is %v CPU, and resources.limits.cpu (%v) lets no pod use more: the autoscaler would never add one. Lower the target, or raise the limit." $scaling.targetCPUUtilizationPercentage ($requests.cpu | default $limits.cpu) $target $limits.cpu) }}
{{- end }}
{{- else if not (ternary (or $scaling.keda.saturation.enabled $triggers) $scaling.metrics $scaling.keda.enabled) }}
{{- $mistakes = append $mistakes (printf "autoscaling.enabled is true with nothing to scale on. Set autoscaling.targetCPUUtilizationPercentage or autoscaling.%s." (ternary "keda.saturation.enabled" "metrics" $scaling.keda.enabled)) }}
{{- end }}
{{- else if $scaling.keda.enabled }}
{{- $mistakes = append $mistakes "autoscaling.keda.enabled is true while autoscaling.enabled is false. Set autoscaling.enabled: true or keda.enabled: false." }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}

{{- define "inference-service.rolloutMistakes" -}}
{{- $mistakes := list -}}
{{- $claim := .Values.model.persistentVolumeClaim -}}
{{- $surge := .Values.strategy.maxSurge | toString -}}
{{- $none := list "0" "0%" -}}
{{- if and ($claim).claimName (has ($claim).accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) (not (has $surge $none)) }}
{{- $mistakes = append $mistakes (printf "model.persistentVolumeClaim.accessMode is %s while strategy.maxSurge is %s: an update would wait forever for a claim that the old pod has mounted. Use a ReadOnlyMany claim, or set maxSurge 0 and maxUnavailable 1." $claim.accessMode $surge) }}
{{- end }}
{{- $hub := .Values.model.hub -}}
{{- if and ($hub).id ($hub).claimName (hasPrefix "ReadWriteOnce" (($hub).accessMode | default "")) (not (has $surge $none)) }}
{{- $mistakes = append $mistakes (printf "model.hub.accessMode is %s while strategy.maxSurge is %s: an update would wait forever for a claim that the old pod has mounted. Use a ReadWriteMany claim, or set maxSurge 0 and maxUnavailable 1." $hub.accessMode $surge) }}
{{- end }}
{{- if and (has $surge $none) (has (.Values.strategy.maxUnavailable | toString) $none) }}
{{- $mistakes = append $mistakes "strategy.maxSurge and strategy.maxUnavailable are both 0: an update could not begin. Raise one of them." }}
{{- end }}
{{- $starting := mul .Values.startupProbe.periodSeconds .Values.startupProbe.failureThreshold -}}
{{- if ge $starting (int64 .Values.progressDeadlineSeconds) }}
{{- $mistakes = append $mistakes (printf "startupProbe allows %v s (periodSeconds %v x failureThreshold %v), and progressDeadlineSeconds (%v) would end an update earlier. Raise progressDeadlineSeconds above %v." $starting .Values.startupProbe.periodSeconds .Values.startupProbe.failureThreshold .Values.progressDeadlineSeconds $starting) }}
{{- end }}
{{- $ending := addf .Values.preStopSleepSeconds .Values.drainSeconds .Values.requestTimeoutSeconds -}}
{{- if ge $ending (float64 .Values.terminationGracePeriodSeconds) }}
{{- $mistakes = append $mistakes (printf "preStopSleepSeconds (%v) + drainSeconds (%v) + requestTimeoutSeconds (%v) take %v of terminationGracePeriodSeconds (%v): the last request would be cut off. Raise terminationGracePeriodSeconds above %v, or lower the others." .Values.preStopSleepSeconds .Values.drainSeconds .Values.requestTimeoutSeconds $ending .Values.terminationGracePeriodSeconds $ending) }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $pods := ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled | int -}}
{{- if $budget.enabled }}
{{- if and (ne $budget.minAvailable nil) (ne $budget.maxUnavailable nil) }}
{{- $mistakes = append $mistakes (printf "podDisruptionBudget has both minAvailable (%v) and maxUnavailable (%v); Kubernetes takes one. Set the other to null." $budget.minAvailable $budget.maxUnavailable) }}
{{- else if and (eq $budget.minAvailable nil) (eq $budget.maxUnavailable nil) }}
{{- $mistakes = append $mistakes "podDisruptionBudget has neither minAvailable nor maxUnavailable. Set maxUnavailable, or podDisruptionBudget.enabled: false." }}
{{- else if has (toString $budget.maxUnavailable) $none }}
{{- $mistakes = append $mistakes (printf "podDisruptionBudget.maxUnavailable (%v) forbids every eviction, so no node could be drained. Set it to 1 or more." $budget.maxUnavailable) }}
{{- else }}
{{- $required := int $budget.minAvailable -}}
{{- if kindIs "string" $budget.minAvailable }}
{{- $required = divf (mul (trimSuffix "%" $budget.minAvailable | int) $pods) 100 | ceil | int }}
{{- end }}
{{- if and $pods (ge $required $pods) }}
{{- $mistakes = append $mistakes (printf "podDisruptionBudget.minAvailable (%v) of %d pod(s) forbids every eviction, so no node could be drained. Lower it, or run more pods." $budget.minAvailable $pods) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}

{{- define "inference-service.accessMistakes" -}}
{{- $mistakes := list -}}
{{- if and .Values.service.nodePort (ne .Values.service.type "NodePort") }}
{{- $mistakes = append $mistakes (printf "service.nodePort (%v) needs service.type NodePort, which is %s. Set the type, or nodePort to null." .Values.service.nodePort .Values.service.type) }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- $mistakes = append $mistakes "ingress.enabled is true without a host. Set ingress.hosts, such as {classifier.example.com: {path: /}}." }}
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
{{- if and .Values.maxTotalBodyBytes .Values.maxBodyBytes (lt (int64 .Values.maxTotalBodyBytes) (int64 .Values.maxBodyBytes)) }}
{{- $mistakes = append $mistakes (printf "maxTotalBodyBytes (%d) is less than maxBodyBytes (%d): a single body may exceed the total. Raise maxTotalBodyBytes or lower maxBodyBytes." (int64 .Values.maxTotalBodyBytes) (int64 .Values.maxBodyBytes)) }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}
