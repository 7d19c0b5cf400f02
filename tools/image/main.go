// Command image makes the two container images of meshmeter without Docker, publishes and unpacks them, and writes what
// goes with a release: the licences of what is linked in, and the provenance of the artefacts.
//
// The same input gives the same bytes: times, owners and modes of files are fixed, files are sorted, and the compression
// is this module's own version of it, not that of the Go toolchain.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// command is one verb of the program.
type command struct {
	name, arguments, summary string
	run                      func(args []string, out io.Writer) error
}

func commands() []command {
	return []command{
		{"build", "--out DIR [OPTION]...", "write the images as OCI layouts: DIR/filter and DIR/meshmeter", build},
		{"push", "DIR REPOSITORY", "publish the images in DIR as REPOSITORY/filter and REPOSITORY/meshmeter", push},
		{"unpack", "LAYOUT DIR", "write the files of an image into DIR, which must be empty", unpack},
		{"archive", "LAYOUT FILE", "write a layout as one tar file, for skopeo, podman load, docker load and ctr", archive},
		{"licences", "--package NAME --target TARGET", "print the licences of all that is linked into a package", licences},
		{"bundled", "--lock FILE SBOM", "add the npm packages that the web page has in it to an SBOM", bundled},
		{"provenance", "--out FILE DIR", "write how the files in DIR were made, as an in-toto statement", provenance},
	}
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		fmt.Fprint(out, usage())
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(args[1:], out)
		}
	}
	return fmt.Errorf("%q is no command; `image --help` lists them", args[0])
}

func usage() string {
	var text strings.Builder
	text.WriteString("Usage: image COMMAND ...\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&text, "  %s %s\n      %s\n", c.name, c.arguments, c.summary)
	}
	text.WriteString("\n`image COMMAND --help` lists the options of a command.\n")
	return text.String()
}

// options is a set of flags whose --help names the command and what it does. It does not end the process.
func options(name string, out io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		for _, c := range commands() {
			if c.name == name {
				fmt.Fprintf(out, "Usage: image %s %s\n\nTo %s.\n\n", c.name, c.arguments, c.summary)
			}
		}
		flags.PrintDefaults()
	}
	return flags
}

// exactly fails unless what the flags left over is so many arguments.
func exactly(flags *flag.FlagSet, count int) error {
	if flags.NArg() != count {
		return fmt.Errorf("%s: %d arguments are needed, not %d; --help tells which", flags.Name(), count, flags.NArg())
	}
	return nil
}
