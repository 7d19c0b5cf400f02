package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// refName is the annotation under which an image in a layout has its tag.
const refName = "org.opencontainers.image.ref.name"

// named is a flag that is given as NAME=FILE, once for each name.
type named map[string]string

func (n named) String() string { return "" }

func (n named) Set(value string) error {
	name, path, found := strings.Cut(value, "=")
	if !found || name == "" || path == "" {
		return errors.New("must be NAME=FILE")
	}
	if _, twice := n[name]; twice {
		return fmt.Errorf("%s is given twice", name)
	}
	n[name] = path
	return nil
}

// sorted gives the names in their order.
func sorted(n named) []string {
	return slices.Sorted(maps.Keys(n))
}

func build(args []string, out io.Writer) error {
	flags := options("build", out)
	collectors, sboms, notices := named{}, named{}, named{}
	to := flags.String("out", "", "`DIR` for the layouts; those that are there are replaced")
	filter := flags.String("filter", "", "the plugin, a WebAssembly `FILE`")
	flags.Var(collectors, "collector", "the collector's static binary, `ARCHITECTURE=FILE`; once for amd64, once for arm64")
	flags.Var(sboms, "sbom", "an SBOM (CycloneDX JSON), `NAME=FILE`, where NAME is filter or an architecture")
	flags.Var(notices, "notices", "licences of what is linked in, `NAME=FILE`, as for --sbom")
	licence := flags.String("licence", "LICENSE", "the licence, a `FILE`")
	version := flags.String("version", "", "the `VERSION`, which becomes the tag")
	revision := flags.String("revision", "", "the `COMMIT` that this is built from")
	source := flags.String("source", "", "`URL` of the repository")
	created := flags.String("created", os.Getenv("SOURCE_DATE_EPOCH"), "the time of all files, `SECONDS` since 1970; else SOURCE_DATE_EPOCH")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 0); err != nil {
		return err
	}
	if *to == "" || *version == "" || *created == "" {
		return errors.New("build: --out, --version and --created are needed")
	}
	if *filter == "" && len(collectors) == 0 {
		return errors.New("build: nothing to build: name a --filter or a --collector")
	}
	seconds, err := strconv.ParseInt(*created, 10, 64)
	if err != nil {
		return fmt.Errorf("--created: %w", err)
	}
	a := about{version: *version, revision: *revision, source: *source, at: time.Unix(seconds, 0).UTC()}
	if a.licence, err = os.ReadFile(*licence); err != nil {
		return err
	}
	gather := func(name, binary string) (p parts, err error) {
		if p.binary, err = os.ReadFile(binary); err != nil {
			return p, err
		}
		if path, given := sboms[name]; given {
			if p.sbom, err = os.ReadFile(path); err != nil {
				return p, err
			}
		}
		if path, given := notices[name]; given {
			p.notices, err = os.ReadFile(path)
		}
		return p, err
	}

	if *filter != "" {
		p, err := gather(filterName, *filter)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(p.binary), "\x00asm") {
			return fmt.Errorf("%s is no WebAssembly module", *filter)
		}
		built, err := filterImage(a, p)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(*to, filterName), a.version, built.Digest, func(path layout.Path, named layout.Option) error {
			return path.AppendImage(built, named)
		}, out); err != nil {
			return err
		}
	}
	if len(collectors) > 0 {
		of := map[string]parts{}
		for architecture, binary := range collectors {
			if of[architecture], err = gather(architecture, binary); err != nil {
				return err
			}
		}
		built, err := collectorIndex(a, sorted(collectors), of)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(*to, collectorName), a.version, built.Digest, func(path layout.Path, named layout.Option) error {
			return path.AppendIndex(built, named)
		}, out); err != nil {
			return err
		}
	}
	return nil
}

// write makes a layout anew with one image, or one index of images, and prints its digest.
func write(dir, tag string, digest func() (v1.Hash, error), add func(layout.Path, layout.Option) error, out io.Writer) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := add(path, layout.WithAnnotations(map[string]string{refName: tag})); err != nil {
		return err
	}
	hash, err := digest()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s  %s\n", hash, dir)
	return nil
}
