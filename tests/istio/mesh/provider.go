package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// served is what a provider did for one of its users with one model.
type served struct{ Calls, Input, Output int }

// account is whom a provider would send a bill to. The user is what the application wrote into its request, which is not
// where the plugin looks.
type account struct{ user, model string }

// provider responds as OpenAI and Anthropic do, over TLS, whole or as a stream, and remembers what it served.
type provider struct {
	handler http.ServeMux

	mu    sync.Mutex
	truth map[account]served
	calls int
}

func serveProvider(a *authority) (*provider, error) {
	p := &provider{truth: map[account]served{}}
	p.handler.HandleFunc("POST /v1/chat/completions", p.respond(openaiResponse))
	p.handler.HandleFunc("POST /v1/messages", p.respond(anthropicResponse))
	for host, ip := range map[string]string{"api.openai.com": openaiIP, "api.anthropic.com": anthropicIP} {
		settings, err := a.server(host)
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", ip+":443")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: &p.handler, TLSConfig: settings, ReadHeaderTimeout: patience}
		// It ends with the process.
		go func() { _ = server.ServeTLS(listener, "", "") }()
	}
	return p, nil
}

// serveModel responds in plaintext within a pod, as a model server of one's own would.
func (p *provider) serveModel(within *pod, port int) error {
	listener, err := listen(within.network, fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: &p.handler, ReadHeaderTimeout: patience}
	// It ends with the process.
	go func() { _ = server.Serve(listener) }()
	return nil
}

// ask is what is read of a request.
type ask struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	User     string `json:"user"`
	Metadata struct {
		User string `json:"user_id"`
	} `json:"metadata"`
}

type response func(w http.ResponseWriter, asked ask, input, output int)

func (p *provider) respond(with response) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked ask
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if asked.User == "" {
			asked.User = asked.Metadata.User
		}
		p.mu.Lock()
		p.calls++
		// Of every call another count, so that a sum cannot be right by chance.
		input, output := 20+p.calls%17, 5+p.calls%11
		to := account{asked.User, asked.Model}
		sum := p.truth[to]
		p.truth[to] = served{sum.Calls + 1, sum.Input + input, sum.Output + output}
		p.mu.Unlock()
		with(w, asked, input, output)
	}
}

// all gives a copy of what it served so far.
func (p *provider) all() map[account]served {
	p.mu.Lock()
	defer p.mu.Unlock()
	truth := map[account]served{}
	for account, sum := range p.truth {
		truth[account] = sum
	}
	return truth
}

func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	for _, event := range events {
		_, _ = fmt.Fprint(w, event, "\n\n")
		_ = flusher.Flush()
	}
}

func openaiResponse(w http.ResponseWriter, asked ask, input, output int) {
	usage := fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, input, output, input+output)
	if !asked.Stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":"chatcmpl-%d","object":"chat.completion","model":%q,"choices":[{"index":0,`+
			`"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":%s}`, input, asked.Model, usage)
		return
	}
	chunk := func(rest string) string {
		return fmt.Sprintf(`data: {"id":"chatcmpl-%d","object":"chat.completion.chunk","model":%q,%s}`, input, asked.Model, rest)
	}
	stream(w,
		chunk(`"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}],"usage":null`),
		chunk(`"choices":[{"index":0,"delta":{"content":"lo."}}],"usage":null`),
		chunk(`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null`),
		chunk(`"choices":[],"usage":`+usage), "data: [DONE]")
}

func anthropicResponse(w http.ResponseWriter, asked ask, input, output int) {
	if !asked.Stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":"msg_%d","type":"message","role":"assistant","model":%q,"content":[{"type":"text",`+
			`"text":"Hello."}],"stop_reason":"end_turn","usage":{"input_tokens":%d,"output_tokens":%d}}`,
			input, asked.Model, input, output)
		return
	}
	event := func(kind, rest string) string {
		return fmt.Sprintf("event: %s\ndata: {\"type\":%q%s}", kind, kind, rest)
	}
	stream(w,
		event("message_start", fmt.Sprintf(`,"message":{"id":"msg_%d","type":"message","role":"assistant","model":%q,`+
			`"content":[],"usage":{"input_tokens":%d,"output_tokens":1}}`, input, asked.Model, input)),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
		event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"Hello."}`),
		event("content_block_stop", `,"index":0`),
		event("message_delta", fmt.Sprintf(`,"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":%d}`, output)),
		event("message_stop", ""))
}

// isWhole says whether a response, whole or a stream, came to its end.
func isWhole(body string) bool {
	body = strings.TrimSpace(body)
	return strings.HasSuffix(body, "}") || strings.HasSuffix(body, "[DONE]")
}
