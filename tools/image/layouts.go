package main

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// content is the one image, or index of images, of a layout.
type content struct {
	tag   string
	image v1.Image      // or
	index v1.ImageIndex // of several architectures
}

func open(dir string) (content, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return content{}, fmt.Errorf("%s is no OCI layout: %w", dir, err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		return content{}, err
	}
	if len(manifest.Manifests) != 1 {
		return content{}, fmt.Errorf("%s has %d images; one is expected", dir, len(manifest.Manifests))
	}
	only := manifest.Manifests[0]
	found := content{tag: only.Annotations[refName]}
	if only.MediaType.IsIndex() {
		found.index, err = top.ImageIndex(only.Digest)
	} else {
		found.image, err = top.Image(only.Digest)
	}
	return found, err
}

// taggable is what a registry takes.
func (c content) taggable() remote.Taggable {
	if c.index != nil {
		return c.index
	}
	return c.image
}

func (c content) digest() (v1.Hash, error) {
	if c.index != nil {
		return c.index.Digest()
	}
	return c.image.Digest()
}

// forArchitecture is the image itself, or the one of the index that is for this architecture.
func (c content) forArchitecture(architecture string) (v1.Image, error) {
	if c.index == nil {
		return c.image, nil
	}
	manifest, err := c.index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, descriptor := range manifest.Manifests {
		if descriptor.Platform != nil && descriptor.Platform.Architecture == architecture {
			return c.index.Image(descriptor.Digest)
		}
	}
	return nil, fmt.Errorf("there is no image for %s", architecture)
}
