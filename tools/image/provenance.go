package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// statement is an in-toto statement about files, with SLSA's predicate of how they were built.
// https://slsa.dev/spec/v1.0/provenance
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

// resource is a file, or a commit, by its digest.
type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	BuildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		InternalParameters   map[string]string `json:"internalParameters"`
		ResolvedDependencies []resource        `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string `json:"invocationId,omitempty"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// provenance describes the files of a directory. Nobody signs it: it is as good as the place where it is kept, and a
// reader who needs more builds again and compares, or checks the attestation of the workflow that publishes.
func provenance(args []string, out io.Writer) error {
	flags := options("provenance", out)
	to := flags.String("out", "", "the `FILE` to write")
	source := flags.String("source", "", "`URL` of the repository")
	revision := flags.String("revision", "", "the `COMMIT`")
	version := flags.String("version", "", "the `VERSION`")
	builder := flags.String("builder", "", "`URI` of who built it")
	invocation := flags.String("invocation", "", "`URI` of the run")
	tools, inputs := named{}, named{}
	flags.Var(tools, "tool", "a tool and its version, `NAME=VERSION`; may be repeated")
	flags.Var(inputs, "input", "a file of the source that pins what was used, `NAME=FILE`; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 1); err != nil {
		return err
	}
	if *to == "" || *source == "" || *revision == "" || *version == "" || *builder == "" {
		return errors.New("provenance: --out, --source, --revision, --version and --builder are needed")
	}
	said := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	there, err := os.ReadDir(flags.Arg(0))
	if err != nil {
		return err
	}
	for _, found := range there {
		path := filepath.Join(flags.Arg(0), found.Name())
		if !found.Type().IsRegular() || path == filepath.Clean(*to) {
			continue
		}
		subject, err := digested(found.Name(), path)
		if err != nil {
			return err
		}
		said.Subject = append(said.Subject, subject)
	}
	if len(said.Subject) == 0 {
		return fmt.Errorf("%s has no files", flags.Arg(0))
	}
	definition := &said.Predicate.BuildDefinition
	definition.BuildType = *source + "/blob/main/docs/installation.md#what-a-release-has"
	definition.ExternalParameters = map[string]string{"recipe": "just release", "version": *version}
	definition.InternalParameters = tools
	// A working tree with changes is not what the commit has.
	commit := strings.TrimSuffix(*revision, "-dirty")
	definition.ResolvedDependencies = []resource{{URI: "git+" + *source + "@" + *revision, Digest: map[string]string{"gitCommit": commit}}}
	for _, name := range sorted(inputs) {
		input, err := digested(name, inputs[name])
		if err != nil {
			return err
		}
		definition.ResolvedDependencies = append(definition.ResolvedDependencies, input)
	}
	said.Predicate.RunDetails.Builder.ID = *builder
	said.Predicate.RunDetails.Metadata.InvocationID = *invocation
	text, err := json.MarshalIndent(said, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*to, append(text, '\n'), 0o644)
}

func digested(name, path string) (resource, error) {
	file, err := os.Open(path)
	if err != nil {
		return resource{}, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return resource{}, err
	}
	return resource{Name: name, Digest: map[string]string{"sha256": hex.EncodeToString(hash.Sum(nil))}}, nil
}
