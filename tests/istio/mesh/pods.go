package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// podOf makes the pod of a workload of the manifests.
func podOf(made workload, name string) *pod {
	account := made.template.Spec.ServiceAccountName
	return &pod{
		name: name, namespace: made.namespace, account: account,
		labels: injected(made.template.Labels, made.name), annotations: made.template.Annotations,
	}
}

// startCollector starts the collector behind its sidecar.
func (w *world) startCollector() error {
	made, err := w.manifests.runs("meshmeter")
	if err != nil {
		return err
	}
	w.collector = podOf(made, made.name+"-0")
	if err := w.addPod(w.collector, made.template.Spec.Containers); err != nil {
		return err
	}
	if err := made.mountVolumes(w.collector, w.data); err != nil {
		return err
	}
	if err := redirect(w.collector.network, 8080); err != nil {
		return fmt.Errorf("redirect to the sidecar: %w", err)
	}
	if _, err := w.startProxy(w.collector, "sidecar", nil); err != nil {
		return err
	}
	if w.collecting, err = made.start("meshmeter", w.collector, w.data, w.options.collector); err != nil {
		return err
	}
	database, err := made.environment("meshmeter", w.collector, w.data)
	if err != nil {
		return err
	}
	w.ledger = ledger{w.options.collector, made.within("meshmeter", w.collector, database["MESHMETER_DATABASE"])}
	w.local = &http.Client{Transport: &http.Transport{DialContext: dialer(w.collector.network, false)}, Timeout: patience}
	return eventually(w.ctx, "the collector", func() error {
		if err := w.collecting.alive(); err != nil {
			return err
		}
		if code, text, err := get(w.local, "http://127.0.0.1:8080/readyz"); err != nil || code != http.StatusOK {
			return fmt.Errorf("%d %s %w", code, text, err)
		}
		return w.collector.ready()
	})
}

// startGateway starts the egress gateway as its Deployment and Istio's template `gateway` say.
func (w *world) startGateway() error {
	made, err := w.manifests.runs("istio-proxy")
	if err != nil {
		return err
	}
	w.gateway = podOf(made, made.name+"-1")
	if err := w.addPod(w.gateway, made.template.Spec.Containers); err != nil {
		return err
	}
	environment, err := made.environment("istio-proxy", w.gateway, w.data)
	if err != nil {
		return err
	}
	began := time.Now()
	if w.proxy, err = w.startProxy(w.gateway, "router", environment); err != nil {
		return err
	}
	if err := w.proxyReady(w.gateway, w.proxy); err != nil {
		return err
	}
	step("the egress gateway is ready after %s: pilot-agent, Envoy %s on Istio's bootstrap template",
		time.Since(began).Round(10*time.Millisecond), envoyVersion(w.gateway))
	return nil
}

func (w *world) proxyReady(p *pod, proxy *process) error {
	err := eventually(w.ctx, p.name, func() error {
		if err := proxy.alive(); err != nil {
			return err
		}
		return p.ready()
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(proxy.output(), 40))
	}
	return nil
}

func envoyVersion(p *pod) string {
	text, err := p.admin("server_info")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(line, ":"); found && strings.Contains(name, "version") {
			// "HASH/1.40.0/Clean/RELEASE/BoringSSL"
			if parts := strings.Split(value, "/"); len(parts) > 1 {
				return parts[1]
			}
		}
	}
	return "of an unknown version"
}

// startApplications starts a pod with a sidecar for each team.
func (w *world) startApplications() error {
	for _, team := range teams {
		p := &pod{
			name: "chat-1", namespace: team, account: "chat",
			labels: injected(map[string]string{"app": "chat"}, "chat"),
		}
		p.name = team + "-" + p.name
		if err := w.addPod(p, nil); err != nil {
			return err
		}
		if err := redirect(p.network); err != nil {
			return fmt.Errorf("redirect to the sidecar: %w", err)
		}
		proxy, err := w.startProxy(p, "sidecar", nil)
		if err != nil {
			return err
		}
		if err := w.proxyReady(p, proxy); err != nil {
			return err
		}
		w.applications = append(w.applications, p.application())
	}
	step("applications of %s are ready, each with its sidecar", strings.Join(teams, " and "))
	return nil
}

// journal is the log of the gateway's container.
func (w *world) journal() string { return filepath.Join(w.gateway.dir, "istio-proxy.log") }
