package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A release's checksums and SBOMs are of the binaries that were built. One of another build in an image or in a package is
// noticed.
func TestContractWhatShipsIsWhatWasBuilt(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb makes the packages")
	}
	from := inputs(t)
	target := t.TempDir()
	ship := filepath.Join(target, "ship")
	at := func(path ...string) string { return filepath.Join(append([]string{ship}, path...)...) }
	do := func(name string, args ...string) {
		t.Helper()
		if said, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, said)
		}
	}
	// What tools/ship/binaries, images and packages leave.
	do("mkdir", "-p", at("built"), at("packages"))
	do("go", "build", "-o", at("image"), ".")
	do("cp", "-r", mustMake(t, from), at("images"))
	binaries := map[string]string{
		"filter.wasm": "filter.wasm", "meshmeter-amd64": "amd64", "meshmeter-arm64": "arm64",
	}
	for built, input := range binaries {
		do("cp", filepath.Join(from, input), at("built", built))
	}
	pack := func(name, architecture, path, input string) {
		t.Helper()
		tree := t.TempDir()
		control := "Package: " + name + "\nVersion: 1\nArchitecture: " + architecture + "\nMaintainer: m <m@example.com>\nDescription: d\n"
		do("mkdir", "-p", filepath.Join(tree, "DEBIAN"), filepath.Dir(filepath.Join(tree, path)))
		do("chmod", "-R", "755", tree)
		if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644); err != nil {
			t.Fatal(err)
		}
		do("cp", filepath.Join(from, input), filepath.Join(tree, path))
		do("dpkg-deb", "--root-owner-group", "--build", tree, at("packages", name+"_1_"+architecture+".deb"))
	}
	pack("meshmeter", "amd64", "usr/bin/meshmeter", "amd64")
	pack("meshmeter", "arm64", "usr/bin/meshmeter", "arm64")
	pack("meshmeter-plugin", "all", "usr/lib/meshmeter/filter.wasm", "filter.wasm")

	check := func() (string, error) {
		command := exec.Command("../ship/check-binaries", "amd64", "arm64")
		command.Env = append(os.Environ(), "CARGO_TARGET_DIR="+target)
		said, err := command.CombinedOutput()
		return string(said), err
	}
	if said, err := check(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for built := range binaries {
		whole, err := os.ReadFile(at("built", built))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at("built", built), append(whole, 0), 0o755); err != nil {
			t.Fatal(err)
		}
		if said, err := check(); err == nil || !strings.Contains(said, "/images/") {
			t.Errorf("another %s in the image: %v\n%s", built, err, said)
		}
		if err := os.WriteFile(at("built", built), whole, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pack("meshmeter", "amd64", "usr/bin/meshmeter", "arm64")
	if said, err := check(); err == nil || !strings.Contains(said, "meshmeter_1_amd64.deb") {
		t.Errorf("another collector in a package: %v\n%s", err, said)
	}
	pack("meshmeter", "amd64", "usr/bin/meshmeter", "amd64")
	pack("meshmeter-plugin", "all", "usr/lib/meshmeter/filter.wasm", "sbom")
	if said, err := check(); err == nil || !strings.Contains(said, "meshmeter-plugin_1_all.deb") {
		t.Errorf("another plugin in a package: %v\n%s", err, said)
	}
}
