package istio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"istio.io/istio/pkg/wasm"
)

const (
	imageTool = "../../tools/image"
	account   = "gateway"
	password  = "a-password"
)

// published is the filter's image in a registry that asks who one is, as private ones do. What `just push` runs has put it
// there.
type published struct {
	challenge        *string // how the registry asks
	plugin           []byte
	repository       string // without a tag
	reference        string // by tag and digest, as push printed it
	dockerConfigJSON []byte // what lets one in
}

func publish(t *testing.T) published {
	t.Helper()
	dir := t.TempDir()
	tool := filepath.Join(dir, "image")
	do(t, nil, "go", "-C", imageTool, "build", "-o", tool, ".")

	// Without a realm: see the test of what Istio refuses.
	challenge := "Basic"
	p := published{challenge: &challenge, plugin: []byte("\x00asm\x01\x00\x00\x00")} // the least that is a module
	plugin := filepath.Join(dir, "filter.wasm")
	if built := os.Getenv("MESHMETER_WASM"); built != "" {
		var err error
		if p.plugin, err = os.ReadFile(built); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(plugin, p.plugin, 0o644); err != nil {
		t.Fatal(err)
	}
	do(t, nil, tool, "build", "--out", dir, "--version", "1.2.3", "--created", "0", "--licence", "../../LICENSE", "--filter", plugin)

	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, secret, _ := r.BasicAuth(); name != account || secret != password {
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")

	if out, err := push(tool, dir, host+"/meshmeter", t.TempDir()); err == nil || !strings.Contains(out, "401") {
		t.Fatalf("without credentials: %v\n%s", err, out)
	}
	login := t.TempDir() // as `docker login` leaves it
	auth := base64.StdEncoding.EncodeToString([]byte(account + ":" + password))
	p.dockerConfigJSON, _ = json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err := os.WriteFile(filepath.Join(login, "config.json"), p.dockerConfigJSON, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := push(tool, dir, host+"/meshmeter", login)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.repository = host + "/meshmeter/filter"
	printed := regexp.MustCompile(`(?m)^  plugin: (\S+)$`).FindStringSubmatch(out)
	if printed == nil || !strings.HasPrefix(printed[1], p.repository+":1.2.3@sha256:") {
		t.Fatalf("push printed no line for the manifests:\n%s", out)
	}
	p.reference = printed[1]
	return p
}

func push(tool, images, repository, dockerConfig string) (string, error) {
	command := exec.Command(tool, "push", images, repository)
	command.Env = append(os.Environ(), "DOCKER_CONFIG="+dockerConfig, "REGISTRY_AUTH_FILE=")
	out, err := command.CombinedOutput()
	return string(out), err
}

func do(t *testing.T, environment []string, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), environment...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// pull is what pilot-agent does for a WasmPlugin: `imagePullSecret`, `sha256`, and a cache that is empty at first.
func (p published) pull(t *testing.T, reference, sha256 string, secret []byte) ([]byte, error) {
	t.Helper()
	cache := wasm.NewLocalFileCache(t.TempDir(), wasm.Options{})
	defer cache.Cleanup()
	path, err := cache.Get("oci://"+reference, wasm.GetOptions{
		Checksum: sha256, ResourceName: "istio-egress.meshmeter", ResourceVersion: "1", RequestTimeout: 10 * time.Second, PullSecret: secret,
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func TestFidelityIstioPullsTheFilterImage(t *testing.T) {
	p := publish(t)
	_, digest, _ := strings.Cut(p.reference, "@sha256:")
	for _, c := range []struct{ way, reference, sha256 string }{
		{"by tag", p.repository + ":1.2.3", ""},
		{"by digest", p.repository + "@sha256:" + digest, ""},
		{"by tag and digest, as push prints it", p.reference, ""},
		{"by tag with spec.sha256", p.repository + ":1.2.3", digest},
	} {
		got, err := p.pull(t, c.reference, c.sha256, p.dockerConfigJSON)
		if err != nil || !bytes.Equal(got, p.plugin) {
			t.Errorf("%s: %d bytes of %d, %v", c.way, len(got), len(p.plugin), err)
		}
	}
	wrong := strings.Repeat("0", 64)
	for _, c := range []struct {
		way, reference, sha256, reason string
		secret                         []byte
	}{
		{"a wrong spec.sha256", p.repository + ":1.2.3", wrong, "does not match", p.dockerConfigJSON},
		{"a digest that nothing has", p.repository + "@sha256:" + wrong, "", "MANIFEST_UNKNOWN", p.dockerConfigJSON},
		{"a tag that nothing has", p.repository + ":9", "", "MANIFEST_UNKNOWN", p.dockerConfigJSON},
		{"no imagePullSecret", p.reference, "", "401", []byte(`{"auths":{}}`)},
	} {
		got, err := p.pull(t, c.reference, c.sha256, c.secret)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s gave %d bytes, %v", c.way, len(got), err)
		}
	}

	// docs/installation.md says so. When this fails, Istio has learned it, and the sentence goes.
	*p.challenge = `Basic realm="Registry Realm"`
	if _, err := p.pull(t, p.reference, "", p.dockerConfigJSON); err == nil || !strings.Contains(err.Error(), "unsafe bearer realm") {
		t.Errorf("a registry that names a realm for Basic authentication, as registry:2 does with htpasswd: %v", err)
	}
}
