package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// change edits the plugin's resource, as `kubectl edit` would, and waits until the gateway has it. It says how long that
// took. `here` must be a part of the new filter's configuration only.
func (w *world) change(here string, edit func(spec map[string]any) error) (time.Duration, error) {
	if err := w.edit(edit); err != nil {
		return 0, err
	}
	began := time.Now()
	err := eventually(w.ctx, fmt.Sprintf("the gateway's filter has %q", here), func() error {
		filter, err := w.gateway.admin("config_dump?resource=ecds_filters")
		if err != nil {
			return err
		}
		if !strings.Contains(filter, here) {
			return fmt.Errorf("it is\n%s", tail(filter, 40))
		}
		return nil
	})
	return time.Since(began).Round(10 * time.Millisecond), err
}

// edit changes the resource without waiting.
func (w *world) edit(edit func(spec map[string]any) error) error {
	changed := w.plugin.DeepCopy()
	spec, ok := changed.Object["spec"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no spec", changed.GetName())
	}
	if err := edit(spec); err != nil {
		return err
	}
	w.plugin = changed
	return w.store.Put(changed)
}

// ofPlugin gives the part of a spec that describes the module: all of a WasmPlugin, `wasm` of a TrafficExtension.
func ofPlugin(spec map[string]any) map[string]any {
	if wasm, ok := spec["wasm"].(map[string]any); ok {
		return wasm
	}
	return spec
}

func setURL(url string) func(map[string]any) error {
	return func(spec map[string]any) error {
		ofPlugin(spec)["url"] = url
		return nil
	}
}

func setConfig(value any, key ...string) func(map[string]any) error {
	return func(spec map[string]any) error {
		path := append([]string{"pluginConfig"}, key...)
		return unstructured.SetNestedField(ofPlugin(spec), value, path...)
	}
}

// events are the records in the gateway's log: the journal.
func (w *world) events() ([]event, error) {
	var found []event
	for _, line := range w.proxy.says(`"meshmeter.call.v1"`) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("the journal has %q: %w", line, err)
		}
		found = append(found, e)
	}
	return found, nil
}

// event is what is read of a record.
type event struct {
	ID   string `json:"id"`
	Data struct {
		Emitter      string     `json:"emitter"`
		TenantSource string     `json:"tenant_source"`
		Principal    string     `json:"principal"`
		Tags         [][]string `json:"tags"`
	} `json:"data"`
}

func (e event) hasTag(name, value string) bool {
	for _, tag := range e.Data.Tags {
		if len(tag) >= 2 && tag[0] == name && tag[1] == value {
			return true
		}
	}
	return false
}
