package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// lock is npm's package-lock.json: its packages by their directories.
type lock struct {
	Packages map[string]struct {
		Version, Integrity, License string
		Dev, Optional               bool
	}
}

// bundled adds the packages of npm that the web page has in it to the SBOM of the binary that embeds the page: cargo
// knows nothing of them.
func bundled(args []string, out io.Writer) error {
	flags := options("bundled", out)
	name := flags.String("lock", "", "the `FILE` of npm, package-lock.json")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 1); err != nil {
		return err
	}
	if *name == "" {
		return errors.New("bundled: --lock is needed")
	}
	text, err := os.ReadFile(*name)
	if err != nil {
		return err
	}
	var locked lock
	if err := json.Unmarshal(text, &locked); err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	file := flags.Arg(0)
	if text, err = os.ReadFile(file); err != nil {
		return err
	}
	if text, err = withPackages(text, locked); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, text, 0o644)
}

// withPackages is an SBOM with the packages of a lock that are not only for development, as what its subject depends on.
func withPackages(text []byte, locked lock) ([]byte, error) {
	var sbom struct {
		BomFormat    string            `json:"bomFormat"`
		SpecVersion  string            `json:"specVersion"`
		Version      int               `json:"version"`
		Metadata     json.RawMessage   `json:"metadata"`
		Components   []json.RawMessage `json:"components"`
		Dependencies []dependency      `json:"dependencies"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	// What would be lost is an error.
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&sbom); err != nil {
		return nil, err
	}
	var subject struct {
		Component struct {
			Ref string `json:"bom-ref"`
		}
	}
	if err := json.Unmarshal(sbom.Metadata, &subject); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(sbom.Dependencies, func(d dependency) bool { return d.Ref == subject.Component.Ref })
	if at < 0 {
		return nil, errors.New("says nothing of what its subject depends on")
	}
	paths := make([]string, 0, len(locked.Packages))
	for path := range locked.Packages {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		of := locked.Packages[path]
		if path == "" || of.Dev || of.Optional {
			continue
		}
		hash, err := integrity(of.Integrity)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if of.Version == "" || of.License == "" {
			return nil, fmt.Errorf("%s: has no version or no license", path)
		}
		name := path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
		purl := "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + of.Version
		component, err := json.Marshal(map[string]any{
			"type": "library", "bom-ref": purl, "name": name, "version": of.Version, "scope": "required", "purl": purl,
			"licenses": []any{map[string]any{"expression": of.License}},
			"hashes":   []any{map[string]any{"alg": "SHA-512", "content": hash}},
		})
		if err != nil {
			return nil, err
		}
		sbom.Components = append(sbom.Components, component)
		sbom.Dependencies[at].DependsOn = append(sbom.Dependencies[at].DependsOn, purl)
		sbom.Dependencies = append(sbom.Dependencies, dependency{Ref: purl})
	}
	text, err := json.MarshalIndent(sbom, "", "  ")
	return append(text, '\n'), err
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// integrity is the SHA-512 of a package as hex digits, from what npm notes: `sha512-…`, in base64.
func integrity(noted string) (string, error) {
	digest, is := strings.CutPrefix(noted, "sha512-")
	bytes, err := base64.StdEncoding.DecodeString(digest)
	if !is || err != nil || len(bytes) != 64 {
		return "", fmt.Errorf("integrity %q is no SHA-512", noted)
	}
	return hex.EncodeToString(bytes), nil
}
