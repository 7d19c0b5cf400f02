// The guide's commands for tokens, run by bash, and the collector with the files that they leave.
package istio

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commands gives the block of the guide that holds a text.
func commands(t *testing.T, holds string) string {
	t.Helper()
	for _, block := range strings.Split(string(read(t, "README.md")), "```bash\n")[1:] {
		if text, _, _ := strings.Cut(block, "```"); strings.Contains(text, holds) {
			return text
		}
	}
	t.Fatalf("the guide has no commands with %s", holds)
	return ""
}

// call is an event as docs/events.md shows it, of another tenant.
func call(t *testing.T, tenant string, sequence int) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(text), "```json\n")
	shown, _, _ = strings.Cut(shown, "```")
	var event map[string]any
	if err := json.Unmarshal([]byte(shown), &event); err != nil {
		t.Fatal(err)
	}
	data := event["data"].(map[string]any)
	event["id"], event["subject"] = fmt.Sprintf("%v-%d", data["emitter"], sequence), tenant
	data["sequence"], data["tenant"] = sequence, tenant
	line, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// Whoever may create pods in the namespace of a sidecar-client can print records into a file that reconcile reads. By the
// token that the guide gives it they are charged to that namespace's tenant, or not at all.
func TestTheGuidesJournalTokenChargesOneTenant(t *testing.T) {
	meshmeter := os.Getenv("MESHMETER_COLLECTOR")
	if meshmeter == "" {
		t.Skip("MESHMETER_COLLECTOR, the path of the binary meshmeter, is not set")
	}
	store := t.TempDir()
	shim, err := filepath.Abs("testdata/kubectl.bash")
	if err != nil {
		t.Fatal(err)
	}
	rotation := commands(t, "secret() {")
	_, secret, _ := strings.Cut(rotation, "secret() {")
	secret, _, _ = strings.Cut(secret, "\n")
	script := strings.Join([]string{
		"set -euo pipefail; umask 077; . " + shim, commands(t, "has() {"), "secret() {" + secret,
		commands(t, `"team-a $own tenants=team-a"`), commands(t, `"team-a-journals $journals tenants=team-a"`),
	}, "\n")
	bash := exec.Command("bash", "-c", script)
	bash.Dir, bash.Env = "../..", append(os.Environ(), "STORE="+store)
	if said, err := bash.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}

	tokens := filepath.Join(store, "secret/meshmeter/meshmeter-collector")
	database := filepath.Join(t.TempDir(), "ledger.db")
	serve := exec.Command(meshmeter, "serve", "--listen", "127.0.0.1:0", "--database", database,
		"--ingest-token-file", tokens+"/ingest-token", "--journal-token-file", tokens+"/journal-token", "--read-token-file", tokens+"/read-token")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Kill()
		_ = serve.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address, isReady := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !isReady {
		t.Fatalf("the collector said %q: %v", line, err)
	}

	// counts are those of `meshmeter reconcile` over a journal of one call.
	type counts struct{ Accepted, Alarms int }
	reconcile := func(token, tenant string, sequence int) counts {
		t.Helper()
		journal := filepath.Join(t.TempDir(), "0.log")
		if err := os.WriteFile(journal, []byte(call(t, tenant, sequence)), 0o600); err != nil {
			t.Fatal(err)
		}
		// It exits with 3 if there is an alarm.
		said, _ := exec.Command(meshmeter, "reconcile", "--collector", address, "--journal-token-file", token, "--live", "--format=json", journal).Output()
		var done counts
		if err := json.Unmarshal(said, &done); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return done
	}
	own := filepath.Join(store, "secret/meshmeter-reconcile/meshmeter-journal/journal-token")
	if done := reconcile(own, "team-a", 1); done != (counts{Accepted: 1}) {
		t.Errorf("of its own tenant: %+v", done)
	}
	if done := reconcile(own, "finance", 2); done != (counts{Alarms: 1}) {
		t.Errorf("of another tenant: %+v", done)
	}
	// The token of step 2 can: that is why there is another.
	general, err := os.ReadFile(tokens + "/journal-token")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(general), "\n")
	of := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(of, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if done := reconcile(of, "finance", 3); done != (counts{Accepted: 1}) {
		t.Errorf("by the gateways' token: %+v", done)
	}
}
