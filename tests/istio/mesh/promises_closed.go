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
	// A call before would still reach the gateway, which has no route any more either.
	if err := w.routed(false, application.pod); err != nil {
		return nil, err
	}
	said, err := w.refusesInTheHandshake(application)
	if err != nil {
		return nil, err
	}
	if err := w.store.Put(routes...); err != nil {
		return nil, err
	}
	everyone := []*pod{w.gateway}
	for _, one := range w.applications {
		everyone = append(everyone, one.pod)
	}
	if err := w.routed(true, everyone...); err != nil {
		return nil, err
	}
	return []string{"all VirtualServices deleted: " + said.Error()}, nil
}

// routed waits until these proxies have the routes of all VirtualServices, or none of them.
func (w *world) routed(wanted bool, pods ...*pod) error {
	for _, p := range pods {
		if err := eventually(w.ctx, "the routes of "+p.name, func() error {
			dump, err := p.admin("config_dump?resource=dynamic_route_configs")
			if err != nil {
				return err
			}
			for _, route := range w.manifests.all("VirtualService") {
				// Istio names it in the metadata of its routes.
				if strings.Contains(dump, "/virtual-service/"+route.GetName()) != wanted {
					return fmt.Errorf("%s: is there: %v", route.GetName(), !wanted)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// refusesInTheHandshake makes a call that must fail before the provider has anything of it, and says how. A provider's own
// response to HTTP on its port for TLS would be 400: it has read the request, and the key.
func (w *world) refusesInTheHandshake(application *application) (said, failed error) {
	said = application.call(w.ctx, application.namespace)
	if said == nil || !strings.Contains(said.Error(), ": 503 ") || !strings.Contains(said.Error(), "connection failure") {
		return nil, fmt.Errorf("the call does not fail in the handshake: %v", said)
	}
	return said, nil
}
