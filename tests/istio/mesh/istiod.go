package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

// serveKubernetes starts the imitated API with Istio's and the Gateway API's definitions.
func serveKubernetes(source string, tokens func(string) (kubeapi.Account, bool)) (*kubeapi.Store, string, error) {
	store := kubeapi.NewStore()
	for _, file := range []string{
		"manifests/charts/base/files/crd-all.gen.yaml", "tests/integration/pilot/testdata/gateway-api-crd.yaml",
	} {
		if err := store.PutFile(filepath.Join(source, file)); err != nil {
			return nil, "", err
		}
	}
	listener, err := net.Listen("tcp", nodeIP+":0")
	if err != nil {
		return nil, "", err
	}
	server := &http.Server{Handler: &kubeapi.Server{Store: store, Tokens: tokens}, ReadHeaderTimeout: patience}
	// It ends with the process.
	go func() { _ = server.Serve(listener) }()
	return store, listener.Addr().String(), nil
}

// startIstiod starts pilot-discovery as Istio's chart does, but for the differences that are printed.
func startIstiod(o options, dir, kubernetes string, mesh map[string]any) (*process, error) {
	dir = filepath.Join(dir, "istiod")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	kubeconfig, meshConfig := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "mesh")
	if err := kubeapi.WriteKubeconfig(kubeconfig, kubernetes); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(mesh)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(meshConfig, text, 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(filepath.Join(o.istio, "pilot-discovery"), "discovery",
		"--kubeconfig", kubeconfig, "--meshConfig", meshConfig, "--domain", "cluster.local",
		"--httpAddr", istiodIP+":8080", "--grpcAddr", istiodIP+":15010", "--secureGRPCAddr", istiodIP+":15012",
		"--monitoringAddr", istiodIP+":15014", "--httpsAddr=", "--ctrlz_port", "0",
		"--log_output_level", "default:info")
	command.Dir = dir
	command.Env = append(os.Environ(),
		"POD_NAME=istiod", "POD_NAMESPACE=istio-system", "REVISION=default", "PILOT_CERT_PROVIDER=istiod",
		// The chart's profile ambient; this program makes the waypoint's pod.
		"PILOT_ENABLE_AMBIENT=true", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false",
		"INJECT_ENABLED=false", "VALIDATION_WEBHOOK_CONFIG_NAME=",
		"PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false")
	return start("istiod", filepath.Join(dir, "istiod.log"), command)
}

func istiodReady() error {
	code, _, err := get(nil, "http://"+istiodIP+":8080/ready")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("it says %d", code)
	}
	return nil
}

// get reads a page; without a client from the node.
func get(client *http.Client, url string) (int, string, error) {
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Get(url) //nolint:noctx // pages of the test's own parts
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(text)), err
}
