{{/* A helm test: one command in the release's image. Its pod is kept until the next run, for `helm test --logs`. */}}
{{- define "inference-service.testPod" -}}
{{- $model := eq .claim "prediction" | and (include "inference-service.hooksReadModel" .) -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test-{{ .claim }}
  namespace: {{ .Release.Namespace | toYaml }}
  labels:
    {{- include "inference-service.testLabels" . | nindent 4 }}
    {{- include "inference-service.commonLabels" . | nindent 4 }}
    {{- with omit .Values.podLabels "app.kubernetes.io/managed-by" "helm.sh/chart" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ .Values.tests.timeoutSeconds | toYaml }}
  serviceAccountName: {{ include "inference-service.serviceAccountName" . | toYaml }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with include "inference-service.copyModel" (merge (dict "resources" .Values.tests.resources) .) | and $model }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .claim }}
      image: {{ include "inference-service.image" . | toYaml }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        - python
        - -m
        - apps.{{ .Values.app }}.probe_client
        - {{ .claim }}
        - http://{{ .Release.Name }}:{{ .Values.service.port }}
        {{- range .arguments }}
        - {{ . | toYaml }}
        {{- end }}
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.tests.resources | nindent 8 }}
      volumeMounts:
        {{- if $model }}
        {{- include "inference-service.modelMount" . | nindent 8 }}
        {{- end }}
        - name: tmp
          mountPath: /tmp
  volumes:
    {{- if $model }}
    {{- include "inference-service.modelVolume" . | nindent 4 }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.tmpSizeLimit | toYaml }}
  {{- include "inference-service.placement" . }}
{{- end }}

{{/* Whether a pod that Helm runs mounts the model: not one from the hub, and no claim that only the serving pod can mount. */}}
{{- define "inference-service.hooksReadModel" -}}
{{- $source := include "inference-service.modelSources" . -}}
{{- $mode := (.Values.model.persistentVolumeClaim).accessMode | default "" -}}
{{- $exclusive := eq $source "persistentVolumeClaim" | and (hasPrefix "ReadWriteOnce" $mode) -}}
{{- if and (ne $source "hub") (not $exclusive) }}true{{ end }}
{{- end }}

{{/* The last fields of a hook pod's spec: image pull secrets and scheduling. */}}
{{- define "inference-service.placement" -}}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | toYaml }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . | toYaml }}
  {{- end }}
{{- end }}
