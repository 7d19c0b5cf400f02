package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// images is the registry that the manifests name.
type images struct{ address string }

// serveRegistry serves it for the pods, with TLS, and in plaintext on loopback for whoever pushes.
func serveRegistry(a *authority, host string) (*images, error) {
	settings, err := a.server(host)
	if err != nil {
		return nil, err
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	public, err := net.Listen("tcp", registryIP+":443")
	if err != nil {
		return nil, err
	}
	local, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, TLSConfig: settings, ReadHeaderTimeout: patience}
	// Both end with the process.
	go func() { _ = server.ServeTLS(public, "", "") }()
	go func() { _ = server.Serve(local) }()
	return &images{local.Addr().String()}, nil
}

// push publishes a module as Istio takes it: an image whose one layer holds plugin.wasm. It returns the digest. A version
// that differs by `mark` alone is other bytes with the same behaviour: a new release.
func (i *images) push(reference, module, mark string) (string, error) {
	plugin, err := os.ReadFile(module)
	if err != nil {
		return "", err
	}
	if mark != "" {
		plugin = append(plugin, customSection(mark)...)
	}
	image, err := compatible(plugin)
	if err != nil {
		return "", err
	}
	to, err := name.ParseReference(i.address+"/"+reference, name.Insecure)
	if err != nil {
		return "", err
	}
	if err := remote.Write(to, image); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// customSection is one that a WebAssembly engine skips.
func customSection(name string) []byte {
	content := append([]byte{byte(len(name))}, name...)
	return append([]byte{0, byte(len(content))}, content...)
}

func compatible(plugin []byte) (v1.Image, error) {
	var layer bytes.Buffer
	compressed := gzip.NewWriter(&layer)
	archive := tar.NewWriter(compressed)
	header := &tar.Header{Name: "plugin.wasm", Mode: 0o644, Size: int64(len(plugin)), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(plugin); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	return mutate.AppendLayers(image, static.NewLayer(layer.Bytes(), types.OCILayer))
}
