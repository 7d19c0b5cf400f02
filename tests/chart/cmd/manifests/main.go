// The program `manifests ISTIO` renders the manifests of the folder istio/ from its chart.
package main

import (
	"fmt"
	"os"

	"github.com/meshmeter/meshmeter/tests/chart"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manifests ISTIO")
		os.Exit(2)
	}
	if err := chart.Write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}
