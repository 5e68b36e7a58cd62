// Runs Kubernetes' own HorizontalController, so that a restatement of its algorithm can be compared with it. Each line
// of standard input is a case in JSON, each line of standard output says what the controller did at each sync.
// The controller is real; the API behind it is client-go's fake, and the clock is that of testing/synctest.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	scalefake "k8s.io/client-go/scale/fake"
	core "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	metricsapi "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsfake "k8s.io/metrics/pkg/client/clientset/versioned/fake"
)

const namespace = "n"

var labels = map[string]string{"app": "a"}

// All ages are seconds before the sync. A pod without usage has no sample.
type pod struct {
	Name      string      `json:"name"`
	Phase     v1.PodPhase `json:"phase"`
	Requests  []*string   `json:"requests"`
	Deleting  bool        `json:"deleting"`
	StartAge  *float64    `json:"start_age"`
	Ready     *bool       `json:"ready"`
	ReadyAge  float64     `json:"ready_age"`
	Usage     []string    `json:"usage"`
	SampleAge float64     `json:"sample_age"`
	Window    float64     `json:"window"`
}

// Pods, and what somebody else has changed since the sync before.
type step struct {
	Pods     []pod  `json:"pods"`
	Replicas *int32 `json:"replicas"`
	HPA      *spec  `json:"hpa"`
}

type spec struct {
	Min      *int32                                         `json:"min"`
	Max      int32                                          `json:"max"`
	Target   int32                                          `json:"target_utilization"`
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
}

type problem struct {
	Controller struct {
		Sync           float64 `json:"sync_seconds"`
		Tolerance      float64 `json:"tolerance"`
		Initialization float64 `json:"cpu_initialization_seconds"`
		Readiness      float64 `json:"initial_readiness_seconds"`
		Stabilization  float64 `json:"downscale_stabilization_seconds"`
	} `json:"controller"`
	HPA      spec   `json:"hpa"`
	Replicas int32  `json:"replicas"`
	Syncs    []step `json:"syncs"`
}

// What the sync left: the scale, the HPA's status, and the controller's log.
type outcome struct {
	Replicas int32                                       `json:"replicas"`
	Status   autoscalingv2.HorizontalPodAutoscalerStatus `json:"status"`
	Log      string                                      `json:"log"`
}

// The controller and its event recorder log at the same time.
type journal struct {
	sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.Lock()
	defer j.Unlock()
	return j.text.Write(line)
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s*1e6)) * time.Microsecond }

func at(now time.Time, age float64) metav1.Time { return metav1.NewTime(now.Add(-seconds(age))) }

func (p pod) object(now time.Time) *v1.Pod {
	result := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace, Labels: labels}}
	if p.Deleting {
		deleted := metav1.NewTime(now)
		result.DeletionTimestamp = &deleted
	}
	for number, request := range p.Requests {
		container := v1.Container{Name: fmt.Sprint("c", number)}
		if request != nil {
			container.Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse(*request)}
		}
		result.Spec.Containers = append(result.Spec.Containers, container)
	}
	result.Status.Phase = p.Phase
	if p.StartAge != nil {
		started := at(now, *p.StartAge)
		result.Status.StartTime = &started
	}
	if p.Ready != nil {
		status := map[bool]v1.ConditionStatus{true: v1.ConditionTrue, false: v1.ConditionFalse}[*p.Ready]
		condition := v1.PodCondition{Type: v1.PodReady, Status: status, LastTransitionTime: at(now, p.ReadyAge)}
		result.Status.Conditions = []v1.PodCondition{condition}
	}
	return result
}

func (p pod) sample(now time.Time) metricsapi.PodMetrics {
	result := metricsapi.PodMetrics{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace, Labels: labels}}
	result.Timestamp = at(now, p.SampleAge)
	result.Window = metav1.Duration{Duration: seconds(p.Window)}
	for _, usage := range p.Usage {
		list := v1.ResourceList{v1.ResourceCPU: resource.MustParse(usage)}
		result.Containers = append(result.Containers, metricsapi.ContainerMetrics{Usage: list})
	}
	return result
}

func (s spec) apply(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	cpu := &autoscalingv2.ResourceMetricSource{Name: v1.ResourceCPU}
	cpu.Target = autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &s.Target}
	hpa.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "a"},
		MinReplicas:    s.Min,
		MaxReplicas:    s.Max,
		Metrics:        []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: cpu}},
		Behavior:       s.Behavior.DeepCopy(),
	}
	defaults.SetDefaults_HorizontalPodAutoscaler(hpa)
	defaults.SetDefaults_HorizontalPodAutoscalerBehavior(hpa)
}

func (p problem) run(t *testing.T) (outcomes []outcome) {
	var log journal
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Verbosity(4), textlogger.Output(&log)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))

	replicas := p.Replicas
	scales := &scalefake.FakeScaleClient{}
	scales.AddReactor("get", "deployments", func(core.Action) (bool, runtime.Object, error) {
		scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: namespace}}
		scale.Spec.Replicas, scale.Status.Replicas, scale.Status.Selector = replicas, replicas, "app=a"
		return true, scale, nil
	})
	scales.AddReactor("update", "deployments", func(action core.Action) (bool, runtime.Object, error) {
		scale := action.(core.UpdateAction).GetObject().(*autoscalingv1.Scale)
		replicas = scale.Spec.Replicas
		return true, scale, nil
	})

	var samples metricsapi.PodMetricsList
	resources := &metricsfake.Clientset{}
	resources.AddReactor("list", "pods", func(core.Action) (bool, runtime.Object, error) {
		return true, samples.DeepCopy(), nil
	})

	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: namespace}}
	p.HPA.apply(hpa)
	client := fake.NewClientset(hpa)
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{apps})
	mapper.Add(apps.WithKind("Deployment"), meta.RESTScopeNamespace)
	c := p.Controller
	controller := podautoscaler.NewHorizontalController(
		ctx, client.CoreV1(), scales, client.AutoscalingV2(), mapper,
		metrics.NewRESTMetricsClient(resources.MetricsV1beta1(), nil, nil),
		factory.Autoscaling().V2().HorizontalPodAutoscalers(), pods,
		seconds(c.Sync), seconds(c.Stabilization), c.Tolerance, seconds(c.Initialization), seconds(c.Readiness),
	)
	factory.Start(ctx.Done())
	go controller.Run(ctx, 1)
	synctest.Wait()

	time.Sleep(seconds(c.Sync) / 2) // the syncs come half an interval after each change
	for _, step := range p.Syncs {
		now := time.Now().Add(seconds(c.Sync) / 2)
		if step.Replicas != nil {
			replicas = *step.Replicas
		}
		if step.HPA != nil {
			changed, err := client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, "a", metav1.GetOptions{})
			must(err)
			step.HPA.apply(changed)
			_, err = client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Update(ctx, changed, metav1.UpdateOptions{})
			must(err)
		}
		objects := []any{}
		samples = metricsapi.PodMetricsList{}
		for _, pod := range step.Pods {
			objects = append(objects, pod.object(now))
			if pod.Usage != nil {
				samples.Items = append(samples.Items, pod.sample(now))
			}
		}
		must(pods.Informer().GetIndexer().Replace(objects, ""))
		log.text.Reset()
		time.Sleep(seconds(c.Sync))
		synctest.Wait()
		synced, err := client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, "a", metav1.GetOptions{})
		must(err)
		outcomes = append(outcomes, outcome{replicas, synced.Status, log.text.String()})
	}
	cancel()
	factory.Shutdown()
	synctest.Wait()
	return outcomes
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func answer(t *testing.T) {
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	lines := bufio.NewReader(os.Stdin)
	for decoder := json.NewDecoder(lines); decoder.More(); {
		var p problem
		must(decoder.Decode(&p))
		synctest.Test(t, func(t *testing.T) { must(json.NewEncoder(output).Encode(p.run(t))) })
	}
}

func main() {
	utilruntime.ErrorHandlers = nil // one of them sleeps until a time that it remembers of an earlier case
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Init()
	testing.Main(everything, []testing.InternalTest{{Name: "answer", F: answer}}, nil, nil)
}
