package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const collectorCluster = "outbound|8080||meshmeter-collector.meshmeter.svc.cluster.local"

func delivered(w *world) ([]string, error) {
	var shown []string
	if err := eventually(w.ctx, "the gateway's cluster of the collector has taken requests", func() error {
		clusters, err := w.gateway.admin("clusters")
		if err != nil {
			return err
		}
		shown = nil
		counts := map[string]string{}
		for line := range strings.Lines(clusters) {
			counter, found := strings.CutPrefix(strings.TrimSpace(line), collectorCluster+"::"+w.collector.ip+":8080::")
			if name, value, ok := strings.Cut(counter, "::"); found && ok && strings.HasPrefix(name, "rq_") {
				counts[name] = value
				shown = append(shown, counter)
			}
		}
		if counts["rq_total"] == "" || counts["rq_total"] == "0" || counts["rq_error"] != "0" {
			return fmt.Errorf("%v", shown)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	// Whoever is not the gateway is refused by its identity, with the right token too.
	stranger := w.applications[0]
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost,
		"http://meshmeter-collector.meshmeter.svc.cluster.local:8080/v1/events", strings.NewReader("[]"))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+w.data[ingestToken])
	request.Header.Set("Content-Type", "application/cloudevents-batch+json")
	response, err := stranger.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		return nil, fmt.Errorf("%s may send events with the gateway's token: %d", stranger.name, response.StatusCode)
	}
	return append([]string{collectorCluster + ": " + strings.Join(shown, ", ")}, fmt.Sprintf("%s is refused with 403, although it has the token: "+
		"its certificate is not the gateway's", stranger.name)), nil
}

func journalled(w *world) ([]string, error) {
	made := sum(w.provider.all()).Calls
	var events []event
	if err := eventually(w.ctx, "the journal has every call", func() error {
		var err error
		if events, err = w.events(); err != nil {
			return err
		}
		if len(events) != made {
			return fmt.Errorf("it has %d of %d", len(events), made)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	token := w.data[journalToken]
	known, err := w.reconcile(w.ctx, token, "http://127.0.0.1:8080", w.journal())
	if err != nil {
		return nil, err
	}
	if known["duplicates"] != made || known["sent"] != made || known["alarms"] != 0 {
		return nil, fmt.Errorf("reconcile, with the collector that has all of it: %v", known)
	}
	// A ledger that was lost.
	file := filepath.Join(w.collector.dir, "recovered.db")
	second, err := w.collector.run("second", map[string]string{"MESHMETER_JOURNAL_TOKEN": token}, w.options.collector,
		"serve", "--insecure-no-auth", "--listen", "127.0.0.1:8090", "--database", file)
	if err != nil {
		return nil, err
	}
	if err := eventually(w.ctx, "a second collector", func() error {
		if err := second.alive(); err != nil {
			return err
		}
		_, _, err := get(w.local, "http://127.0.0.1:8090/readyz")
		return err
	}); err != nil {
		return nil, err
	}
	sent, err := w.reconcile(w.ctx, token, "http://127.0.0.1:8090", w.journal())
	if err != nil {
		return nil, err
	}
	if err := second.stop(patience); err != nil {
		return nil, err
	}
	before, err := w.ledger.charged()
	if err != nil {
		return nil, err
	}
	recovered, err := ledger{w.options.collector, file}.charged()
	if err != nil {
		return nil, err
	}
	if fmt.Sprint(before) != fmt.Sprint(recovered) {
		return nil, fmt.Errorf("a ledger from the journal has %v, the collector's %v", recovered, before)
	}
	size, err := os.Stat(w.journal())
	if err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("%d records in the gateway's log of %d KiB, one for each call; %d other lines",
			len(events), size.Size()/1024, known["foreign"]),
		fmt.Sprintf("to the collector that has them: %d sent, %d duplicates", known["sent"], known["duplicates"]),
		fmt.Sprintf("to an empty ledger: %d sent, %d accepted; the same sums by tenant and model", sent["sent"], sent["accepted"]),
	}, nil
}
