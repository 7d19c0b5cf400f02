// Package chart renders istio/chart, Helm's chart, by Helm's own code. The manifests that istio/ has for those who do
// not use Helm are what it renders, so the two cannot differ: `just manifests` writes them, and a test compares.
package chart

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// Values are what `helm install --set` or `-f` would give.
type Values = map[string]any

// Render gives what Helm makes of each template: its text by the template's file name. Templates that make nothing with
// these values are left out.
func Render(chart string, values Values) (map[string]string, error) {
	loaded, err := loader.Load(chart)
	if err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "meshmeter", Namespace: "meshmeter", IsInstall: true, Revision: 1}
	complete, err := util.ToRenderValues(loaded, values, release, nil)
	if err != nil {
		return nil, err
	}
	// Strict: a template that names a value which is not there is an error, not "<no value>".
	strict := engine.Engine{Strict: true}
	rendered, err := strict.Render(loaded, complete)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for name, text := range rendered {
		if strings.TrimSpace(text) != "" {
			texts[path.Base(name)] = strings.TrimLeft(text, "\n")
		}
	}
	return texts, nil
}

// Manifest is a file of istio/ that is rendered from a template.
type Manifest struct {
	// File is its path below istio/.
	File string
	// Template is what it is rendered from.
	Template string
	// Values is what the chart is given.
	Values Values
	// Kind restricts it to the objects of one kind; empty: all.
	Kind string
}

// placement gives the manifests of a placement that its kustomization applies.
func placement(name, own string, templates ...string) []Manifest {
	values := Values{"placement": name}
	var found []Manifest
	for _, template := range append(templates, own, "telemetry.yaml", "emitters.yaml") {
		found = append(found, Manifest{File: path.Join(name, template), Template: template, Values: values})
	}
	monitored := Values{"placement": name, "monitoring": Values{"enabled": true}}
	return append(found,
		Manifest{File: path.Join(name, "wasmplugin.yaml"), Template: "plugin.yaml", Values: values},
		Manifest{File: path.Join("monitoring", name+".yaml"), Template: "monitoring-proxies.yaml", Values: monitored},
	)
}

// Manifests lists the files of istio/ that are rendered.
func Manifests() []Manifest {
	collector := Values{"placement": "none"}
	all := []Manifest{
		{File: "collector/collector.yaml", Template: "collector.yaml", Values: collector},
		{File: "collector/policies.yaml", Template: "policies.yaml", Values: collector},
		{
			File: "postgresql/deployment.yaml", Template: "collector.yaml", Kind: "Deployment",
			Values: Values{"placement": "none", "collector": Values{"database": "postgresql"}},
		},
		{
			File: "reconcile/reconcile.yaml", Template: "reconcile.yaml",
			Values: Values{"reconcile": Values{"enabled": true}},
		},
		{
			File: "jwt/jwt.yaml", Template: "jwt.yaml",
			Values: Values{"jwt": Values{"enabled": true}},
		},
		{
			File: "monitoring/collector.yaml", Template: "monitoring.yaml",
			Values: Values{"placement": "none", "monitoring": Values{"enabled": true}},
		},
	}
	all = append(all, placement("egress-gateway", "gateway.yaml", "egress.yaml", "providers.yaml")...)
	all = append(all, placement("waypoint", "waypoint.yaml", "providers.yaml")...)
	all = append(all, placement("sidecar-server", "server.yaml")...)
	return append(all, placement("sidecar-client", "client.yaml", "providers.yaml")...)
}

// note is the last line of a file's opening comment.
const note = "# Rendered from istio/chart/templates/%s by `just manifests`: change it there."

// Text is what the file holds.
func (m Manifest) Text(chart string) ([]byte, error) {
	texts, err := Render(chart, m.Values)
	if err != nil {
		return nil, err
	}
	text, made := texts[m.Template]
	if !made {
		return nil, fmt.Errorf("%s: %s makes nothing with %v", m.File, m.Template, m.Values)
	}
	if m.Kind != "" {
		text = only(text, m.Kind)
	}
	return []byte(annotate(text, fmt.Sprintf(note, m.Template))), nil
}

// only keeps the documents of a kind.
func only(text, kind string) string {
	var kept []string
	for _, document := range strings.Split(text, "\n---\n") {
		if strings.Contains("\n"+document, "\nkind: "+kind+"\n") {
			kept = append(kept, document)
		}
	}
	return strings.Join(kept, "\n---\n")
}

// annotate puts a line behind the comment that a file begins with.
func annotate(text, line string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	end := 0
	for end < len(lines) && strings.HasPrefix(lines[end], "#") {
		end++
	}
	head, rest := lines[:end:end], lines[end:]
	var out bytes.Buffer
	for _, l := range append(append(head, "#", line), rest...) {
		// Directives leave blanks at the ends of lines.
		out.WriteString(strings.TrimRight(l, " "))
		out.WriteByte('\n')
	}
	return out.String()
}

// Rules are the alerts on the collector, which the chart has as a copy: beside a link to a file outside istio/, a copy of
// istio/ alone would not render.
const Rules = "chart/rules/collector.yaml"

// rules reads what they are a copy of.
func rules(istio string) ([]byte, error) {
	return os.ReadFile(filepath.Join(istio, "../envoy/prometheus/collector.yaml"))
}

// Write renders every manifest into istio/.
func Write(istio string) error {
	text, err := rules(istio)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(istio, Rules), text, 0o644); err != nil {
		return err
	}
	for _, m := range Manifests() {
		text, err := m.Text(filepath.Join(istio, "chart"))
		if err != nil {
			return err
		}
		file := filepath.Join(istio, m.File)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
