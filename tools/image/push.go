package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push publishes each image of a directory of layouts under its version. The registry's credentials are those that
// `docker login` or `podman login` left.
func push(args []string, out io.Writer) error {
	flags := options("push", out)
	tag := flags.String("tag", "", "the `TAG`; else the version that the images were built with")
	insecure := flags.Bool("insecure", false, "speak HTTP without TLS, or TLS with a certificate that nobody vouches for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 2); err != nil {
		return err
	}
	dir, repository := flags.Arg(0), flags.Arg(1)
	var images, values strings.Builder
	for _, each := range []struct{ image, part string }{{collectorName, "collector"}, {filterName, "plugin"}} {
		at := filepath.Join(dir, each.image)
		if _, err := os.Stat(at); os.IsNotExist(err) {
			continue
		}
		reference, err := publish(at, repository+"/"+each.image, *tag, *insecure)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		fmt.Fprintf(out, "published %s\n", reference)
		_, digest, _ := strings.Cut(reference, "@")
		fmt.Fprintf(&images, "  %s: %s\n", each.part, reference)
		fmt.Fprintf(&values, "  --set %[1]s.image.repository=%[2]s/%[3]s --set %[1]s.image.digest=%[4]s\n",
			each.part, repository, each.image, digest)
	}
	if images.Len() == 0 {
		return fmt.Errorf("%s has no images", dir)
	}
	fmt.Fprintf(out, "\nistio/images/images.yaml, for kustomize:\n%s\nHelm:\n%s", images.String(), values.String())
	return nil
}

// publish gives the reference by tag and digest, after the registry has said that it has that digest under that tag.
func publish(dir, repository, tag string, insecure bool) (string, error) {
	found, err := open(dir)
	if err != nil {
		return "", err
	}
	if tag == "" {
		tag = found.tag
	}
	naming, transport := []name.Option{name.StrictValidation}, http.RoundTripper(confidential{remote.DefaultTransport})
	if insecure {
		naming, transport = append(naming, name.Insecure), untrusting()
	}
	reaching := []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("meshmeter-image"), remote.WithTransport(transport),
	}
	reference, err := name.NewTag(repository+":"+tag, naming...)
	if err != nil {
		return "", err
	}
	if err := remote.Push(reference, found.taggable(), reaching...); err != nil {
		return "", err
	}
	digest, err := found.digest()
	if err != nil {
		return "", err
	}
	stored, err := remote.Head(reference, reaching...)
	if err != nil {
		return "", fmt.Errorf("the registry does not show what it took: %w", err)
	}
	if stored.Digest != digest {
		return "", fmt.Errorf("the registry has %s under %s, not %s", stored.Digest, reference, digest)
	}
	return reference.Name() + "@" + digest.String(), nil
}
