package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	openaiModel    = "gpt-4.1-mini"
	anthropicModel = "claude-sonnet-4-5"
)

// application is a pod of some team that calls models with plain HTTP, as the guide tells it to.
type application struct {
	*pod
	client *http.Client
	calls  atomic.Int64
	// The header with a tenant, where a placement trusts it.
	tenant string
}

func (p *pod) application() *application {
	return &application{pod: p, client: &http.Client{
		Transport: &http.Transport{DialContext: dialer(p.network, true), MaxIdleConnsPerHost: 8}, Timeout: patience,
	}}
}

// call makes the next call: each provider in turn, whole responses and streams. `user` is what the provider remembers.
func (a *application) call(ctx context.Context, user string) error {
	n := a.calls.Add(1)
	isStream := n%4 >= 2
	if n%2 == 0 {
		return a.openai(ctx, "http://api.openai.com", openaiModel, user, isStream)
	}
	return a.post(ctx, "http://api.anthropic.com/v1/messages", map[string]any{
		"model": anthropicModel, "metadata": map[string]any{"user_id": user}, "stream": isStream,
	})
}

// openai makes a call in OpenAI's API.
func (a *application) openai(ctx context.Context, base, model, user string, isStream bool) error {
	body := map[string]any{"model": model, "user": user, "stream": isStream}
	if isStream {
		body["stream_options"] = map[string]any{"include_usage": true}
	}
	return a.post(ctx, base+"/v1/chat/completions", body)
}

func (a *application) post(ctx context.Context, url string, body map[string]any) error {
	body["max_tokens"] = 64
	body["messages"] = []any{map[string]any{"role": "user", "content": "Say hello."}}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer key-of-the-provider")
	request.Header.Set(rolloutHeader, rolloutValue)
	if a.tenant != "" {
		request.Header.Set("x-tenant-id", a.tenant)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK || !isWhole(string(answer)) {
		return fmt.Errorf("%s: %d %s", url, response.StatusCode, tail(string(answer), 5))
	}
	return nil
}

// load is calls of all applications, without a break, until it is ended.
type load struct {
	end    context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	failed []error
	made   int
}

// between are the pauses of one caller: the load shall not hide a slow rollout behind a busy machine.
const (
	callers = 3
	between = 20 * time.Millisecond
)

func (w *world) startLoad() *load {
	ctx, end := context.WithCancel(w.ctx)
	l := &load{end: end}
	for _, application := range w.applications {
		for range callers {
			l.done.Add(1)
			go func() {
				defer l.done.Done()
				for ctx.Err() == nil {
					// A call that has begun is finished.
					err := application.call(w.ctx, application.namespace)
					l.mu.Lock()
					l.made++
					if err != nil {
						l.failed = append(l.failed, err)
					}
					l.mu.Unlock()
					time.Sleep(between)
				}
			}()
		}
	}
	return l
}

// sofar is how many calls were made.
func (l *load) sofar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made
}

// stop ends it, and says how many calls were made. A call that failed is an error.
func (l *load) stop() (int, error) {
	l.end()
	l.done.Wait()
	if len(l.failed) > 0 {
		return l.made, fmt.Errorf("%d of %d calls failed, the first: %w", len(l.failed), l.made, l.failed[0])
	}
	return l.made, nil
}
