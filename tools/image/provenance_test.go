package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestContractProvenanceNamesEveryArtefact(t *testing.T) {
	dir, lock := t.TempDir(), filepath.Join(t.TempDir(), "Cargo.lock")
	for path, text := range map[string]string{filepath.Join(dir, "a"): "abc", filepath.Join(dir, "b"): "", lock: "locked"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(dir, "provenance.json")
	// Twice: the statement is about the others, not about itself.
	for range 2 {
		if err := run([]string{"provenance", "--out", to, "--source", "https://example.com/m", "--revision", "abc-dirty",
			"--version", "1.2.3", "--builder", "https://example.com/b", "--tool", "rustc=1.95.0", "--input", "Cargo.lock=" + lock, dir},
			io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var said statement
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	// sha256 of "abc" and of nothing, from FIPS 180-4 and its examples.
	expected := []resource{
		{Name: "a", Digest: map[string]string{"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}},
		{Name: "b", Digest: map[string]string{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
	}
	if !reflect.DeepEqual(said.Subject, expected) {
		t.Errorf("it is about %v", said.Subject)
	}
	from := said.Predicate.BuildDefinition.ResolvedDependencies
	if len(from) != 2 || from[0].URI != "git+https://example.com/m@abc-dirty" || from[0].Digest["gitCommit"] != "abc" || from[1].Name != "Cargo.lock" {
		t.Errorf("it was made from %v", from)
	}
	if said.Predicate.BuildDefinition.InternalParameters["rustc"] != "1.95.0" {
		t.Errorf("it was made with %v", said.Predicate.BuildDefinition.InternalParameters)
	}
}
