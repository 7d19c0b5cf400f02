package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// defaultManifests has the kustomizations, seen from tests/istio: one for each placement.
const defaultManifests = "../../istio"

const (
	egressGateway    = "egress-gateway"
	trafficExtension = "traffic-extension"
	sidecarServer    = "sidecar-server"
	sidecarClient    = "sidecar-client"
	waypoint         = "waypoint"
	monitoring       = "monitoring"
)

// meshFile has the settings of the mesh, beside the placements.
const meshFile = "mesh.yaml"

// manifests is what `kubectl apply -k` would bring.
type manifests struct {
	objects []*unstructured.Unstructured
	// Fields of the mesh's configuration.
	mesh map[string]any
}

// readManifests builds the kustomization of a placement, with components if any are named.
func readManifests(dir, placement string, components ...string) (*manifests, error) {
	path := filepath.Join(dir, placement)
	if len(components) > 0 {
		overlay, err := os.MkdirTemp("", "meshmeter-overlay-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(overlay)
		if err := writeOverlay(overlay, dir, placement, components); err != nil {
			return nil, err
		}
		path = overlay
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		return nil, err
	}
	m := &manifests{}
	for _, resource := range built.Resources() {
		text, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return nil, err
		}
		m.objects = append(m.objects, object)
	}
	text, err := os.ReadFile(filepath.Join(dir, meshFile))
	if err != nil {
		return nil, err
	}
	var values struct {
		MeshConfig map[string]any `json:"meshConfig"`
	}
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", meshFile, err)
	}
	m.mesh = values.MeshConfig
	return m, nil
}

// writeOverlay makes a kustomization as a user would: a placement and components.
func writeOverlay(overlay, dir, placement string, components []string) error {
	up, err := filepath.Rel(overlay, dir)
	if err != nil {
		return err
	}
	kustomization := map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{filepath.Join(up, placement)},
	}
	var paths []string
	for _, component := range components {
		paths = append(paths, filepath.Join(up, component))
	}
	kustomization["components"] = paths
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), text, 0o600)
}

// all gives the objects of a kind.
func (m *manifests) all(kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range m.objects {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

// plugin gives the resource of the plugin, of whichever kind.
func (m *manifests) plugin() (*unstructured.Unstructured, error) {
	found := append(m.all("WasmPlugin"), m.all("TrafficExtension")...)
	if len(found) != 1 {
		return nil, fmt.Errorf("the manifests hold %d plugins, expected one", len(found))
	}
	return found[0], nil
}

// workload is what makes pods: a Deployment or a StatefulSet.
type workload struct {
	kind, name, namespace string
	template              corev1.PodTemplateSpec
}

// runs finds the one workload that has a container of this name.
func (m *manifests) runs(container string) (workload, error) {
	var found []workload
	for _, object := range m.objects {
		w := workload{kind: object.GetKind(), name: object.GetName(), namespace: object.GetNamespace()}
		switch w.kind {
		case "Deployment":
			var typed appsv1.Deployment
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
				return w, err
			}
			w.template = typed.Spec.Template
		case "StatefulSet":
			var typed appsv1.StatefulSet
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
				return w, err
			}
			w.template = typed.Spec.Template
		default:
			continue
		}
		if slices.ContainsFunc(w.template.Spec.Containers, func(c corev1.Container) bool { return c.Name == container }) {
			found = append(found, w)
		}
	}
	if len(found) != 1 {
		return workload{}, fmt.Errorf("%d workloads have a container %s, expected one", len(found), container)
	}
	return found[0], nil
}

func (w workload) container(name string) corev1.Container {
	for _, c := range w.template.Spec.Containers {
		if c.Name == name {
			return c
		}
	}
	return corev1.Container{}
}

// environment resolves what a container's environment refers to: the data of Secrets are known as namespace/name/key.
func (w workload) environment(container string, p *pod, data map[string]string) (map[string]string, error) {
	resolved := map[string]string{}
	for _, variable := range w.container(container).Env {
		switch from := variable.ValueFrom; {
		case from == nil:
			resolved[variable.Name] = variable.Value
		case from.SecretKeyRef != nil:
			key := strings.Join([]string{w.namespace, from.SecretKeyRef.Name, from.SecretKeyRef.Key}, "/")
			value, ok := data[key]
			if !ok && (from.SecretKeyRef.Optional == nil || !*from.SecretKeyRef.Optional) {
				return nil, fmt.Errorf("%s: %s: there is no secret %s", w.name, variable.Name, key)
			}
			if ok {
				resolved[variable.Name] = value
			}
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.name":
			resolved[variable.Name] = p.name
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			resolved[variable.Name] = p.namespace
		case from.FieldRef != nil && from.FieldRef.FieldPath == "status.podIP":
			resolved[variable.Name] = p.ip
		default:
			return nil, fmt.Errorf("%s: %s: the imitated kubelet does not know %v", w.name, variable.Name, from)
		}
	}
	return resolved, nil
}

// mountVolumes makes the directories of a workload's volumes in the pod, and fills those that come from Secrets and
// ConfigMaps: their data are known as namespace/name/key.
func (w workload) mountVolumes(p *pod, data map[string]string) error {
	for _, container := range w.template.Spec.Containers {
		for _, mount := range container.VolumeMounts {
			if err := os.MkdirAll(p.volume(mount.Name), 0o700); err != nil {
				return err
			}
		}
	}
	for _, volume := range w.template.Spec.Volumes {
		from := ""
		switch {
		case volume.Secret != nil:
			from = volume.Secret.SecretName
		case volume.ConfigMap != nil:
			from = volume.ConfigMap.Name
		default:
			continue
		}
		filled := false
		for name, text := range data {
			if key, ok := strings.CutPrefix(name, w.namespace+"/"+from+"/"); ok {
				filled = true
				if err := os.WriteFile(filepath.Join(p.volume(volume.Name), key), []byte(text), 0o600); err != nil {
					return err
				}
			}
		}
		if !filled {
			return fmt.Errorf("%s: volume %s: there is no %s/%s", w.name, volume.Name, w.namespace, from)
		}
	}
	return nil
}

// within replaces the paths of a container's volumes by directories of the pod.
func (w workload) within(container string, p *pod, text string) string {
	pairs := []string{}
	for _, mount := range w.container(container).VolumeMounts {
		pairs = append(pairs, mount.MountPath, p.volume(mount.Name))
	}
	// At once: the directories of the pod are themselves below a path that may be one of a volume, /tmp.
	return strings.NewReplacer(pairs...).Replace(text)
}

// start runs a container of the workload with this program in the place of its image.
func (w workload) start(container string, p *pod, data map[string]string, program string) (*process, error) {
	environment, err := w.environment(container, p, data)
	if err != nil {
		return nil, err
	}
	for name, value := range environment {
		environment[name] = w.within(container, p, value)
	}
	command := []string{program}
	for _, argument := range w.container(container).Args {
		command = append(command, w.within(container, p, argument))
	}
	return p.run(container, environment, command...)
}

func (p *pod) volume(name string) string { return filepath.Join(p.dir, "volumes", name) }
