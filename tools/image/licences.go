package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// crate is a package as `cargo metadata` describes it.
type crate struct {
	ID           string
	Name         string
	Version      string
	License      string
	LicenseFile  string `json:"license_file"`
	Repository   string
	Source       string // empty for those of the workspace
	ManifestPath string `json:"manifest_path"`
	Targets      []struct{ Kind []string }
}

// metadata is what `cargo metadata` prints, as far as it is needed here.
type metadata struct {
	Packages []crate
	Resolve  struct {
		Nodes []struct {
			ID   string
			Deps []struct {
				Pkg      string
				DepKinds []struct{ Kind *string } `json:"dep_kinds"`
			}
		}
	}
}

// licences prints the notices that whoever passes on a binary must pass on too: the licence texts of the crates that are
// linked into it, each text once, and those of what --also names.
func licences(args []string, out io.Writer) error {
	flags := options("licences", out)
	name := flags.String("package", "", "the `NAME` of the workspace's package")
	target := flags.String("target", "", "the `TARGET` that it is built for, in Rust's words")
	also := named{}
	flags.Var(also, "also", "what else is linked in, `NAME=FILE` with its licence; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 0); err != nil {
		return err
	}
	if *name == "" || *target == "" {
		return errors.New("licences: --package and --target are needed")
	}
	var complaint bytes.Buffer
	cargo := exec.Command("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", *target)
	cargo.Stderr = &complaint
	printed, err := cargo.Output()
	if err != nil {
		return fmt.Errorf("cargo metadata: %w\n%s", err, complaint.String())
	}
	var m metadata
	if err := json.Unmarshal(printed, &m); err != nil {
		return fmt.Errorf("cargo metadata: %w", err)
	}
	linked, err := m.linked(*name)
	if err != nil {
		return err
	}
	return notices(linked, also, out)
}

// linked is every crate of others that is linked into a package of the workspace: not what only builds or tests it.
func (m metadata) linked(name string) ([]crate, error) {
	of := map[string]crate{}
	next := []string{}
	for _, c := range m.Packages {
		of[c.ID] = c
		if c.Name == name && c.Source == "" {
			next = append(next, c.ID)
		}
	}
	if len(next) != 1 {
		return nil, fmt.Errorf("the workspace has %d packages with the name %q", len(next), name)
	}
	needs := map[string][]string{}
	for _, node := range m.Resolve.Nodes {
		for _, dependency := range node.Deps {
			for _, kind := range dependency.DepKinds {
				if kind.Kind == nil { // neither "build" nor "dev"
					needs[node.ID] = append(needs[node.ID], dependency.Pkg)
					break
				}
			}
		}
	}
	seen, found := map[string]bool{}, []crate{}
	for len(next) > 0 {
		id := next[0]
		next = next[1:]
		c := of[id]
		if seen[id] || c.isMacro() {
			continue
		}
		seen[id] = true
		next = append(next, needs[id]...)
		if c.Source != "" {
			found = append(found, c)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].label() < found[j].label() })
	return found, nil
}

func (c crate) label() string { return c.Name + " " + c.Version }

// isMacro says that the crate runs in the compiler.
func (c crate) isMacro() bool {
	return slices.ContainsFunc(c.Targets, func(target struct{ Kind []string }) bool {
		return slices.Contains(target.Kind, "proc-macro")
	})
}

// texts gives the licence files that a crate ships, in the order of their names.
func (c crate) texts() ([]string, error) {
	dir := filepath.Dir(c.ManifestPath)
	there, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	paths := []string{}
	for _, found := range there {
		upper := strings.ToUpper(found.Name())
		for _, prefix := range []string{"LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"} {
			if strings.HasPrefix(upper, prefix) && found.Type().IsRegular() {
				paths = append(paths, filepath.Join(dir, found.Name()))
				break
			}
		}
	}
	if named := filepath.Join(dir, c.LicenseFile); c.LicenseFile != "" && !slices.Contains(paths, named) {
		paths = append(paths, named)
	}
	texts := []string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	return texts, nil
}

func notices(linked []crate, also named, out io.Writer) error {
	users := map[string][]string{} // of a text
	order := []string{}
	use := func(text, user string) {
		if _, known := users[text]; !known {
			order = append(order, text)
		}
		users[text] = append(users[text], user)
	}
	fmt.Fprintln(out, "Software of others that is part of this program, and its licences.")
	fmt.Fprintln(out)
	for _, c := range linked {
		texts, err := c.texts()
		if err != nil {
			return err
		}
		note := ""
		if len(texts) == 0 {
			note = "  (brings no text of its licence)"
		}
		fmt.Fprintf(out, "  %s  %s  %s%s\n", c.label(), c.License, c.Repository, note)
		for _, text := range texts {
			use(text, c.label())
		}
	}
	for _, other := range sorted(also) {
		text, err := os.ReadFile(also[other])
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s\n", other)
		use(strings.TrimSpace(string(text)), other)
	}
	for _, text := range order {
		fmt.Fprintf(out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(users[text], ", "), text)
	}
	return nil
}
