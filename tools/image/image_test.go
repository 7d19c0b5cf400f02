package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// inputs is a directory with something to make images of: a WebAssembly module, and for each architecture a static
// program that does nothing. What runs is tested in started_test.go.
func inputs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"filter.wasm": "\x00asm\x01\x00\x00\x00",
		"LICENSE":     "a licence", "notices": "other licences", "sbom": `{"bomFormat":"CycloneDX"}`,
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		compile := exec.Command("go", "build", "-o", filepath.Join(dir, architecture), filepath.Join(dir, "main.go"))
		compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOFLAGS=")
		if said, err := compile.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	return dir
}

// make builds both images from the inputs into a new directory, with what else is asked for.
func makeImages(t *testing.T, from string, more ...string) (string, error) {
	t.Helper()
	to := t.TempDir()
	in := func(name string) string { return filepath.Join(from, name) }
	args := []string{"build", "--out", to, "--version", "1.2.3", "--revision", "abc", "--source", "https://example.com/m",
		"--created", "1700000000", "--licence", in("LICENSE"), "--filter", in("filter.wasm")}
	for _, name := range []string{"filter", "amd64", "arm64"} {
		args = append(args, "--sbom", name+"="+in("sbom"), "--notices", name+"="+in("notices"))
	}
	if len(more) == 0 {
		more = []string{"--collector", "arm64=" + in("arm64"), "--collector", "amd64=" + in("amd64")}
	}
	return to, run(append(args, more...), io.Discard)
}

func mustMake(t *testing.T, from string) string {
	t.Helper()
	to, err := makeImages(t, from)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func opened(t *testing.T, dir string) content {
	t.Helper()
	found, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDeterministicImagesHaveTheSameBytes(t *testing.T) {
	from := inputs(t)
	first := everything(t, mustMake(t, from))
	// Neither the times of the inputs nor where they are may matter.
	moved := t.TempDir()
	if err := os.CopyFS(moved, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(moved, "filter.wasm"), time.Now(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	second := everything(t, mustMake(t, moved))
	if len(first) == 0 || !reflect.DeepEqual(first, second) {
		t.Fatalf("the images differ: %v", differing(first, second))
	}
	if err := os.WriteFile(filepath.Join(moved, "LICENSE"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(first, everything(t, mustMake(t, moved))) {
		t.Fatal("another licence made no difference")
	}
}

// everything is the content of all files under a directory.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func differing(a, b map[string]string) []string {
	names := []string{}
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

func TestContractFilterIsIstiosCompatForm(t *testing.T) {
	image := opened(t, filepath.Join(mustMake(t, inputs(t)), filterName)).image
	if err := validate.Image(image); err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON {
		t.Errorf("the manifest is %s, its configuration %s", manifest.MediaType, manifest.Config.MediaType)
	}
	last := manifest.Layers[len(manifest.Layers)-1]
	if last.MediaType != "application/vnd.oci.image.layer.v1.tar+gzip" {
		t.Errorf("the last layer is %s", last.MediaType)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, layers[len(layers)-1]); !reflect.DeepEqual(names, []string{"plugin.wasm"}) {
		t.Errorf("the last layer holds %v", names)
	}
	papers := namesIn(t, layers[0])
	for _, name := range []string{"LICENSE", "THIRD-PARTY-LICENSES", "sbom.cdx.json"} {
		if !strings.Contains(strings.Join(papers, " "), "usr/share/doc/meshmeter/"+name) {
			t.Errorf("%s is not inside, only %v", name, papers)
		}
	}
	for label, value := range map[string]string{"version": "1.2.3", "revision": "abc", "source": "https://example.com/m",
		"created": "2023-11-14T22:13:20Z", "licenses": "Apache-2.0"} {
		if got := manifest.Annotations["org.opencontainers.image."+label]; got != value {
			t.Errorf("the annotation %s is %q, not %q", label, got, value)
		}
	}
}

func namesIn(t *testing.T, l v1.Layer) []string {
	t.Helper()
	packed, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	names := []string{}
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

func TestContractCollectorIsAnIndexOfBothArchitectures(t *testing.T) {
	index := opened(t, filepath.Join(mustMake(t, inputs(t)), collectorName)).index
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	platforms := []string{}
	for _, of := range manifest.Manifests {
		platforms = append(platforms, of.Platform.String())
		image, err := index.Image(of.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != of.Platform.Architecture {
			t.Errorf("%s has an image for %s", of.Platform, config.Architecture)
		}
		if config.Config.User != "65532:65532" {
			t.Errorf("it runs as %q", config.Config.User)
		}
	}
	if !reflect.DeepEqual(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("the index has %v", platforms)
	}
}

func TestContractWhatCannotStartIsRefused(t *testing.T) {
	from := inputs(t)
	dynamic := filepath.Join(from, "dynamic")
	if said, err := exec.Command("sh", "-c", "echo 'int main(void) { return 0; }' | cc -x c -o "+dynamic+" -").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	in := func(name string) string { return filepath.Join(from, name) }
	for _, refused := range []struct {
		name, reason string
		args         []string
	}{
		{"dynamic", "dynamically", []string{"--collector", "amd64=" + dynamic}},
		{"of another architecture", "EM_AARCH64", []string{"--collector", "amd64=" + in("arm64")}},
		{"no program", "no program for Linux", []string{"--collector", "amd64=" + in("LICENSE")}},
		{"of an unknown architecture", "no architecture", []string{"--collector", "s390x=" + in("amd64")}},
		{"no module", "no WebAssembly", []string{"--filter", in("amd64")}},
	} {
		_, err := makeImages(t, from, refused.args...)
		if err == nil || !strings.Contains(err.Error(), refused.reason) {
			t.Errorf("a binary that is %s: %v", refused.name, err)
		}
	}
}

func TestContractUnpackedIsWhatWasPacked(t *testing.T) {
	from := inputs(t)
	images, root := mustMake(t, from), t.TempDir()
	layout := filepath.Join(images, collectorName)
	if err := run([]string{"unpack", "--architecture", "arm64", layout, root}, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{
		collectorProgram: 0o755, collectorState: fs.ModeDir | 0o750, "tmp": fs.ModeDir | fs.ModeSticky | 0o777, "etc/passwd": 0o644,
	} {
		found, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if found.Mode() != mode {
			t.Errorf("%s has %v, not %v", name, found.Mode(), mode)
		}
	}
	packed, _ := os.ReadFile(filepath.Join(from, "arm64"))
	if unpacked, err := os.ReadFile(filepath.Join(root, collectorProgram)); err != nil || !bytes.Equal(packed, unpacked) {
		t.Errorf("the program is not the one for arm64 that was packed: %v", err)
	}
	if err := run([]string{"unpack", layout, root}, io.Discard); err == nil {
		t.Error("it unpacked over files that were there")
	}
}

func TestDeterministicArchiveIsTheLayout(t *testing.T) {
	layout, to := filepath.Join(mustMake(t, inputs(t)), collectorName), t.TempDir()
	packed := [2][]byte{}
	for i := range packed {
		at := filepath.Join(to, "image.tar")
		if err := run([]string{"archive", layout, at}, io.Discard); err != nil {
			t.Fatal(err)
		}
		packed[i], _ = os.ReadFile(at)
	}
	if len(packed[0]) == 0 || !bytes.Equal(packed[0], packed[1]) {
		t.Error("the archive differs the second time")
	}
	inside := map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(packed[0])); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(archive); header.Typeflag == tar.TypeReg {
			inside[header.Name] = string(text)
		}
	}
	if !reflect.DeepEqual(inside, everything(t, layout)) {
		t.Error("the archive does not hold the layout")
	}
}
