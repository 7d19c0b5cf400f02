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
	Name         string
	Version      string
	License      string
	LicenseFile  string `json:"license_file"`
	Repository   string
	Source       string // empty for those of the workspace
	ManifestPath string `json:"manifest_path"`
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
	linked, err := linkedInto(*name, *target)
	if err != nil {
		return err
	}
	return notices(linked, also, out)
}

// linkedInto is every crate of others that is part of a package's binary: not what only builds or tests it, and not what
// runs in the compiler.
func linkedInto(name, target string) ([]crate, error) {
	described, err := cargo("metadata", "--format-version", "1", "--filter-platform", target)
	if err != nil {
		return nil, err
	}
	var metadata struct{ Packages []crate }
	if err := json.Unmarshal(described, &metadata); err != nil {
		return nil, fmt.Errorf("cargo metadata: %w", err)
	}
	// The metadata unite the features of the whole workspace. The tree has those with which this package is built.
	printed, err := cargo("tree", "--package", name, "--target", target, "--edges", "no-dev,no-build,no-proc-macro",
		"--prefix", "none", "--format", "{p}")
	if err != nil {
		return nil, err
	}
	linked := map[string]bool{}
	for _, line := range strings.Split(string(printed), "\n") {
		if words := strings.Fields(line); len(words) >= 2 {
			linked[words[0]+" "+strings.TrimPrefix(words[1], "v")] = true
		}
	}
	found := []crate{}
	for _, c := range metadata.Packages {
		if c.Source != "" && linked[c.label()] {
			found = append(found, c)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].label() < found[j].label() })
	return found, nil
}

func cargo(command string, args ...string) ([]byte, error) {
	var complaint bytes.Buffer
	run := exec.Command("cargo", append([]string{command, "--locked"}, args...)...)
	run.Stderr = &complaint
	printed, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("cargo %s: %w\n%s", command, err, complaint.String())
	}
	return printed, nil
}

func (c crate) label() string { return c.Name + " " + c.Version }

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
	// Texts that differ in blanks and line breaks only are one.
	type text struct {
		words string
		users []string
	}
	byWords, order := map[string]*text{}, []*text{}
	use := func(words, user string) {
		key := strings.Join(strings.Fields(words), " ")
		if byWords[key] == nil {
			byWords[key] = &text{words: words}
			order = append(order, byWords[key])
		}
		byWords[key].users = append(byWords[key].users, user)
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
	for _, t := range order {
		fmt.Fprintf(out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(t.users, ", "), t.words)
	}
	return nil
}
