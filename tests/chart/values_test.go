package chart

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Values that no template could make sense of are refused: by the schema of values, or, where two do not go together, by
// the chart itself.
func TestWrongValuesAreRefused(t *testing.T) {
	provider := func(name string, hosts ...any) any { return Values{"name": name, "hosts": hosts} }
	image := func(key, value string) Values { return Values{"plugin": Values{"image": Values{key: value}}} }
	for name, wrong := range map[string]struct {
		values Values
		says   string
	}{
		"placement":             {Values{"placement": "egress"}, "placement"},
		"misspelt key":          {Values{"plugin": Values{"failStategy": "FAIL_OPEN"}}, "failStategy"},
		"fail strategy":         {Values{"plugin": Values{"failStrategy": "OPEN"}}, "failStrategy"},
		"kind":                  {Values{"plugin": Values{"kind": "EnvoyFilter"}}, "kind"},
		"database":              {Values{"collector": Values{"database": "mysql"}}, "database"},
		"database host":         {Values{"collector": Values{"databaseHost": "postgres://db"}}, "databaseHost"},
		"digest":                {image("digest", "latest"), "digest"},
		"host":                  {Values{"providers": []any{provider("a", "https://api.a.com")}}, "hosts"},
		"no host":               {Values{"providers": []any{provider("a")}}, "hosts"},
		"repository: a scheme":  {image("repository", "oci://registry.example.com/filter"), "repository"},
		"repository: a digest":  {image("repository", "registry.example.com/filter@sha256"), "repository"},
		"repository: a tag":     {image("repository", "registry.example.com/filter:1"), "repository"},
		"repository: a line":    {image("repository", "registry.example.com/filter\nimage: evil"), "repository"},
		"tag: empty":            {image("tag", ""), "tag"},
		"tag: a line":           {image("tag", "1\nphase: AUTHN"), "tag"},
		"storage: empty":        {Values{"collector": Values{"storage": Values{"size": ""}}}, "size"},
		"storage: no quantity":  {Values{"collector": Values{"storage": Values{"size": "20 GB"}}}, "size"},
		"storage class":         {Values{"collector": Values{"storage": Values{"className": "a: b"}}}, "className"},
		"label: no string":      {Values{"monitoring": Values{"labels": Values{"release": true}}}, "labels"},
		"selector: no string":   {Values{"reconcile": Values{"nodeSelector": Values{"pool": 1}}}, "nodeSelector"},
		"trust domain":          {Values{"trustDomain": "*"}, "trustDomain"},
		"trust domain: a colon": {Values{"trustDomain": "a:"}, "trustDomain"},
		"pull secret":           {Values{"plugin": Values{"imagePullSecret": "a: b"}}, "imagePullSecret"},
		"pull secrets":          {Values{"imagePullSecrets": []any{Values{"name": ""}}}, "imagePullSecrets"},
		"issuer":                {Values{"jwt": Values{"issuer": "https://a b"}}, "issuer"},
		"keys in the clear":     {Values{"jwt": Values{"jwksUri": "http://a.example.com"}}, "jwksUri"},
		"audience: empty":       {Values{"jwt": Values{"audiences": []any{""}}}, "audiences"},
		"no audience":           {Values{"jwt": Values{"audiences": []any{}}}, "audiences"},
		"image of a server":     {Values{"server": Values{"image": "a b"}}, "image"},
		"provider's name":       {Values{"server": Values{"provider": "a\nb"}}, "provider"},
		"namespace":             {Values{"gateway": Values{"namespace": "a.b"}}, "namespace"},
		"namespace: no string":  {Values{"gateway": Values{"namespace": 1234}}, "namespace"},

		"a provider twice": {Values{"providers": []any{provider("a", "api.a.com"), provider("a", "api.b.com")}}, "the name a is there twice"},
		"a host twice":     {Values{"extraProviders": []any{provider("mine", "api.openai.com")}}, "the host api.openai.com"},
		"a host twice in one": {
			Values{"providers": []any{provider("a", "api.a.com", "api.a.com")}}, "the host api.a.com",
		},
		"hosts that are called the same": {
			Values{"providers": []any{provider("a", "a.b-c.com"), provider("b", "a-b.c.com")}}, "the host a-b.c.com",
		},
		"more at least than at most": {
			Values{"gateway": Values{"autoscaling": Values{"minReplicas": 9}}}, "gateway.autoscaling",
		},
		"more at least than at most: waypoint": {
			Values{"placement": "waypoint", "waypoint": Values{"autoscaling": Values{"maxReplicas": 1}}}, "waypoint.autoscaling",
		},
		"proxies in the collector's namespace": {Values{"gateway": Values{"namespace": "meshmeter"}}, "must differ"},
		"a waypoint in the collector's namespace": {
			Values{"placement": "waypoint", "waypoint": Values{"namespace": "meshmeter"}}, "must differ",
		},
		"reconcile in the collector's namespace": {
			Values{"reconcile": Values{"enabled": true, "namespace": "meshmeter"}}, "must differ",
		},
		"reconcile in the proxies' namespace": {
			Values{"reconcile": Values{"enabled": true, "namespace": "istio-egress"}}, "must differ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(helmsOwn, wrong.values)
			if err == nil || !strings.Contains(err.Error(), wrong.says) {
				t.Errorf("%v: %v", wrong.values, err)
			}
		})
	}
}

// Images as registries name them.
func TestNamesOfImagesAreTaken(t *testing.T) {
	for _, repository := range []string{
		"filter", "meshmeter/filter", "localhost:5000/meshmeter/filter", "registry.example.com:5000/a/b_c/d--e.f", "10.0.0.1/filter",
	} {
		if _, err := Render(helmsOwn, Values{"plugin": Values{"image": Values{"repository": repository}}}); err != nil {
			t.Error(err)
		}
	}
}

// shape is what a document is made of: its keys and the kinds of its values.
func shape(of any) any {
	switch of := of.(type) {
	case map[string]any:
		shapes := map[string]any{}
		for key, value := range of {
			shapes[key] = shape(value)
		}
		return shapes
	case []any:
		var shapes []any
		for _, value := range of {
			shapes = append(shapes, shape(value))
		}
		return shapes
	}
	return fmt.Sprintf("%T", of)
}

// A string that YAML would take for a number, a truth or nothing is a string in what is rendered.
func TestStringsStayStrings(t *testing.T) {
	// The values with words of a kind.
	given := func(placement, word, host, url string, number int) Values {
		name := func(n int) string { return fmt.Sprintf("%s%d", word, number+n) }
		database := map[bool]string{true: "postgresql", false: "sqlite"}[placement == "waypoint"]
		own := Values{"image": url, "namespace": name(1), "name": word, "serviceAccount": word}
		return Values{
			"placement": placement, "revision": word, "imagePullSecrets": []any{Values{"name": word}},
			"plugin": Values{"imagePullSecret": word, "image": Values{"repository": name(0), "tag": name(0)}},
			"collector": Values{
				"namespace": name(2), "database": database, "databaseHost": host, "storage": Values{"className": word, "size": fmt.Sprint(number)},
				"image": Values{"repository": name(0), "tag": name(0)},
			},
			"reconcile": Values{"enabled": true, "namespace": name(3), "nodeSelector": Values{"kubernetes.io/os": word}},
			"gateway":   Values{"namespace": name(1), "name": word, "label": word, "serviceAccount": word},
			"waypoint":  Values{"namespace": name(1), "name": word},
			"server":    Values{"namespace": name(1), "name": word, "image": url, "provider": word, "args": []any{word}},
			"client":    own,
			"providers": []any{Values{"name": word, "hosts": []any{host}}},
			"jwt": Values{
				"enabled": placement != "sidecar-client", "issuer": url, "audiences": []any{word},
			},
			"monitoring": Values{"enabled": true, "namespace": word, "labels": Values{"release": word}},
		}
	}
	for _, placement := range []string{"egress-gateway", "waypoint", "sidecar-server", "sidecar-client"} {
		render := func(values Values) map[string]string {
			texts, err := Render(helmsOwn, values)
			if err != nil {
				t.Fatal(err)
			}
			return texts
		}
		plain := render(given(placement, "word", "api.example.com", "word", 1))
		for _, word := range []string{"1234", "on", "true", "null", "0x1f", "1e3", "010", "y"} {
			odd := render(given(placement, word, "1.e5", "1:"+word, 10))
			for template, text := range plain {
				want, have := strings.Split(text, "\n---\n"), strings.Split(odd[template], "\n---\n")
				for i := range want {
					var expected, object any
					if err := yaml.Unmarshal([]byte(want[i]), &expected); err != nil {
						t.Fatal(err)
					}
					if err := yaml.Unmarshal([]byte(have[i]), &object); err != nil {
						t.Errorf("%s: %s with %s: %v", placement, template, word, err)
					} else if want, have := fmt.Sprint(shape(expected)), fmt.Sprint(shape(object)); want != have {
						t.Errorf("%s: %s with %s:\n%s\nmust be\n%s", placement, template, word, have, want)
					}
				}
			}
		}
	}
}
