// kubeapi serves the YAML files of folders as an API server of Kubernetes would, and follows their changes.
//
//	kubectl kustomize ../../istio > /tmp/served/all.yaml
//	istio=$(go list -m -f '{{.Dir}}' istio.io/istio)
//	go run ./cmd/kubeapi -crds $istio/manifests/charts/base/files/crd-all.gen.yaml -kubeconfig /tmp/kubeconfig /tmp/served
//	istioctl analyze --kubeconfig /tmp/kubeconfig --all-namespaces
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on")
	kubeconfig := flag.String("kubeconfig", "", "`file` to write, by which clients find this server")
	crds := flag.String("crds", "", "`file` of CustomResourceDefinitions")
	flag.Parse()
	if err := run(*listen, *kubeconfig, *crds, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(listen, kubeconfig, crds string, folders []string) error {
	store := kubeapi.NewStore()
	if crds != "" {
		if err := store.PutFile(crds); err != nil {
			return err
		}
	}
	for _, path := range folders {
		folder, err := kubeapi.NewFolder(store, path)
		if err != nil {
			return err
		}
		go folder.Follow(context.Background(), func(err error) { log.Print(err) })
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if kubeconfig != "" {
		if err := kubeapi.WriteKubeconfig(kubeconfig, address); err != nil {
			return err
		}
	}
	fmt.Println("listening on", address)
	server := http.Server{Handler: &kubeapi.Server{Store: store}, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
