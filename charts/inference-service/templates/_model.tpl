{{/* The model: its source, how a pod gets it, and its identity. */}}

{{/* The sources that are set, separated by spaces; exactly one is valid. */}}
{{- define "inference-service.modelSources" -}}
{{- $keys := dict "hostPath" "path" "persistentVolumeClaim" "claimName" "image" "reference" "hub" "id" -}}
{{- $sources := list -}}
{{- range $source, $key := $keys -}}
{{- if get (get $.Values.model $source | default dict) $key }}{{ $sources = append $sources $source }}{{ end -}}
{{- end -}}
{{- join " " $sources -}}
{{- end }}

{{/* A model from the hub has an id and a commit instead of a name and a version. */}}
{{- define "inference-service.modelName" -}}
{{- if eq (include "inference-service.modelSources" .) "hub" }}{{ .Values.model.hub.id }}{{ else }}{{ .Values.model.name }}{{ end }}
{{- end }}

{{- define "inference-service.modelVersion" -}}
{{- if eq (include "inference-service.modelSources" .) "hub" }}{{ .Values.model.hub.revision }}{{ else }}{{ .Values.model.version }}{{ end }}
{{- end }}

{{/* Path of the artifact in the pod. */}}
{{- define "inference-service.modelPath" -}}
{{- $model := .Values.model -}}
{{- $suffix := ternary ".joblib" "" (eq .Values.app "classifier") -}}
/models/{{ $model.path | default (printf "%s_%s%s" $model.name $model.version $suffix) }}
{{- end }}

{{/* Path of the manifest in the pod: beside the artifact. */}}
{{- define "inference-service.manifestPath" -}}
{{ include "inference-service.modelPath" . | trimSuffix ".joblib" | trimSuffix ".onnx" }}.json
{{- end }}

{{/* The model that the service loads: a path or a hub id. */}}
{{- define "inference-service.modelReference" -}}
{{- if eq (include "inference-service.modelSources" .) "hub" }}{{ .Values.model.hub.id }}
{{- else }}{{ include "inference-service.modelPath" . }}{{ end }}
{{- end }}

{{- define "inference-service.modelIdentity" -}}
inference-service/model-name: {{ include "inference-service.modelName" . | quote }}
inference-service/model-version: {{ include "inference-service.modelVersion" . | quote }}
inference-service/model-source: {{ include "inference-service.modelSources" . }}
{{- with .Values.model.sha256 }}
inference-service/model-sha256: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "inference-service.changeCause" -}}
{{ include "inference-service.modelName" . }} {{ include "inference-service.modelVersion" . }}
{{- with .Values.model.sha256 }} (sha256 {{ trunc 12 . }}){{ end }}, {{ include "inference-service.image" . }}
{{- end }}

{{/* The two containers below take the service's resources, or those of a context with `resources`. */}}

{{/* Copies the model out of an OCI image to a folder that hides no folder of the image; empty for the other sources. First
compares the sizes, if the image has `du` and `df`: a copy that fills the node's disk would get other pods evicted. */}}
{{- define "inference-service.copyModel" -}}
{{- if eq (include "inference-service.modelSources" .) "image" -}}
- name: copy-model
  image: {{ .Values.model.image.reference | toYaml }}
  imagePullPolicy: {{ .Values.model.image.pullPolicy }}
  command:
    - sh
    - -c
    - |
      needed=$(du -sk "$1" 2>/dev/null | { read -r kib _; echo "${kib:-0}"; })
      free=$(df -Pk "$2" 2>/dev/null | { read -r _; read -r _ _ _ kib _; echo "${kib:-$needed}"; })
      if [ "$needed" -gt "$free" ]; then
        echo "$1 of the model's image has $(((needed + 1023) / 1024)) MiB, and the node's disk has $((free / 1024)) MiB free." \
          "Free space on the node, or set model.image.path to a smaller folder." >&2
        exit 1
      fi
      exec cp -R "$1/." "$2/"
    - copy-model
    - {{ trimSuffix "/" .Values.model.image.path | toJson }}
    - /copied-models
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml (.resources | default .Values.resources) | nindent 4 }}
  volumeMounts:
    - name: models
      mountPath: /copied-models
{{- end }}
{{- end }}

{{/* Verifies the model: the service starts only with the release's model. A commit of the hub needs no verification. */}}
{{- define "inference-service.verifyModel" -}}
- name: verify-model
  image: {{ include "inference-service.image" . | toYaml }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - python
    - -m
    - models.registry
    - verify
    - {{ include "inference-service.modelPath" . }}
    - --version={{ .Values.model.version }}
    {{- with .Values.model.sha256 }}
    - --sha256={{ . }}
    {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml (.resources | default .Values.resources) | nindent 4 }}
  volumeMounts:
    {{- include "inference-service.modelMount" . | nindent 4 }}
    - name: tmp
      mountPath: /tmp
{{- end }}

{{- define "inference-service.modelMount" -}}
{{- if eq (include "inference-service.modelSources" .) "hub" -}}
- name: hub-cache
  mountPath: /var/cache/huggingface
{{- else -}}
- name: models
  mountPath: /models
  readOnly: true
  {{- if eq (include "inference-service.modelSources" .) "persistentVolumeClaim" }}
  {{- with .Values.model.persistentVolumeClaim.subPath }}
  subPath: {{ . | toYaml }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "inference-service.modelVolume" -}}
{{- $model := .Values.model -}}
{{- $source := include "inference-service.modelSources" . -}}
{{- if eq $source "hostPath" -}}
- name: models
  hostPath:
    path: {{ $model.hostPath.path | toYaml }}
    type: Directory
{{- else if eq $source "persistentVolumeClaim" -}}
- name: models
  persistentVolumeClaim:
    claimName: {{ $model.persistentVolumeClaim.claimName | toYaml }}
    readOnly: true
{{- else if eq $source "image" -}}
- name: models
  emptyDir:
    sizeLimit: {{ $model.image.sizeLimit | toYaml }}
{{- else if $model.hub.claimName -}}
- name: hub-cache
  persistentVolumeClaim:
    claimName: {{ $model.hub.claimName | toYaml }}
{{- else -}}
- name: hub-cache
  emptyDir:
    sizeLimit: {{ $model.hub.sizeLimit | toYaml }}
{{- end }}
{{- end }}

{{/* The chart's emptyDirs, which may be deleted at any time; empty with a hostPath or a user's own annotation. */}}
{{- define "inference-service.evictableVolumes" -}}
{{- $source := include "inference-service.modelSources" . -}}
{{- $annotated := hasKey (.Values.podAnnotations | default dict) "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes" -}}
{{- if and (ne $source "hostPath") (not $annotated) -}}
tmp{{ if eq $source "image" }},models{{ else if and (eq $source "hub") (not .Values.model.hub.claimName) }},hub-cache{{ end }}
{{- end -}}
{{- end }}
