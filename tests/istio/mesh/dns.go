package main

import (
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// names are the hosts that pods can resolve: the outside world, and Istio's control plane.
var names = map[string]string{
	"api.openai.com":                        openaiIP,
	"api.anthropic.com":                     anthropicIP,
	"registry.example.com":                  registryIP,
	"istiod.istio-system.svc":               istiodIP,
	"istiod.istio-system.svc.cluster.local": istiodIP,
}

// addName makes a service's name known, as Kubernetes' DNS would.
func addName(name, namespace, ip string) {
	known.Lock()
	defer known.Unlock()
	names[name+"."+namespace+".svc.cluster.local"] = ip
}

func lookUp(host string) (string, bool) {
	known.RLock()
	defer known.RUnlock()
	ip, ok := names[strings.ToLower(host)]
	return ip, ok
}

// serveDNS answers for the names, and that there is no such name for others.
func serveDNS() (*dns.Server, error) {
	socket, err := net.ListenPacket("udp", nodeIP+":53")
	if err != nil {
		return nil, err
	}
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(answer)}
	// It ends with the process.
	go func() { _ = server.ActivateAndServe() }()
	return server, nil
}

var known sync.RWMutex

func answer(w dns.ResponseWriter, asked *dns.Msg) {
	reply := new(dns.Msg).SetReply(asked)
	for _, question := range asked.Question {
		ip, ok := lookUp(strings.TrimSuffix(question.Name, "."))
		switch {
		case !ok:
			reply.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A:   net.ParseIP(ip),
			})
		}
	}
	// Whoever asked and left needs no answer.
	_ = w.WriteMsg(reply)
}
