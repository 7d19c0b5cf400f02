package main

import (
	"bytes"
	"debug/elf"
	"fmt"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// static fails unless the binary starts in an image that has nothing else: it is for the architecture, and asks for no
// loader and no library.
func static(binary []byte, architecture string) error {
	machine, known := machines[architecture]
	if !known {
		return fmt.Errorf("%q is no architecture that is built for (amd64, arm64)", architecture)
	}
	program, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("no program for Linux: %w", err)
	}
	if program.Machine != machine {
		return fmt.Errorf("the program is for %v", program.Machine)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("the program is linked dynamically, and the image has no libraries")
		}
	}
	libraries, err := program.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libraries) > 0 {
		return fmt.Errorf("the program needs libraries that the image does not have: %v", libraries)
	}
	return nil
}
