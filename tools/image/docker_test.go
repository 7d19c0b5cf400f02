package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// instructions gives what a Dockerfile says after its last FROM, a line for each instruction, and all that it says of FROM.
func instructions(t *testing.T, name string) (last, from []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../packaging/docker", name))
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), "")
	for _, line := range strings.Split(joined, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "FROM "):
			last, from = nil, append(from, line)
		default:
			last = append(last, line)
		}
	}
	return last, from
}

func TestContractDockerfilesMakeTheSameImages(t *testing.T) {
	image, err := opened(t, filepath.Join(mustMake(t, inputs(t)), collectorName)).forArchitecture("amd64")
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config := file.Config
	expected := []string{
		"ENV " + strings.Join(config.Env, " "),
		"USER " + config.User,
		"WORKDIR " + config.WorkingDir,
		"VOLUME /" + collectorState,
		"EXPOSE " + collectorPort,
		"STOPSIGNAL " + config.StopSignal,
		`ENTRYPOINT ["` + strings.Join(config.Entrypoint, `", "`) + `"]`,
		`CMD ["` + strings.Join(config.Cmd, `", "`) + `"]`,
	}
	said, _ := instructions(t, "meshmeter.Dockerfile")
	for _, line := range expected {
		found := false
		for _, has := range said {
			found = found || has == line
		}
		if !found {
			t.Errorf("meshmeter.Dockerfile lacks %q", line)
		}
	}

	said, _ = instructions(t, "filter.Dockerfile")
	if last := said[len(said)-1]; !strings.HasPrefix(last, "COPY ") || !strings.HasSuffix(last, "/filter.wasm /plugin.wasm") {
		t.Errorf("the last layer of filter.Dockerfile is %q, and Istio looks for plugin.wasm there", last)
	}
}

func TestContractDockerfilesBuildWithTheProjectsRust(t *testing.T) {
	text, err := os.ReadFile("../../rust-toolchain.toml")
	if err != nil {
		t.Fatal(err)
	}
	channel := regexp.MustCompile(`(?m)^channel = "(.*)"$`).FindSubmatch(text)
	for _, name := range []string{"filter.Dockerfile", "meshmeter.Dockerfile"} {
		_, from := instructions(t, name)
		// What is shipped comes from the last stage but one; one before that may build the web page.
		build := from[max(len(from)-2, 0)]
		if !strings.Contains(build, "rust:"+string(channel[1])+"-") || from[len(from)-1] != "FROM scratch" {
			t.Errorf("%s builds with %v, not with Rust %s for scratch", name, from, channel[1])
		}
	}
}
