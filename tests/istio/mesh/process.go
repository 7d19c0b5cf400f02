package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a running part. Its output goes to one file.
type process struct {
	name, log string
	command   *exec.Cmd
	ended     chan struct{}
	err       error
}

func start(name, log string, command *exec.Cmd) (*process, error) {
	// Envoy opens /dev/stdout anew: everybody must append.
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, log: log, command: command, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// hasEnded is a process that should run. There is nothing to wait for any more.
type hasEnded struct{ why string }

func (e *hasEnded) Error() string { return e.why }

// alive fails if it has ended, with the end of its log.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return &hasEnded{fmt.Sprintf("%s has ended: %v\n%s", p.name, p.err, tail(p.output(), 30))}
	default:
		return nil
	}
}

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// says gives the lines of its log that hold all of the words.
func (p *process) says(words ...string) []string {
	var found []string
	for line := range strings.Lines(p.output()) {
		holds := true
		for _, word := range words {
			holds = holds && strings.Contains(line, word)
		}
		if holds {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// stop asks it to end, and kills it if it does not.
func (p *process) stop(grace time.Duration) error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(grace):
	}
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return fmt.Errorf("%s did not stop within %s", p.name, grace)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	for i, line := range all {
		if len(line) > 400 {
			all[i] = line[:400] + " …"
		}
	}
	return strings.Join(all, "\n")
}
