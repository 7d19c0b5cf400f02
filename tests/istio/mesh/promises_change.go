package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A header that the applications send from the beginning, and of which the plugin is told later.
const (
	rolloutHeader = "x-rollout"
	rolloutValue  = "two"
)

// underLoad changes something while calls are made, and says how many were made in all.
func (w *world) underLoad(change func() error) (int, error) {
	l := w.startLoad()
	more := func(calls int) error {
		from := l.sofar()
		return eventually(w.ctx, "calls are made", func() error {
			if made := l.sofar() - from; made < calls {
				return fmt.Errorf("%d of %d", made, calls)
			}
			return nil
		})
	}
	err := more(60)
	if err == nil {
		err = change()
	}
	if err == nil {
		err = more(120)
	}
	made, failed := l.stop()
	if err == nil {
		err = failed
	}
	return made, err
}

func configured(w *world) ([]string, error) {
	var took time.Duration
	made, err := w.underLoad(func() error {
		var err error
		took, err = w.change(rolloutHeader, setConfig([]any{map[string]any{
			"name": "rollout", "from": "header", "header": rolloutHeader, "trusted": true,
		}}, "tags"))
		return err
	})
	if err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	events, err := w.events()
	if err != nil {
		return nil, err
	}
	tagged := 0
	for _, event := range events {
		if event.hasTag("rollout", rolloutValue) {
			tagged++
		}
	}
	if tagged == 0 {
		return nil, fmt.Errorf("none of %d records has the tag that the new configuration gives", len(events))
	}
	return []string{
		fmt.Sprintf("in the gateway %s after it was saved", took),
		fmt.Sprintf("%d calls meanwhile; all %d calls so far are charged once, gaps = 0; %d records have the new tag",
			made, sum(truth).Calls, tagged),
	}, nil
}

func upgraded(w *world) ([]string, error) {
	digest, err := w.images.push("meshmeter/filter:0.2.0", w.options.wasm, "release 0.2.0")
	if err != nil {
		return nil, err
	}
	before, err := w.gateway.stat("wasm.envoy.wasm.runtime.v8.created")
	if err != nil {
		return nil, err
	}
	w.image = "oci://registry.example.com/meshmeter/filter@" + digest
	hex := strings.TrimPrefix(digest, "sha256:")
	var took time.Duration
	made, err := w.underLoad(func() error {
		old, err := w.emitters()
		if err != nil {
			return err
		}
		began := time.Now()
		if err := w.edit(setURL(w.image)); err != nil {
			return err
		}
		// The agent pulls it, and tells Envoy a file of its own.
		if err := eventually(w.ctx, "new VMs", func() error {
			now, err := w.gateway.stat("wasm.envoy.wasm.runtime.v8.created")
			if err == nil && now <= before {
				err = fmt.Errorf("%d VMs were created, %d before", now, before)
			}
			return err
		}); err != nil {
			return fmt.Errorf("%w\n%s", err, tail(strings.Join(w.proxy.says("asm"), "\n"), 10))
		}
		// VMs that were made need not be at work.
		if err := eventually(w.ctx, "the new code meters", func() error { return w.newEmitter(old) }); err != nil {
			return err
		}
		took = time.Since(began).Round(10 * time.Millisecond)
		return nil
	})
	if err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("sha256:%s…, it meters %s after it was saved", hex[:12], took),
		fmt.Sprintf("%d calls meanwhile; all %d calls so far are charged once, gaps = 0", made, sum(truth).Calls),
	}, nil
}

// fires says whether an alert of istio/monitoring does what it should at last.
func (w *world) fires(m *prometheus, name string, wanted bool) (evidence string, err error) {
	rules, err := readManifests(w.options.manifests, monitoring)
	if err != nil {
		return "", err
	}
	return evidence, eventually(w.ctx, "alert "+name, func() error {
		found, err := m.alert(w.ctx, rules, name)
		if err != nil {
			return err
		}
		if (len(found) > 0) != wanted {
			return fmt.Errorf("it finds %v", found)
		}
		evidence = fmt.Sprintf("alert %s: %s", name, strings.Join(found, ", "))
		return nil
	})
}

func refused(w *world) ([]string, error) {
	ctx, end := context.WithCancel(w.ctx)
	defer end()
	scraped := watch(ctx, target{"http://" + istiodIP + ":15014/metrics", nil})
	good := w.plugin
	rejected := func() ([]string, error) {
		_, text, err := get(nil, "http://"+istiodIP+":15014/metrics")
		var found []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "pilot_total_xds_rejects") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		return found, err
	}
	before, err := rejected()
	if err != nil {
		return nil, err
	}
	if err := w.edit(setConfig(map[string]any{"cluster": "nowhere"}, "colector")); err != nil {
		return nil, err
	}
	var counted []string
	if err := eventually(w.ctx, "istiod counts a refusal", func() error {
		now, err := rejected()
		if err != nil {
			return err
		}
		if fmt.Sprint(now) == fmt.Sprint(before) {
			return fmt.Errorf("it counts %v", now)
		}
		counted = now
		return nil
	}); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, tail(strings.Join(w.proxy.says("colector"), "\n"), 5))
	}
	said, told := w.proxy.says("colector", "unknown"), w.istiod.says("ECDS", "ERROR")
	if len(said) == 0 || len(told) == 0 {
		return nil, fmt.Errorf("the gateway's log has %d lines on the wrong key, istiod's %d", len(said), len(told))
	}
	if err := w.some(20, ""); err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	fired, err := w.fires(scraped, "MeshmeterConfigurationRefused", true)
	if err != nil {
		return nil, err
	}
	found, err := w.diagnosed("configuration_refused")
	if err != nil {
		return nil, err
	}
	w.plugin = good
	if err := w.store.Put(good); err != nil {
		return nil, err
	}
	return []string{
		fired,
		"istiod: " + strings.Join(counted, ", "),
		"the gateway's log: " + tail(said[0], 1),
		"istiod's log: " + tail(told[0], 1),
		found,
		fmt.Sprintf("%d calls, all charged once: the configuration before is at work", sum(truth).Calls),
	}, nil
}

func unpulled(w *world) ([]string, error) {
	ctx, end := context.WithCancel(w.ctx)
	defer end()
	scraped := watch(ctx, w.gateway.target())
	if _, err := w.fires(scraped, "MeshmeterPluginNotPulled", false); err != nil {
		return nil, err
	}
	took, err := w.change("wasm-default-allow", setURL("oci://registry.example.com/meshmeter/filter:absent"))
	if err != nil {
		return nil, err
	}
	said := w.proxy.says("cannot fetch Wasm module")
	if len(said) == 0 {
		return nil, fmt.Errorf("the agent does not say that it cannot fetch the module")
	}
	before, err := w.ledger.charged()
	if err != nil {
		return nil, err
	}
	if err := w.some(20, unmetered); err != nil {
		return nil, fmt.Errorf("FAIL_OPEN does not pass calls: %w", err)
	}
	passed := 0
	for to, sum := range w.provider.all() {
		if to.user == unmetered {
			passed += sum.Calls
		}
	}
	fired, err := w.fires(scraped, "MeshmeterPluginNotPulled", true)
	if err != nil {
		return nil, err
	}
	found, err := w.diagnosed("plugin_not_fetched")
	if err != nil {
		return nil, err
	}
	healed, err := w.change("meshmeter-collector", setURL(w.image))
	if err != nil {
		return nil, err
	}
	if err := w.some(20, ""); err != nil {
		return nil, err
	}
	after, err := w.settled()
	if err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("after %s the gateway has a filter that allows everything; the agent's log: %s", took, tail(said[0], 1)),
		fired,
		found,
		fmt.Sprintf("%d calls passed, and none of them is in the ledger", passed),
		fmt.Sprintf("the good image heals it in %s: of the next 40 calls %d are charged", healed, sum(after).Calls-sum(before).Calls),
	}, nil
}

func extended(w *world) ([]string, error) {
	before, err := w.emitters()
	if err != nil {
		return nil, err
	}
	// The component takes the WasmPlugin out.
	if err := w.exchange(egressGateway, trafficExtension); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := eventually(w.ctx, "the TrafficExtension meters", func() error {
		if err := w.some(1, ""); err != nil {
			return err
		}
		return w.newEmitter(before)
	}); err != nil {
		return nil, err
	}
	took := time.Since(began).Round(10 * time.Millisecond)
	if err := w.some(20, ""); err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("component %s: it meters after %s; all %d calls so far are charged once", trafficExtension, took,
			sum(truth).Calls),
	}, nil
}

// doubled adds the WasmPlugin again.
func doubled(w *world) ([]string, error) {
	both, err := readManifests(w.options.manifests, egressGateway)
	if err != nil {
		return nil, err
	}
	second, err := both.plugin()
	if err != nil {
		return nil, err
	}
	if err := w.store.Put(second); err != nil {
		return nil, err
	}
	aside := func() (int, error) {
		found, err := w.gateway.metrics()
		return found.total("meshmeter_calls_already_metered_total", nil), err
	}
	if err := eventually(w.ctx, "a second instance stands aside", func() error {
		if err := w.some(1, ""); err != nil {
			return err
		}
		if count, err := aside(); err != nil || count == 0 {
			return fmt.Errorf("meshmeter_calls_already_metered_total is %d, %w", count, err)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := w.some(20, ""); err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	count, err := aside()
	if err != nil {
		return nil, err
	}
	found, err := w.diagnosed("plugin_twice")
	if err != nil {
		return nil, err
	}
	w.store.Delete(second)
	return []string{
		fmt.Sprintf("meshmeter_calls_already_metered_total is %d; all %d calls so far are charged once", count, sum(truth).Calls),
		found,
	}, nil
}

// emitters are the workers that have written records.
func (w *world) emitters() (map[string]bool, error) {
	events, err := w.events()
	found := map[string]bool{}
	for _, event := range events {
		found[event.Data.Emitter] = true
	}
	return found, err
}

// newEmitter is an error as long as only these have made records.
func (w *world) newEmitter(before map[string]bool) error {
	now, err := w.emitters()
	if err != nil {
		return err
	}
	for emitter := range now {
		if !before[emitter] {
			return nil
		}
	}
	return fmt.Errorf("there is no new emitter")
}
