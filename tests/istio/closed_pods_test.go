package istio

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
)

// Pods have no right that they do not need. Those of the sidecar placements are examples of a user's own.
func (a applied) judgePods(found *faults) {
	for _, pod := range a.workloads() {
		name := pod.Spec.ServiceAccountName
		if pod.Spec.HostNetwork || pod.Spec.HostPID || pod.Spec.HostIPC {
			found.add("pods of %s are in the node's namespaces", name)
		}
		isOurs := strings.HasPrefix(pod.Labels[collectorName], "meshmeter-")
		if isOurs && (pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken) {
			found.add("pods of %s have a token for Kubernetes", name)
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret != nil && (volume.Secret.DefaultMode == nil || *volume.Secret.DefaultMode&0o007 != 0) {
				found.add("the Secret %s can be read by every user of the pod", volume.Secret.SecretName)
			}
			if volume.HostPath != nil && name != reconcileName {
				found.add("pods of %s have %s of the node", name, volume.HostPath.Path)
			}
		}
		if !isOurs && pod.Labels["istio"] == "" {
			continue // Istio's own container, or a user's
		}
		for _, container := range pod.Spec.Containers {
			restrict(found, name, pod.Spec.SecurityContext, container.SecurityContext)
		}
	}
}

func restrict(found *faults, name string, of *corev1.PodSecurityContext, own *corev1.SecurityContext) {
	isTrue := func(flag *bool) bool { return flag != nil && *flag }
	if own == nil || of == nil {
		found.add("containers of %s are not restricted", name)
		return
	}
	if isTrue(own.Privileged) || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation || !isTrue(own.ReadOnlyRootFilesystem) {
		found.add("containers of %s may become more, or write", name)
	}
	if own.Capabilities == nil || len(own.Capabilities.Add) > 0 || !slices.Contains(own.Capabilities.Drop, "ALL") {
		found.add("containers of %s have capabilities", name)
	}
	isRoot := !isTrue(own.RunAsNonRoot) && !isTrue(of.RunAsNonRoot) || of.RunAsUser != nil && *of.RunAsUser == 0
	// The node's logs belong to root.
	if isRoot != (name == reconcileName) {
		found.add("containers of %s run as root: %v", name, isRoot)
	}
	if of.SeccompProfile == nil || of.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		found.add("containers of %s may call everything of the kernel", name)
	}
}

// Who sees a route can use it. Only the way to a gateway is for all; what leads out is for the proxies that meter.
func (a applied) judgeExports(found *faults) {
	own, all := []string{"."}, []string{"*"}
	isClient := len(spec[*networking.Gateway](a, "Gateway")) == 0 && a.metering().Labels["app"] != ""
	want := func(isForAll bool) []string {
		if isForAll {
			return all
		}
		return own
	}
	for id, entry := range spec[*networking.ServiceEntry](a, "ServiceEntry") {
		if !slices.Equal(entry.ExportTo, want(!isClient)) {
			found.add("ServiceEntry %s is for %q", id, entry.ExportTo)
		}
	}
	for id, service := range spec[*networking.VirtualService](a, "VirtualService") {
		if !slices.Equal(service.ExportTo, want(slices.Contains(service.Gateways, "mesh"))) {
			found.add("VirtualService %s is for %q", id, service.ExportTo)
		}
	}
	for id, rule := range spec[*networking.DestinationRule](a, "DestinationRule") {
		isWayOut := false
		for _, port := range rule.GetTrafficPolicy().GetPortLevelSettings() {
			isWayOut = isWayOut || slices.Contains(port.Tls.GetSubjectAltNames(), rule.Host)
			if port.Tls.GetMode() != networking.ClientTLSSettings_SIMPLE || len(port.Tls.GetSubjectAltNames()) == 0 {
				found.add("DestinationRule %s trusts whoever answers", id)
			}
		}
		if !slices.Equal(rule.ExportTo, want(!isWayOut)) {
			found.add("DestinationRule %s is for %q", id, rule.ExportTo)
		}
	}
}
