package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Ports of Istio's bootstrap.
const (
	readinessPort = 15021
	tunnelPort    = 15008
	statsPort     = 15090
	adminPort     = 15000
)

// collectorPort is where the collector listens in its pod, behind its sidecar.
const collectorPort = 8080

// startProxy starts pilot-agent as Istio's injector would have the kubelet do it. `more` is the container's own
// environment.
func (w *world) startProxy(p *pod, role string, more map[string]string) (*process, error) {
	root, ok := w.store.Get("ConfigMap", p.namespace, "istio-ca-root-cert")
	if !ok {
		return nil, fmt.Errorf("istiod has not written its root certificate for namespace %s", p.namespace)
	}
	data, _ := root.Object["data"].(map[string]any)
	certificate, _ := data["root-cert.pem"].(string)
	if err := p.write(map[string]string{"var/run/secrets/istio/root-cert.pem": certificate}); err != nil {
		return nil, err
	}
	environment := map[string]string{
		"PILOT_CERT_PROVIDER":          "istiod",
		"CA_ADDR":                      "istiod.istio-system.svc:15012",
		"POD_NAME":                     p.name,
		"POD_NAMESPACE":                p.namespace,
		"INSTANCE_IP":                  p.ip,
		"HOST_IP":                      nodeIP,
		"SERVICE_ACCOUNT":              p.account,
		"TRUST_DOMAIN":                 "cluster.local",
		"PEER_METADATA_DISCOVERY":      "false",
		"ISTIO_META_CLUSTER_ID":        "Kubernetes",
		"ISTIO_META_MESH_ID":           "cluster.local",
		"ISTIO_META_NODE_NAME":         "node",
		"ISTIO_META_WORKLOAD_NAME":     p.labels["service.istio.io/canonical-name"],
		"ISTIO_META_INTERCEPTION_MODE": "REDIRECT",
		// Istio's image has Envoy in its usual place. Two workers, as the smallest proxy that can get a race wrong.
		"PROXY_CONFIG": fmt.Sprintf("{binaryPath: %q, concurrency: 2}", w.options.envoy),
	}
	for key, value := range more {
		environment[key] = value
	}
	template, err := w.template(p, role)
	if err != nil {
		return nil, err
	}
	return p.run("istio-proxy", environment, filepath.Join(w.options.istio, "pilot-agent"), "proxy", role,
		"--domain", p.namespace+".svc.cluster.local",
		"--templateFile", template,
		"--proxyLogLevel=warning", "--proxyComponentLogLevel=wasm:info", "--log_output_level=default:info,wasm:debug")
}

// template is Istio's for Envoy's bootstrap. A waypoint's always has the discovery of workloads, an extension that only
// Istio's build of Envoy has: it is left out.
func (w *world) template(p *pod, role string) (string, error) {
	path := filepath.Join(w.options.source, "tools/packaging/common/envoy_bootstrap.json")
	if role != waypoint {
		return path, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	changed := strings.ReplaceAll(string(text), "{{- if .metadata_discovery }}", "{{- if false }}")
	if changed == string(text) {
		return "", errors.New("Istio's bootstrap template no longer has metadata_discovery")
	}
	return filepath.Join(p.dir, "envoy_bootstrap.json"), p.write(map[string]string{"envoy_bootstrap.json": changed})
}

// ready asks as the kubelet does.
func (p *pod) ready() error {
	code, text, err := get(nil, fmt.Sprintf("http://%s:%d/healthz/ready", p.ip, readinessPort))
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%d %s", code, text)
	}
	return nil
}

// admin reads a page of Envoy's administration, which listens inside the pod only.
func (p *pod) admin(path string) (string, error) {
	inside := &http.Client{
		Transport: &http.Transport{DialContext: dialer(p.network, false), DisableKeepAlives: true}, Timeout: patience,
	}
	code, text, err := get(inside, fmt.Sprintf("http://127.0.0.1:%d/%s", adminPort, path))
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("/%s: %d %s", path, code, text)
	}
	return text, err
}

// stat reads counters of Envoy whose names hold a word; it gives their sum.
func (p *pod) stat(word string) (int, error) {
	text, err := p.admin("stats?filter=" + word)
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range strings.Lines(text) {
		_, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		var number int
		if _, err := fmt.Sscanf(value, "%d", &number); err == nil {
			sum += number
		}
	}
	return sum, nil
}

// scrape reads the metrics as Prometheus would, from the port that Istio's bootstrap has for it.
func (p *pod) scrape() (string, error) {
	_, text, err := get(nil, fmt.Sprintf("http://%s:%d/stats/prometheus", p.ip, statsPort))
	return text, err
}
