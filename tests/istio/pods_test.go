package istio

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	extensions "istio.io/api/extensions/v1alpha1"
	v1beta1 "istio.io/api/type/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What Kubernetes would find out only when it starts the pods: volumes, ports and paths that are named and not there.
func TestPodsHaveWhatTheyName(t *testing.T) {
	paths := collectorPaths(t)
	for placement, additions := range guarded {
		all := buildWith(t, placement, additions...)
		claims := map[string]bool{}
		for _, set := range kind[appsv1.StatefulSet](all, "StatefulSet") {
			for _, claim := range set.Spec.VolumeClaimTemplates {
				claims[claim.Name] = true
			}
		}
		for _, pod := range all.workloads() {
			for _, container := range pod.Spec.Containers {
				for _, mount := range container.VolumeMounts {
					isVolume := slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
					if !isVolume && !claims[mount.Name] {
						t.Errorf("%s: %s mounts %s, which is no volume", placement, container.Name, mount.Name)
					}
				}
				for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
					if probe == nil {
						continue
					}
					if !declares(pod, probe.HTTPGet.Port) {
						t.Errorf("%s: %s is probed at %s", placement, container.Name, probe.HTTPGet.Port.String())
					}
					if isOurs := pod.Labels[collectorName] != ""; isOurs && !slices.Contains(paths, probe.HTTPGet.Path) {
						t.Errorf("%s: %s is probed by %s", placement, container.Name, probe.HTTPGet.Path)
					}
				}
			}
		}
		for _, service := range kind[corev1.Service](all, "Service") {
			selected := all.selected(service.Namespace, &metav1.LabelSelector{MatchLabels: service.Spec.Selector})
			if len(selected) != 1 {
				t.Errorf("%s: the Service %s is for %d workloads", placement, service.Name, len(selected))
				continue
			}
			for _, port := range service.Spec.Ports {
				// The ports of a gateway are Envoy's own, and nobody declares them.
				if selected[0].Labels["istio"] == "" && !declares(selected[0], port.TargetPort) {
					t.Errorf("%s: the Service %s leads to port %s", placement, service.Name, port.TargetPort.String())
				}
			}
		}
		for _, budget := range kind[policyv1.PodDisruptionBudget](all, "PodDisruptionBudget") {
			if selected := all.selected(budget.Namespace, budget.Spec.Selector); len(selected) != 1 {
				t.Errorf("%s: the budget %s is for %d workloads", placement, budget.Name, len(selected))
			}
		}
		for _, scaler := range kind[autoscalingv2.HorizontalPodAutoscaler](all, "HorizontalPodAutoscaler") {
			isThere := slices.ContainsFunc(kind[appsv1.Deployment](all, "Deployment"), func(d *appsv1.Deployment) bool {
				return d.Name == scaler.Spec.ScaleTargetRef.Name && d.Namespace == scaler.Namespace
			})
			if !isThere || *scaler.Spec.MinReplicas < 2 || *scaler.Spec.MinReplicas > scaler.Spec.MaxReplicas {
				t.Errorf("%s: the autoscaler %s: its target is there: %v, from %d to %d", placement, scaler.Name, isThere,
					*scaler.Spec.MinReplicas, scaler.Spec.MaxReplicas)
			}
		}
	}
}

// selected gives the workloads that a selector finds.
func (a applied) selected(namespace string, by *metav1.LabelSelector) []corev1.PodTemplateSpec {
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil {
		a.t.Fatal(err)
	}
	return slices.DeleteFunc(a.workloads(), func(pod corev1.PodTemplateSpec) bool {
		return pod.Namespace != namespace || !selector.Matches(labels.Set(pod.Labels))
	})
}

func declares(pod corev1.PodTemplateSpec, port intstr.IntOrString) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(container corev1.Container) bool {
		return slices.ContainsFunc(container.Ports, func(declared corev1.ContainerPort) bool {
			return port.Type == intstr.String && declared.Name == port.StrVal || port.Type == intstr.Int && declared.ContainerPort == port.IntVal
		})
	})
}

// In both directions a sidecar would meter what arrives at an application as well as what leaves it. A waypoint has no
// directions.
func TestThePluginIsInOneDirection(t *testing.T) {
	want := map[string]v1beta1.WorkloadMode{
		"egress-gateway": v1beta1.WorkloadMode_CLIENT, "sidecar-client": v1beta1.WorkloadMode_CLIENT, "sidecar-server": v1beta1.WorkloadMode_SERVER,
	}
	for placement, mode := range want {
		var modes []v1beta1.WorkloadMode
		for _, plugin := range spec[*extensions.WasmPlugin](build(t, placement), "WasmPlugin") {
			for _, match := range plugin.Match {
				modes = append(modes, match.Mode)
			}
		}
		for _, extension := range spec[*extensions.TrafficExtension](build(t, placement+"/traffic-extension"), "TrafficExtension") {
			for _, match := range extension.Match {
				modes = append(modes, match.Mode)
			}
		}
		if !slices.Equal(modes, []v1beta1.WorkloadMode{mode, mode}) {
			t.Errorf("%s: the modes are %v", placement, modes)
		}
	}
}

// A variable that the collector does not know would be a setting that nobody reads.
func TestTheCollectorKnowsItsVariables(t *testing.T) {
	meshmeter := os.Getenv("MESHMETER_COLLECTOR")
	if meshmeter == "" {
		t.Skip("MESHMETER_COLLECTOR, the path of the binary meshmeter, is not set")
	}
	known, err := exec.Command(meshmeter, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, components := range [][]string{nil, {"postgresql"}} {
		for _, pod := range buildWith(t, "egress-gateway", components...).workloads() {
			if pod.Labels[collectorName] != "meshmeter-collector" {
				continue
			}
			for _, variable := range pod.Spec.Containers[0].Env {
				seen++
				if !strings.Contains(string(known), "[env: "+variable.Name+"]") && !strings.Contains(string(known), "[env: "+variable.Name+"=") {
					t.Errorf("the collector does not know %s", variable.Name)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d variables", seen)
	}
}
