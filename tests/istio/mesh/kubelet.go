package main

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What Kubernetes' controllers and the kubelet would write: pods, and the endpoints of services.

func untyped(apiVersion, kind string, typed any) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: fields}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	return object, nil
}

// injected are the labels that Istio's injector adds.
func injected(labels map[string]string, name string) map[string]string {
	all := map[string]string{
		"security.istio.io/tlsMode":           "istio",
		"service.istio.io/canonical-name":     name,
		"service.istio.io/canonical-revision": "latest",
	}
	maps.Copy(all, labels)
	return all
}

// object is the pod as the API has it, running and ready.
func (p *pod) object(containers []corev1.Container) (*unstructured.Unstructured, error) {
	names := make([]corev1.Container, len(containers))
	for i, container := range containers {
		names[i] = corev1.Container{Name: container.Name, Image: container.Image}
		for _, port := range container.Ports {
			if port.Protocol == "" {
				port.Protocol = corev1.ProtocolTCP // as the API server would
			}
			names[i].Ports = append(names[i].Ports, port)
		}
	}
	return untyped("v1", "Pod", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.name, Namespace: p.namespace, Labels: p.labels, Annotations: p.annotations,
		},
		Spec: corev1.PodSpec{ServiceAccountName: p.account, NodeName: "node", Containers: names},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}}, HostIP: nodeIP,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	})
}

// endpoints is the slice of a service that one pod makes.
func endpoints(service *corev1.Service, p *pod, containers []corev1.Container) (*unstructured.Unstructured, error) {
	ready, tcp := true, corev1.ProtocolTCP
	slice := &discovery.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service.Name + "-" + p.name, Namespace: service.Namespace,
			Labels: map[string]string{discovery.LabelServiceName: service.Name},
		},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints: []discovery.Endpoint{{
			Addresses: []string{p.ip}, Conditions: discovery.EndpointConditions{Ready: &ready, Serving: &ready},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p.name, Namespace: p.namespace},
		}},
	}
	for _, port := range service.Spec.Ports {
		number, err := targetPort(port, containers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", service.Name, err)
		}
		name := port.Name
		slice.Ports = append(slice.Ports, discovery.EndpointPort{
			Name: &name, Port: &number, Protocol: &tcp, AppProtocol: port.AppProtocol,
		})
	}
	return untyped("discovery.k8s.io/v1", "EndpointSlice", slice)
}

func targetPort(port corev1.ServicePort, containers []corev1.Container) (int32, error) {
	if port.TargetPort.Type == intstr.Int {
		if port.TargetPort.IntVal == 0 {
			return port.Port, nil
		}
		return port.TargetPort.IntVal, nil
	}
	for _, container := range containers {
		for _, have := range container.Ports {
			if have.Name == port.TargetPort.StrVal {
				return have.ContainerPort, nil
			}
		}
	}
	return 0, fmt.Errorf("no container has a port %s", port.TargetPort.StrVal)
}
