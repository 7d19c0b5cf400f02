package main

import (
	"fmt"
	"strings"
)

// closed takes the routes away while the sidecars know the providers' hosts, and puts them back.
func closed(w *world) ([]string, error) {
	routes := w.manifests.all("VirtualService")
	for _, route := range routes {
		w.store.Delete(route)
	}
	application := w.applications[0]
	var said error
	if err := eventually(w.ctx, "the sidecar has no route", func() error {
		said = application.call(w.ctx, application.namespace)
		if said == nil {
			return fmt.Errorf("the call passes")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	// The provider's own response to HTTP on its port for TLS would be 400: it has read the request, and the key.
	if text := said.Error(); !strings.Contains(text, ": 503 ") || !strings.Contains(text, "connection failure") {
		return nil, fmt.Errorf("the call does not fail in the handshake: %w", said)
	}
	if err := w.store.Put(routes...); err != nil {
		return nil, err
	}
	if err := eventually(w.ctx, "the route is back", func() error {
		return application.call(w.ctx, application.namespace)
	}); err != nil {
		return nil, err
	}
	_, err := w.settled()
	return []string{"all VirtualServices deleted: " + said.Error()}, err
}
