package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sbomOfCargo = `{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
	"metadata": {"timestamp": "2026-01-01T00:00:00Z", "component": {"bom-ref": "the collector", "name": "collector"}},
	"components": [{"bom-ref": "a crate", "name": "crate"}],
	"dependencies": [{"ref": "a crate"}, {"ref": "the collector", "dependsOn": ["a crate"]}]}`

// What the page's own lock names besides tools for development is in the SBOM, and the rest of that stays.
func TestContractThePackagesOfThePageAreInTheSBOM(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := os.WriteFile(file, []byte(sbomOfCargo), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"bundled", "--lock", "../../collector/web/package-lock.json", file}, os.Stderr); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var sbom struct {
		Metadata   struct{ Timestamp string }
		Components []struct {
			Name, Version, Purl string
			Hashes              []struct{ Alg, Content string }
			Licenses            []struct{ Expression string }
		}
		Dependencies []dependency
	}
	if err := json.Unmarshal(text, &sbom); err != nil {
		t.Fatal(err)
	}
	if sbom.Metadata.Timestamp == "" || len(sbom.Components) != 2 || sbom.Components[0].Name != "crate" {
		t.Fatalf("%s", text)
	}
	plot := sbom.Components[1]
	if plot.Purl != "pkg:npm/uplot@"+plot.Version || plot.Licenses[0].Expression != "MIT" || len(plot.Hashes[0].Content) != 128 {
		t.Fatalf("%+v", plot)
	}
	if of := sbom.Dependencies[1].DependsOn; len(of) != 2 || of[1] != plot.Purl || sbom.Dependencies[2].Ref != plot.Purl {
		t.Fatalf("%+v", sbom.Dependencies)
	}
}

func TestContractWhatAnSBOMWouldLoseOrLackIsAnError(t *testing.T) {
	for _, broken := range []string{
		strings.Replace(sbomOfCargo, `"version": 1`, `"version": 1, "vulnerabilities": []`, 1),
		strings.Replace(sbomOfCargo, `"ref": "the collector"`, `"ref": "another"`, 1),
	} {
		if _, err := withPackages([]byte(broken), lock{}); err == nil {
			t.Errorf("taken: %s", broken)
		}
	}
	var locked lock
	const noHash = `{"packages": {"node_modules/x": {"version": "1.0.0", "license": "MIT", "integrity": "sha1-AAAA"}}}`
	if err := json.Unmarshal([]byte(noHash), &locked); err != nil {
		t.Fatal(err)
	}
	if _, err := withPackages([]byte(sbomOfCargo), locked); err == nil {
		t.Error("a package without a SHA-512 was taken")
	}
}
