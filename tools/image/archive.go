package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// archive writes a layout as a tar file (what skopeo calls oci-archive).
func archive(args []string, out io.Writer) error {
	flags := options("archive", out)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := exactly(flags, 2); err != nil {
		return err
	}
	if _, err := open(flags.Arg(0)); err != nil {
		return err
	}
	to, err := os.Create(flags.Arg(1))
	if err != nil {
		return err
	}
	packed := tar.NewWriter(to)
	// WalkDir goes in the order of names.
	err = filepath.WalkDir(flags.Arg(0), func(path string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(flags.Arg(0), path)
		if err != nil || name == "." {
			return err
		}
		if found.IsDir() {
			return packed.WriteHeader(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755,
				ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := packed.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)),
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err = packed.Write(content)
		return err
	})
	return errors.Join(err, packed.Close(), to.Close())
}
