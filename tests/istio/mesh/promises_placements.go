package main

import (
	"fmt"
	"slices"
	"strings"
)

// ownModel is what the example of the placement sidecar-server serves.
const ownModel = "Qwen/Qwen3-8B"

// place puts another placement in, and starts the pod that its plugin runs in.
func (w *world) place(placement string, modelPort int) (*pod, error) {
	if err := w.exchange(placement); err != nil {
		return nil, err
	}
	made, err := w.manifests.runs("istio-proxy")
	if err != nil {
		return nil, err
	}
	p := podOf(made, made.name+"-1")
	if err := w.addPod(p, made.template.Spec.Containers); err != nil {
		return nil, err
	}
	var inbound []uint16
	if modelPort != 0 {
		if err := w.provider.serveModel(p, modelPort); err != nil {
			return nil, err
		}
		inbound = append(inbound, uint16(modelPort)) //nolint:gosec // a port
	}
	if err := redirect(p.network, inbound...); err != nil {
		return nil, fmt.Errorf("redirect to the sidecar: %w", err)
	}
	environment, err := made.environment("istio-proxy", p, w.data)
	if err != nil {
		return nil, err
	}
	proxy, err := w.startProxy(p, "sidecar", environment)
	if err != nil {
		return nil, err
	}
	return p, w.hasPlugin(p, proxy)
}

// exchange puts another placement in the place of the one before.
func (w *world) exchange(placement string, components ...string) error {
	next, err := readManifests(w.options.manifests, placement, components...)
	if err != nil {
		return err
	}
	w.store.Delete(w.plugin)
	if err := w.replace(w.manifests, next); err != nil {
		return err
	}
	w.manifests = next
	w.plugin, err = next.plugin()
	return err
}

// hasPlugin waits until a proxy is ready and has its plugin.
func (w *world) hasPlugin(p *pod, proxy *process) error {
	if err := w.proxyReady(p, proxy); err != nil {
		return err
	}
	return eventually(w.ctx, "the plugin is in "+p.name, func() error {
		filter, err := p.admin("config_dump?resource=ecds_filters")
		if err == nil && !strings.Contains(filter, "meshmeter-collector") {
			err = fmt.Errorf("it is not there:\n%s", tail(proxy.output(), 20))
		}
		return err
	})
}

// settledLines are those lines of the truth that fit, once the ledger has all of it.
func (w *world) settledLines(fits func(string) bool) ([]string, error) {
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(lines(truth), func(line string) bool { return !fits(line) }), nil
}

func inFrontOfModel(w *world) ([]string, error) {
	const port = 8000
	if _, err := w.place(sidecarServer, port); err != nil {
		return nil, err
	}
	const base = "http://vllm.models.svc.cluster.local"
	if err := eventually(w.ctx, "a first call", func() error {
		return w.applications[0].openai(w.ctx, base, ownModel, w.applications[0].namespace, false)
	}); err != nil {
		return nil, err
	}
	for i := range 39 {
		application := w.applications[i%len(w.applications)]
		if err := application.openai(w.ctx, base, ownModel, application.namespace, i%4 >= 2); err != nil {
			return nil, err
		}
	}
	evidence, err := w.settledLines(func(line string) bool { return strings.Contains(line, ownModel) })
	return append(evidence, "the tenant is the namespace in the certificate of the caller's sidecar"), err
}

func withItsOwnSidecar(w *world) ([]string, error) {
	p, err := w.place(sidecarClient, 0)
	if err != nil {
		return nil, err
	}
	application := p.application()
	application.tenant = p.namespace
	for range 40 {
		if err := application.call(w.ctx, p.namespace); err != nil {
			return nil, err
		}
	}
	evidence, err := w.settledLines(func(line string) bool { return strings.HasPrefix(line, p.namespace+",") })
	return append(evidence, "the sidecar itself speaks TLS to the providers; the tenant is a trusted header"), err
}
