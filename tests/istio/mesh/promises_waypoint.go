package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// gatewayName is the label by which Istio knows the pods of a Gateway.
const gatewayName = "gateway.networking.k8s.io/gateway-name"

// deployed is what Istio's deployment controller makes of a waypoint: of the Gateway, and of the ConfigMap that it names.
func (w *world) deployed() (workload, error) {
	gateways := w.manifests.all("Gateway")
	if len(gateways) != 1 {
		return workload{}, fmt.Errorf("%d Gateways, expected one", len(gateways))
	}
	gateway := gateways[0]
	made := workload{kind: "Deployment", name: gateway.GetName(), namespace: gateway.GetNamespace()}
	overlay, _, _ := unstructured.NestedString(gateway.Object, "spec", "infrastructure", "parametersRef", "name")
	for _, config := range w.manifests.all("ConfigMap") {
		if config.GetName() != overlay || config.GetNamespace() != made.namespace {
			continue
		}
		text, _, _ := unstructured.NestedString(config.Object, "data", "deployment")
		var typed appsv1.Deployment
		if err := yaml.Unmarshal([]byte(text), &typed); err != nil {
			return made, err
		}
		made.template = typed.Spec.Template
	}
	annotations, _, err := unstructured.NestedStringMap(gateway.Object, "spec", "infrastructure", "annotations")
	made.template.Annotations = annotations
	made.template.Labels = map[string]string{gatewayName: made.name, "gateway.istio.io/managed": "istio.io-mesh-controller"}
	made.template.Spec.ServiceAccountName = made.name
	return made, err
}

// startWaypoint starts the waypoint's pod, behind the Service that Istio gives it.
func (w *world) startWaypoint() (*pod, error) {
	made, err := w.deployed()
	if err != nil {
		return nil, err
	}
	service, err := untyped("v1", "Service", &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: made.name, Namespace: made.namespace, Labels: made.template.Labels},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{gatewayName: made.name},
			Ports: []corev1.ServicePort{
				{Name: "status-port", Port: readinessPort, Protocol: corev1.ProtocolTCP},
				{Name: "mesh", Port: tunnelPort, Protocol: corev1.ProtocolTCP},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	if err := w.addService(service); err != nil {
		return nil, err
	}
	if err := w.store.Put(service); err != nil {
		return nil, err
	}
	p := podOf(made, made.name+"-1")
	if err := w.addPod(p, made.template.Spec.Containers); err != nil {
		return nil, err
	}
	environment, err := made.environment("istio-proxy", p, w.data)
	if err != nil {
		return nil, err
	}
	environment["ISTIO_META_SERVICE_ACCOUNT"] = p.account
	_, err = w.startProxy(p, waypoint, environment)
	return p, err
}

// servedToWaypoint does not run a waypoint: the listeners that istiod makes for one need filters that only Istio's build
// of Envoy has, and are refused for them alone. What was refused is read.
func servedToWaypoint(w *world) ([]string, error) {
	if err := w.exchange(waypoint); err != nil {
		return nil, err
	}
	p, err := w.startWaypoint()
	if err != nil {
		return nil, err
	}
	name := w.plugin.GetNamespace() + "." + w.plugin.GetName()
	var reasons []string
	err = eventually(w.ctx, "istiod serves the waypoint", func() error {
		clusters, err := p.admin("clusters")
		if err != nil {
			return err
		}
		if !strings.Contains(clusters, collectorCluster+"::"+w.collector.ip) {
			return errors.New("it has no cluster of the collector")
		}
		listeners, err := p.admin("config_dump?resource=dynamic_listeners")
		if err != nil {
			return err
		}
		reasons, err = refusals(listeners, "main_internal", name)
		return err
	})
	if err != nil {
		return nil, err
	}
	// A sidecar does not use the waypoint, and is not to call the provider in the clear instead.
	if err := eventually(w.ctx, "a sidecar's call is refused", func() error {
		_, err := w.refusesInTheHandshake(w.applications[0])
		return err
	}); err != nil {
		return nil, err
	}
	return append([]string{
		"a sidecar, which does not use the waypoint, refuses the call and sends nothing of it;",
		"only validated, not run. istiod serves the waypoint " + collectorCluster + " with the collector's address,",
		"and the plugin " + name + " in its listener main_internal; what Envoy refuses them for is Istio's own:",
	}, reasons...), nil
}

// refusals gives the reasons for which listeners were refused, if one of them holds a word, and all are Istio's own filters.
func refusals(dump, listener, word string) ([]string, error) {
	var page struct {
		Configs []struct {
			Name  string
			Error struct {
				Failed  json.RawMessage `json:"failed_configuration"`
				Details string
			} `json:"error_state"`
		}
	}
	if err := json.Unmarshal([]byte(dump), &page); err != nil {
		return nil, err
	}
	var reasons []string
	found := false
	for _, one := range page.Configs {
		details := one.Error.Details
		if details == "" || one.Name == "" {
			continue // the last refusal of each once more, without a name
		}
		if !strings.Contains(details, "peer_metadata") && !strings.Contains(details, "istio.double_hbone") {
			return nil, fmt.Errorf("listener %s: %s", one.Name, details)
		}
		reasons = append(reasons, "  "+one.Name+": "+details)
		found = found || one.Name == listener && strings.Contains(string(one.Error.Failed), word)
	}
	if !found {
		return nil, fmt.Errorf("there is no listener %s with %s among %d that were refused", listener, word, len(reasons))
	}
	return reasons, nil
}
