package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// pod is a network and a mount namespace, and what the kubelet would put into it.
type pod struct {
	name, namespace, account, ip string
	labels, annotations          map[string]string
	token                        string
	// Relative paths of Istio's agent start here; in a container that is the root.
	dir       string
	sleeper   *exec.Cmd
	network   netns.NsHandle
	processes []*process
}

// newPod makes the namespaces. `dir` is the pod's own.
func (n *network) newPod(dir, trusted string, p *pod) error {
	p.dir = filepath.Join(dir, p.name)
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	// The namespaces live as long as a process that does nothing, as in Kubernetes.
	p.sleeper = exec.Command("sleep", "infinity")
	p.sleeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if err := p.sleeper.Start(); err != nil {
		return fmt.Errorf("namespaces of a pod: %w", err)
	}
	var err error
	if p.network, err = netns.GetFromPid(p.sleeper.Process.Pid); err != nil {
		return err
	}
	if p.ip, err = n.attach(p.network); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	resolver := filepath.Join(p.dir, "resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver "+nodeIP+"\n"), 0o600); err != nil {
		return err
	}
	// The agent keeps modules under /var/lib/istio/data, whatever it is told. The authorities are the system's.
	mounts := fmt.Sprintf("mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/istio/data &&"+
		" mount --bind '%s' /etc/resolv.conf && mount --bind '%s' /etc/ssl/certs/ca-certificates.crt", resolver, trusted)
	if said, err := p.command("sh", "-c", mounts).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: mounts: %w: %s", p.name, err, said)
	}
	return p.write(map[string]string{
		"etc/istio/pod/labels":                 downward(p.labels),
		"etc/istio/pod/annotations":            downward(p.annotations),
		"var/run/secrets/tokens/istio-token":   p.token,
		"var/run/secrets/workload-spiffe-uds/": "",
		"var/run/secrets/credential-uds/":      "",
	})
}

// write makes files, and directories where a name ends with a slash.
func (p *pod) write(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(p.dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// downward is how the downward API writes labels and annotations.
func downward(fields map[string]string) string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&text, "%s=%q\n", key, fields[key])
	}
	return text.String()
}

// command runs in the pod.
func (p *pod) command(arguments ...string) *exec.Cmd {
	enter := []string{"--target", fmt.Sprint(p.sleeper.Process.Pid), "--net", "--mount", "--wdns=" + p.dir, "--"}
	return exec.Command("nsenter", append(enter, arguments...)...)
}

// run starts a container of the pod.
func (p *pod) run(name string, environment map[string]string, arguments ...string) (*process, error) {
	command := p.command(arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}
	for _, key := range slices.Sorted(maps.Keys(environment)) {
		command.Env = append(command.Env, key+"="+environment[key])
	}
	started, err := start(p.name+"/"+name, filepath.Join(p.dir, name+".log"), command)
	if err != nil {
		return nil, err
	}
	p.processes = append(p.processes, started)
	return started, nil
}

// serviceAccountToken looks like one of Kubernetes: only Kubernetes' API says whether it is good.
func serviceAccountToken(namespace, account string) string {
	part := func(fields map[string]any) string {
		text, err := json.Marshal(fields)
		if err != nil {
			panic(err) // strings and numbers
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"aud": []string{"istio-ca"}, "iss": "https://kubernetes.default.svc",
		"sub": "system:serviceaccount:" + namespace + ":" + account,
		"iat": time.Now().Unix(), "exp": time.Now().Add(12 * time.Hour).Unix(),
	}) + "." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprint(namespace, account, time.Now().UnixNano())))
}
