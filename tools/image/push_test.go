package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Credentials go to another machine by TLS only, also where the library takes private addresses for trusted ones.
func TestContractPushSpeaksNoPlainHTTPToOtherMachines(t *testing.T) {
	images := mustMake(t, inputs(t))
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)

	// Every address leads to this registry, as it would if somebody on the way answered for it.
	usual := remote.DefaultTransport
	t.Cleanup(func() { remote.DefaultTransport = usual })
	transport := usual.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	remote.DefaultTransport = transport

	for _, host := range []string{"10.1.2.3:5000", "172.16.2.3", "192.168.2.3:5000", "registry.localhost:5000", "registry.example.com"} {
		err := run([]string{"push", images, host + "/meshmeter"}, io.Discard)
		if err == nil || asked.Load() != 0 {
			t.Errorf("%s: %d requests without TLS: %v", host, asked.Load(), err)
		}
		// The last is one that the library asks by TLS anyway.
		if err != nil && host != "registry.example.com" && !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("%s: the error names no way: %v", host, err)
		}
		if err := run([]string{"push", "--insecure", images, host + "/meshmeter"}, io.Discard); err != nil || asked.Swap(0) == 0 {
			t.Errorf("%s with --insecure: %v", host, err)
		}
	}
	for _, host := range []string{"localhost:5000", "127.0.0.1:5000"} {
		if err := run([]string{"push", images, host + "/meshmeter"}, io.Discard); err != nil || asked.Swap(0) == 0 {
			t.Errorf("%s, this machine: %v", host, err)
		}
	}
}
