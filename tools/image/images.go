package main

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Names of the two images, in a directory of layouts and in a registry.
const (
	filterName    = "filter"
	collectorName = "meshmeter"
)

const (
	collectorProgram = "usr/bin/meshmeter"
	collectorState   = "var/lib/meshmeter"
	collectorPort    = "8080/tcp"
	// nobody in particular: the user that distroless images run as, too.
	collectorUser = 65532
)

// about is what both images say about themselves.
type about struct {
	version, revision, source string
	at                        time.Time
	licence                   []byte
}

// parts is what one image is made of besides what it says about itself.
type parts struct {
	binary []byte
	// sbom (CycloneDX) and notices (licences of what is linked in) may be absent.
	sbom, notices []byte
}

func (a about) labels(title, description string) map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       title,
		"org.opencontainers.image.description": description,
		"org.opencontainers.image.version":     a.version,
		"org.opencontainers.image.revision":    a.revision,
		"org.opencontainers.image.source":      a.source,
		"org.opencontainers.image.created":     a.at.UTC().Format(time.RFC3339),
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.vendor":      "meshmeter",
	}
	for name, value := range labels {
		if value == "" {
			delete(labels, name)
		}
	}
	return labels
}

// papers is what lies beside the binary: the licences and the SBOM.
func (a about) papers(p parts) []entry {
	const where = "usr/share/doc/meshmeter/"
	papers := []entry{file(where+"LICENSE", a.licence)}
	if p.notices != nil {
		papers = append(papers, file(where+"THIRD-PARTY-LICENSES", p.notices))
	}
	if p.sbom != nil {
		papers = append(papers, file(where+"sbom.cdx.json", p.sbom))
	}
	return papers
}

// filterImage is the plugin in the form that Istio and Envoy Gateway pull, the compat variant of the Wasm image
// specification: an OCI image whose last layer holds plugin.wasm. The papers are in the layer before it, because a puller
// reads the last one only.
//
// It has one manifest, not an index of platforms: the bytes run on any, and Istio compares a given sha256 with the digest
// of a manifest. The platform is that of an image which Docker builds, because tools expect one.
func filterImage(a about, p parts) (v1.Image, error) {
	return image(a, a.labels("meshmeter filter", "The meshmeter plugin for Envoy and Istio (proxy-wasm)."), platform("amd64"),
		v1.Config{},
		step{"licences and SBOM", a.papers(p)},
		step{"plugin", []entry{file("plugin.wasm", p.binary)}})
}

// collectorImage is the collector for one architecture: a static binary and no operating system. It takes no files that it
// did not bring: the authorities that it believes are linked in (webpki-roots), SQLite's temporary files go to the working
// directory if there is no other place, and so a read-only root with a volume at /var/lib/meshmeter is enough.
func collectorImage(a about, architecture string, p parts) (v1.Image, error) {
	if err := static(p.binary, architecture); err != nil {
		return nil, fmt.Errorf("collector for %s: %w", architecture, err)
	}
	user := fmt.Sprintf("%d:%d", collectorUser, collectorUser)
	config := v1.Config{
		Entrypoint: []string{"/" + collectorProgram},
		Cmd:        []string{"serve"},
		// Variables rather than arguments, so that `meshmeter report` in the same container finds the same ledger.
		Env: []string{
			"PATH=/usr/bin",
			"MESHMETER_LISTEN=0.0.0.0:8080",
			"MESHMETER_DATABASE=/" + collectorState + "/ledger.db",
		},
		User:         user,
		WorkingDir:   "/" + collectorState,
		Volumes:      map[string]struct{}{"/" + collectorState: {}},
		ExposedPorts: map[string]struct{}{collectorPort: {}},
		StopSignal:   "SIGTERM",
	}
	system := append(a.papers(p),
		file("etc/passwd", fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nmeshmeter:x:%s:meshmeter:/%s:/sbin/nologin\n",
			user, collectorState)),
		file("etc/group", fmt.Appendf(nil, "root:x:0:\nmeshmeter:x:%d:\n", collectorUser)),
		directory("tmp", 0o1777, 0),
		directory(collectorState, 0o750, collectorUser))
	return image(a, a.labels("meshmeter", "The meshmeter collector and command line."), platform(architecture), config,
		step{"system files, licences and SBOM", system},
		step{"collector", []entry{program(collectorProgram, p.binary)}})
}

// collectorIndex names the collector's images of all architectures, in the order of the list.
func collectorIndex(a about, architectures []string, of map[string]parts) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		built, err := collectorImage(a, architecture, of[architecture])
		if err != nil {
			return nil, err
		}
		p := platform(architecture)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: built, Descriptor: v1.Descriptor{Platform: &p}})
	}
	labels := a.labels("meshmeter", "The meshmeter collector and command line.")
	return mutate.Annotations(index, labels).(v1.ImageIndex), nil
}

func platform(architecture string) v1.Platform {
	return v1.Platform{OS: "linux", Architecture: architecture}
}

// step is a layer and what the image's history calls it.
type step struct {
	comment string
	entries []entry
}

func image(a about, labels map[string]string, on v1.Platform, config v1.Config, steps ...step) (v1.Image, error) {
	config.Labels = labels
	created := v1.Time{Time: a.at.UTC()}
	base, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{OS: on.OS, Architecture: on.Architecture, Created: created, Config: config,
			RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}})
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		packed, err := layer(s.entries, a.at)
		if err != nil {
			return nil, err
		}
		base, err = mutate.Append(base, mutate.Addendum{Layer: packed,
			History: v1.History{Created: created, CreatedBy: "tools/image", Comment: s.comment}})
		if err != nil {
			return nil, err
		}
	}
	return mutate.Annotations(base, labels).(v1.Image), nil
}
