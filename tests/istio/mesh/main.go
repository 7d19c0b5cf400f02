// mesh runs the manifests of istio/ by Istio's own control plane and proves what the guide promises, without Kubernetes.
//
// Unmodified: pilot-discovery, which serves the manifests, signs certificates and answers the proxies; pilot-agent, which
// pulls the plugin from a registry and starts Envoy on Istio's bootstrap template; Envoy; the collector; the manifests.
// Imitated: Kubernetes' API (../kubeapi), the kubelet (a pod is a network and a mount namespace, see pod.go), DNS, the
// provider, which speaks real TLS. What else differs from a cluster is printed at the start.
//
// Everything runs in namespaces of its own and ends with this process. It needs Linux, and either root or user namespaces.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are where the parts are.
type options struct {
	envoy, wasm, collector, istio, source, manifests string
	only                                             string
	keep, hold                                       bool
}

func main() {
	var o options
	flag.StringVar(&o.envoy, "envoy", os.Getenv("MESHMETER_ENVOY"), "Envoy's `binary`")
	flag.StringVar(&o.wasm, "wasm", os.Getenv("MESHMETER_WASM"), "the plugin's `module`")
	flag.StringVar(&o.collector, "collector", os.Getenv("MESHMETER_COLLECTOR"), "the collector's `binary`")
	flag.StringVar(&o.istio, "istio", "", "`directory` with pilot-discovery and pilot-agent")
	flag.StringVar(&o.source, "source", "", "`directory` of Istio's source: go list -m -f '{{.Dir}}' istio.io/istio")
	flag.StringVar(&o.manifests, "manifests", defaultManifests, "`directory` of a kustomization")
	flag.BoolVar(&o.keep, "keep", false, "keep the logs, and say where they are")
	flag.StringVar(&o.only, "only", "", "prove only the promises that hold this `word`")
	flag.BoolVar(&o.hold, "hold", false, "leave everything running at the end, until it is interrupted")
	flag.Parse()
	if err := o.check(); err != nil {
		fail(err)
	}
	if !isInside() {
		os.Exit(enter())
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "mesh:", err)
	os.Exit(1)
}

// check makes the paths absolute, because the parts run in directories of their own.
func (o *options) check() error {
	var missing error
	for _, part := range []struct {
		name string
		path *string
	}{
		{"-envoy", &o.envoy}, {"-wasm", &o.wasm}, {"-collector", &o.collector}, {"-istio", &o.istio},
		{"-source", &o.source},
		{"-manifests", &o.manifests},
	} {
		if *part.path == "" {
			missing = errors.Join(missing, fmt.Errorf("%s is not given", part.name))
			continue
		}
		absolute, err := filepath.Abs(*part.path)
		if err != nil {
			return err
		}
		*part.path = absolute
		if _, err := os.Stat(absolute); err != nil {
			missing = errors.Join(missing, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	if !anyHolds(o.only) {
		missing = errors.Join(missing, fmt.Errorf("-only: no promise holds %q", o.only))
	}
	return missing
}

func run(ctx context.Context, o options) (failed error) {
	started := time.Now()
	dir, err := os.MkdirTemp("", "meshmeter-mesh-")
	if err != nil {
		return err
	}
	defer func() {
		if failed != nil || o.keep {
			fmt.Println("logs are in", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "mesh:", err)
		}
	}()
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return err
	}
	defer w.stop()
	failed = w.prove()
	if o.hold {
		fmt.Println("running; logs are in", dir)
		<-ctx.Done()
	}
	if failed != nil {
		return failed
	}
	whole := "all of it"
	if o.only != "" {
		whole = "what was asked for"
	}
	fmt.Printf("%s held, in %s\n", whole, time.Since(started).Round(time.Second))
	return nil
}
