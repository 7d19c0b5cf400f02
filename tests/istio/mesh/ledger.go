package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// ledger asks the collector's command line about its ledger.
type ledger struct{ binary, database string }

func (l ledger) ask(arguments ...string) (string, error) {
	command := exec.Command(l.binary, append(arguments, "--database", l.database)...)
	said, err := command.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return string(said), fmt.Errorf("meshmeter %s: exit code %d: %s%s",
			strings.Join(arguments, " "), ended.ExitCode(), ended.Stderr, said)
	}
	return string(said), err
}

// charged gives what each tenant used of each model, and how often.
func (l ledger) charged() (map[account]served, error) {
	text, err := l.ask("report", "--format", "json", "--by", "tenant,model")
	if err != nil {
		return nil, err
	}
	var report struct {
		Lines []struct {
			Tenant, Model, Evidence string
			Calls                   int
			Usage                   map[string]int
		}
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return nil, fmt.Errorf("meshmeter report: %w: %s", err, text)
	}
	sums := map[account]served{}
	for _, line := range report.Lines {
		// A call that a budget refused: no provider has served it. One that was served would be missed in the sums.
		if line.Evidence == "missing" && len(line.Usage) == 0 {
			continue
		}
		to := account{line.Tenant, line.Model}
		sum := sums[to]
		sum.Calls += line.Calls
		for class, count := range line.Usage {
			if strings.HasPrefix(class, "input") {
				sum.Input += count
			} else {
				sum.Output += count
			}
		}
		sums[to] = sum
	}
	return sums, nil
}

// unmetered are the users whose calls were made while the guide says that calls pass unmetered.
const unmetered = "unmetered"

// settled waits until the ledger has what the provider served, to the call and to the token, and nothing is missing.
func (w *world) settled() (map[account]served, error) {
	var truth map[account]served
	err := eventually(w.ctx, "the ledger equals what the provider served", func() error {
		truth = w.provider.all()
		maps.DeleteFunc(truth, func(to account, _ served) bool { return to.user == unmetered })
		found, err := w.ledger.charged()
		if err != nil {
			return err
		}
		if !maps.Equal(truth, found) {
			return fmt.Errorf("served %v, charged %v", truth, found)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// It ends with 3 if a number is missing or something is quarantined.
	if said, err := w.ledger.ask("gaps"); err != nil {
		return nil, errors.Join(err, errors.New(said))
	}
	return truth, nil
}

// sum is all calls and tokens.
func sum(of map[account]served) served {
	var all served
	for one := range maps.Values(of) {
		all.Calls += one.Calls
		all.Input += one.Input
		all.Output += one.Output
	}
	return all
}

// lines shows sums, one line each.
func lines(of map[account]served) []string {
	var shown []string
	for to, sum := range of {
		shown = append(shown, fmt.Sprintf("%s, %s: %d calls, %d + %d tokens", to.user, to.model, sum.Calls, sum.Input, sum.Output))
	}
	slices.Sort(shown)
	return shown
}

// reconcile sends a journal to a collector that listens in a pod, from within the pod.
func (w *world) reconcile(ctx context.Context, token, collector, file string) (map[string]int, error) {
	command := w.collector.command(w.options.collector, "reconcile", "--format", "json", "--all", "--collector", collector, file)
	command.Env = []string{"MESHMETER_JOURNAL_TOKEN=" + token}
	said, err := command.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return nil, fmt.Errorf("meshmeter reconcile: %w: %s%s", err, ended.Stderr, said)
	}
	if err != nil {
		return nil, err
	}
	all := strings.Split(strings.TrimSpace(string(said)), "\n")
	counts := map[string]int{}
	var fields map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &fields); err != nil {
		return nil, fmt.Errorf("meshmeter reconcile: %w: %s", err, said)
	}
	for name, value := range fields {
		if number, ok := value.(float64); ok {
			counts[name] = int(number)
		}
	}
	return counts, ctx.Err()
}
