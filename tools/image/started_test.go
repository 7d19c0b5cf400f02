package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// container is the collector's image, unpacked, and a volume for its ledger.
type container struct {
	config       *v1.ConfigFile
	root, volume string
}

// unpacked takes the images that MESHMETER_IMAGES names, as `just image` does: they need a static build of the collector.
func unpacked(t *testing.T, architecture string) container {
	t.Helper()
	images := os.Getenv("MESHMETER_IMAGES")
	if images == "" {
		t.Skip("MESHMETER_IMAGES names no images; `just image` runs this test")
	}
	layout := filepath.Join(images, collectorName)
	image, err := opened(t, layout).forArchitecture(architecture)
	if err != nil {
		t.Skip(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := container{config: config, root: t.TempDir(), volume: t.TempDir()}
	if err := run([]string{"unpack", "--architecture", architecture, layout, c.root}, io.Discard); err != nil {
		t.Fatal(err)
	}
	return c
}

// command is what a container runtime would run: the image's environment, working directory and user, on a root that
// cannot be written, with the volume mounted.
func (c container) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change the root directory and the user")
	}
	if err := os.Chown(c.volume, collectorUser, collectorUser); err != nil {
		t.Fatal(err)
	}
	user, group, _ := strings.Cut(c.config.Config.User, ":")
	started := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-euc",
		`root=$1 volume=$2 state=$3 user=$4 group=$5
		shift 5
		mount --bind "$root" "$root"
		mount -o remount,bind,ro "$root"
		mount --bind "$volume" "$root$state"
		exec unshare --root="$root" --wd="$state" --setgid "$group" --setuid "$user" "$@"`,
		"container", c.root, c.volume, c.config.Config.WorkingDir, user, group}, args...)...)
	started.Env = append(append([]string{}, c.config.Config.Env...),
		"MESHMETER_LISTEN=127.0.0.1:0", "MESHMETER_INGEST_TOKEN=only-for-this-test", "MESHMETER_READ_TOKEN=also-for-this-test")
	return started
}

func (c container) version() string {
	return "meshmeter " + c.config.Config.Labels["org.opencontainers.image.version"] + "\n"
}

func TestFidelityCollectorStartsFromItsImage(t *testing.T) {
	c := unpacked(t, runtime.GOARCH)
	entrypoint := c.config.Config.Entrypoint
	if said, err := c.command(t, append(entrypoint, "--version")...).CombinedOutput(); err != nil || string(said) != c.version() {
		t.Fatalf("--version: %v, %s", err, said)
	}

	serving := serve(t, c.command(t, append(entrypoint, c.config.Config.Cmd...)...))
	for _, path := range []string{"/livez", "/readyz"} {
		response, err := http.Get("http://" + serving.address + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serving.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Name:\tmeshmeter", "Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532", "Groups:\t \n"} {
		if !strings.Contains(string(status), line) {
			t.Errorf("the process has not %q:\n%s", line, status)
		}
	}
	// The same ledger, by the image's environment.
	if said, err := c.command(t, append(entrypoint, "report")...).CombinedOutput(); err != nil {
		t.Errorf("report: %v\n%s", err, said)
	}
	if _, err := os.Stat(filepath.Join(c.volume, "ledger.db")); err != nil {
		t.Error(err)
	}
	serving.end(t)

	// Without the volume there is nothing to write to, and it says so.
	bare := c.command(t, append(entrypoint, c.config.Config.Cmd...)...)
	bare.Env = append(bare.Env, "MESHMETER_DATABASE=/ledger.db")
	if said, err := bare.CombinedOutput(); err == nil || !strings.Contains(string(said), "/ledger.db") {
		t.Errorf("on a root that cannot be written: %v\n%s", err, said)
	}
}

// The image for arm64 on a machine that is not one: QEMU translates the instructions and passes on the system calls.
func TestFidelityCollectorForArm64StartsInQEMU(t *testing.T) {
	c := unpacked(t, "arm64")
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Skip("qemu-aarch64-static (Debian: qemu-user-static) is not there: the program for arm64 is built and not run")
	}
	program := filepath.Join(c.root, collectorProgram)
	if said, err := exec.Command(qemu, program, "--version").CombinedOutput(); err != nil || string(said) != c.version() {
		t.Fatalf("--version: %v, %s", err, said)
	}
	command := exec.Command(qemu, program, "serve", "--database", filepath.Join(c.volume, "ledger.db"))
	command.Env = []string{"MESHMETER_LISTEN=127.0.0.1:0", "MESHMETER_INGEST_TOKEN=only-for-this-test"}
	serving := serve(t, command)
	response, err := http.Get("http://" + serving.address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %s", response.Status)
	}
	serving.end(t)
}

// server is a collector that listens.
type server struct {
	address string
	process *os.Process
	ended   chan error
}

// serve starts it and waits until it has said where it listens.
func serve(t *testing.T, command *exec.Cmd) server {
	t.Helper()
	printed, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	started := server{process: command.Process, ended: make(chan error, 1)}
	t.Cleanup(func() { _ = command.Process.Kill() })
	said := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(printed)
		for lines.Scan() {
			if _, address, found := strings.Cut(lines.Text(), "listening on http://"); found {
				said <- address
			}
		}
		started.ended <- command.Wait()
	}()
	select {
	case started.address = <-said:
	case err := <-started.ended:
		t.Fatalf("it ended: %v\n%s", err, log.String())
	case <-time.After(30 * time.Second):
		t.Fatal("it does not listen after 30 s")
	}
	return started
}

// end stops it as a container runtime does.
func (s server) end(t *testing.T) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("on SIGTERM: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it still runs 20 s after SIGTERM")
	}
}
