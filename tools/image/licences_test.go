package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContractNoticesNameWhatIsLinked(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chdir("tools/image") })
	musl := filepath.Join(t.TempDir(), "COPYRIGHT")
	if err := os.WriteFile(musl, []byte("musl as a whole is licensed so"), 0o644); err != nil {
		t.Fatal(err)
	}
	notices := func(of, target string) string {
		var text strings.Builder
		if err := run([]string{"licences", "--package", of, "--target", target, "--also", "musl=" + musl}, &text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	collector := notices("collector", "x86_64-unknown-linux-musl")
	for _, linked := range []string{"\n  rusqlite ", "\n  ring ", "\n  tokio ", "\n  musl\n", "musl as a whole is licensed so"} {
		if !strings.Contains(collector, linked) {
			t.Errorf("the collector's notices lack %q", linked)
		}
	}
	for _, other := range []string{"\n  proptest ", "\n  cc ", "\n  serde_derive ", "\n  collector ", "\n  proxy-wasm "} {
		if strings.Contains(collector, other) {
			t.Errorf("the collector's notices have %q, which is not linked in", other)
		}
	}
	if filter := notices("filter", "wasm32-wasip1"); !strings.Contains(filter, "\n  proxy-wasm ") || strings.Contains(filter, "\n  tokio ") {
		t.Error("the filter's notices are not the filter's")
	}
	// Each text stands once, however many crates have it; many differ by the line that names who has the copyright.
	seen := map[string]bool{}
	for _, section := range strings.Split(collector, "\n"+strings.Repeat("=", 80)+"\n")[1:] {
		users, text, _ := strings.Cut(section, "\n")
		words := strings.Join(strings.Fields(text), " ")
		if words == "" || seen[words] {
			t.Errorf("a text that is empty, or stands there already: %s", users)
		}
		seen[words] = true
	}
	crates := strings.Count(collector, "\n  ")
	if len(seen) < 10 || len(seen) >= crates {
		t.Errorf("%d texts of %d crates", len(seen), crates)
	}
}
