{{/* Mistakes of the release itself, independent of its values. */}}

{{- define "inference-service.releaseMistakes" -}}
{{- $mistakes := list -}}
{{- if not .Chart.IsRoot }}
{{- $mistakes = append $mistakes (printf "%s is a dependency of another chart: two instances in one release would have the same names, and one model would be lost. Install each model as a release of its own." .Chart.Name) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}
{{- $mistakes = append $mistakes (printf "The release's name (%s) names the Service, which takes a lower-case letter, then lower-case letters, digits and dashes. Install it under another name, such as %s-service." .Release.Name .Values.app) }}
{{- end }}
{{- toJson $mistakes -}}
{{- end }}
