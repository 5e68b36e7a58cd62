// Reads a stream of YAML and decodes kinds of Prometheus, KEDA and the Gateway API into their owners' types; a field that
// they do not have is an error. Other kinds are passed over.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	prometheus "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"ServiceMonitor": func() any { return new(prometheus.ServiceMonitor) },
	"PrometheusRule": func() any { return new(prometheus.PrometheusRule) },
	"ScaledObject":   func() any { return new(keda.ScaledObject) },
	"HTTPRoute":      func() any { return new(gateway.HTTPRoute) },
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	failed := false
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var head struct{ Kind string }
		if yaml.Unmarshal(document, &head) != nil || kinds[head.Kind] == nil {
			continue
		}
		if err := yaml.UnmarshalStrict(document, kinds[head.Kind]()); err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", head.Kind, err)
		} else {
			fmt.Println(head.Kind)
		}
	}
	if failed {
		os.Exit(1)
	}
}
