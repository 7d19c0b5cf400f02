package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// unpack writes the files of an image's layers, one layer over the other. As root it also gives them their owners.
func unpack(args []string, out io.Writer) error {
	flags := options("unpack", out)
	architecture := flags.String("architecture", runtime.GOARCH, "which of several")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 2); err != nil {
		return err
	}
	found, err := open(flags.Arg(0))
	if err != nil {
		return err
	}
	image, err := found.forArchitecture(*architecture)
	if err != nil {
		return err
	}
	dir := flags.Arg(1)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if there, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(there) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	// Nothing is written outside of it, whatever the names in the image say.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := extract(root, l); err != nil {
			return err
		}
	}
	return nil
}

func extract(root *os.Root, l v1.Layer) error {
	packed, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer packed.Close()
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, mode := strings.TrimSuffix(header.Name, "/"), header.FileInfo().Mode()
		switch header.Typeflag {
		case tar.TypeDir:
			if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		case tar.TypeReg:
			if err := copyTo(root, name, archive); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file nor a directory", name)
		}
		if os.Geteuid() == 0 {
			if err := root.Lchown(name, header.Uid, header.Gid); err != nil {
				return err
			}
		}
		// After the owner, because a change of owner may take bits away.
		if err := root.Chmod(name, mode); err != nil {
			return err
		}
	}
}

func copyTo(root *os.Root, name string, from io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
