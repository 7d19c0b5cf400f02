package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"
)

// forward passes connections on to a port inside a pod, as `kubectl port-forward` does. It ends with the run.
func (w *world) forward(p *pod, port int) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { <-w.ctx.Done(); _ = listener.Close() }()
	dial := dialer(p.network, false)
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := dial(w.ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, from) }()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
	return "http://" + listener.Addr().String(), nil
}

// finding is one of `meshmeter doctor`.
type finding struct{ Code, Severity, At, What string }

func (f finding) String() string { return f.Severity + " " + f.Code + ": " + f.What }

// doctor runs `meshmeter doctor` on the gateway's Envoy and the collector, through forwarded ports.
func (w *world) doctor() ([]finding, error) {
	if w.ports == nil {
		envoy, err := w.forward(w.gateway, adminPort)
		if err != nil {
			return nil, err
		}
		collector, err := w.forward(w.collector, collectorPort)
		if err != nil {
			return nil, err
		}
		w.ports = []string{"--envoy", envoy, "--collector", collector}
	}
	command := exec.Command(w.options.collector, append([]string{"doctor", "--format", "json"}, w.ports...)...)
	command.Env = []string{"MESHMETER_READ_TOKEN=" + w.data[readToken]}
	said, err := command.Output()
	var ended *exec.ExitError
	var stderr []byte
	if errors.As(err, &ended) {
		stderr = ended.Stderr
	} else if err != nil {
		return nil, err
	}
	var report struct{ Findings []finding }
	if err := json.Unmarshal(said, &report); err != nil {
		return nil, fmt.Errorf("meshmeter doctor: %w: %s%s", err, said, stderr)
	}
	return report.Findings, nil
}

// diagnosed waits until the doctor finds something of a kind, and gives it.
func (w *world) diagnosed(code string) (string, error) {
	deadline := time.Now().Add(patience)
	for {
		found, err := w.doctor()
		if err != nil {
			return "", err
		}
		for _, one := range found {
			if one.Code == code {
				return "meshmeter doctor: " + tail(one.String(), 1), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("meshmeter doctor does not find %s, but %v", code, found)
		}
	}
}

// healthy proves that the doctor has nothing to say against what the manifests bring.
func healthy(w *world) ([]string, error) {
	found, err := w.doctor()
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, one := range found {
		if one.Severity != "note" {
			return nil, fmt.Errorf("meshmeter doctor finds %v", found)
		}
		notes = append(notes, one.Code)
	}
	if len(notes) == 0 {
		notes = []string{"none"}
	}
	return []string{
		"it reads the gateway's port 15000 and the collector's 8080, forwarded as by `kubectl port-forward`",
		"notes: " + strings.Join(notes, ", "),
	}, nil
}

// budgeted sets a budget at the collector, turns budgets on in the plugin, and sees a call refused by the gateway.
func budgeted(w *world) ([]string, error) {
	if said, err := w.ledger.ask("budgets", "set", "research", "--tenant", teams[0], "--unit", "tokens",
		"--window", "month", "--limit", "1", "--who", "mesh", "--why", "a test"); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	off, err := w.diagnosed("budgets_off")
	if err != nil {
		return nil, err
	}
	before := w.plugin
	if _, err := w.change("assume_output_tokens", setConfig(map[string]any{"assume_output_tokens": int64(100)}, "budgets")); err != nil {
		return nil, err
	}
	var refused error
	if err := eventually(w.ctx, "a call of research is refused", func() error {
		refused = w.applications[0].call(w.ctx, w.applications[0].namespace)
		if refused == nil || !strings.Contains(refused.Error(), "429") {
			return fmt.Errorf("it ended with %v", refused)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := w.applications[1].call(w.ctx, w.applications[1].namespace); err != nil {
		return nil, fmt.Errorf("a call that the budget does not cover: %w", err)
	}
	note, err := w.diagnosed("budget_refused")
	if err != nil {
		return nil, err
	}
	// Whatever else there were, leases come.
	found, err := w.doctor()
	if err != nil {
		return nil, err
	}
	for _, one := range found {
		if one.Severity != "note" {
			return nil, fmt.Errorf("meshmeter doctor finds %v", found)
		}
	}
	if said, err := w.ledger.ask("budgets", "remove", "research", "--who", "mesh", "--why", "a test"); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	w.plugin = before
	if err := w.store.Put(before); err != nil {
		return nil, err
	}
	if err := eventually(w.ctx, "calls pass again", func() error {
		return w.applications[0].call(w.ctx, w.applications[0].namespace)
	}); err != nil {
		return nil, err
	}
	return []string{off, "research: " + tail(refused.Error(), 1), note}, nil
}
