package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// promise is a sentence of the guide, and what proves it.
type promise struct {
	what  string
	prove func(*world) ([]string, error)
}

// promises are in an order in which each begins where the one before ended.
var promises = []promise{
	{"calls through the egress gateway are metered: the ledger equals what the providers served, by tenant and model", calls},
	{"metrics have the labels of extraStatTags, and no others", labelled},
	{"the collector gets its events through Istio's cluster, by mutual TLS, and from the gateway only", delivered},
	{"without the route to the gateway a call fails in the caller's sidecar, and its key is not sent in the clear", closed},
	{"the Telemetry resource writes the journal, and `meshmeter reconcile` reads it", journalled},
	{"`meshmeter doctor` finds nothing wrong with the gateway and the collector", healthy},
	{"a budget that is set at the collector refuses calls in the gateway; leases pass the collector's policy", budgeted},
	{"a changed pluginConfig arrives under load, and no record is lost or doubled", configured},
	{"a new image, named by its digest, arrives under load, and no record is lost or doubled", upgraded},
	{"a wrong pluginConfig is refused, and the one before goes on", refused},
	{"an image that cannot be pulled: FAIL_OPEN passes calls unmetered, agent and metrics say so, a good one heals it", unpulled},
	{"the same plugin as a TrafficExtension", extended},
	{"a WasmPlugin and a TrafficExtension at once: one of them meters, the other stands aside and counts it", doubled},
	{"placement sidecar-server: calls to a model of one's own are metered by its sidecar", inFrontOfModel},
	{"placement sidecar-client: calls that leave are metered by the caller's sidecar", withItsOwnSidecar},
	{"placement waypoint, only validated: istiod serves it the plugin and the collector's cluster", servedToWaypoint},
}

// anyHolds says whether `-only` leaves something to prove.
func anyHolds(word string) bool {
	return slices.ContainsFunc(promises, func(p promise) bool { return strings.Contains(p.what, word) })
}

func (w *world) prove() error {
	for i, promise := range promises {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if !strings.Contains(promise.what, w.options.only) {
			continue
		}
		began := time.Now()
		evidence, err := promise.prove(w)
		took := time.Since(began).Round(100 * time.Millisecond)
		if err != nil {
			// What follows begins where this should have ended.
			fmt.Printf("✗ %d. %s (%s)\n    %v\n", i+1, promise.what, took, err)
			return fmt.Errorf("promise %d of %d does not hold", i+1, len(promises))
		}
		fmt.Printf("✓ %d. %s (%s)\n", i+1, promise.what, took)
		for _, line := range evidence {
			fmt.Println("   ", line)
		}
	}
	return nil
}

// some makes so many calls of each application, one after the other.
func (w *world) some(each int, user string) error {
	for _, application := range w.applications {
		for range each {
			to := user
			if to == "" {
				to = application.namespace
			}
			if err := application.call(w.ctx, to); err != nil {
				return fmt.Errorf("%s: %w", application.name, err)
			}
		}
	}
	return nil
}

func calls(w *world) ([]string, error) {
	if err := w.some(40, ""); err != nil {
		return nil, err
	}
	truth, err := w.settled()
	if err != nil {
		return nil, err
	}
	principals, err := w.principals()
	if err != nil {
		return nil, err
	}
	return append(lines(truth),
		"the tenant is the namespace in the certificate that istiod signed for the caller: "+strings.Join(principals, ", "),
		"the providers take TLS only; what they served they know from the bodies of requests"), nil
}

// principals are the callers in the journal, each proven by its certificate.
func (w *world) principals() ([]string, error) {
	events, err := w.events()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, event := range events {
		if event.Data.TenantSource != "spiffe" {
			return nil, fmt.Errorf("the tenant of %s is from %q", event.ID, event.Data.TenantSource)
		}
		if !slices.Contains(found, event.Data.Principal) {
			found = append(found, event.Data.Principal)
		}
	}
	slices.Sort(found)
	return found, nil
}

// whichLabels are some metrics with their labels as docs/metrics.md has them.
var whichLabels = map[string][]string{
	"gen_ai_client_inference_usage_tokens_total": {
		"tenant", "gen_ai_provider_name", "gen_ai_response_model", "gen_ai_token_type",
	},
	"gen_ai_client_inference_calls_total": {
		"tenant", "gen_ai_provider_name", "gen_ai_response_model", "gen_ai_operation_name", "meshmeter_outcome",
		"meshmeter_evidence", "meshmeter_status",
	},
	"meshmeter_calls_total": {},
}

func labelled(w *world) ([]string, error) {
	truth := w.provider.all()
	var evidence []string
	err := eventually(w.ctx, "the metrics equal what the providers served", func() error {
		evidence = nil
		found, err := w.gateway.metrics()
		if err != nil {
			return err
		}
		for name, labels := range whichLabels {
			if err := found.labelled(name, labels...); err != nil {
				return err
			}
		}
		for to, sum := range truth {
			of := map[string]string{"tenant": to.user, "gen_ai_response_model": to.model}
			count := found.total("gen_ai_client_inference_calls_total", of)
			tokens := found.total("gen_ai_client_inference_usage_tokens_total", of)
			if count != sum.Calls || tokens != sum.Input+sum.Output {
				return fmt.Errorf("%v: %d calls, %d tokens; served %v", to, count, tokens, sum)
			}
			evidence = append(evidence, fmt.Sprintf("gen_ai_client_inference_usage_tokens_total{tenant=%q,"+
				"gen_ai_response_model=%q,…} = %d", to.user, to.model, tokens))
		}
		return nil
	})
	return append(evidence, fmt.Sprintf("scraped from port %d of the gateway's pod", statsPort)), err
}
