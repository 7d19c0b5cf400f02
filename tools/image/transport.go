package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// untrusting speaks TLS without looking at the certificate, for --insecure.
func untrusting() http.RoundTripper {
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by name
	return transport
}

// confidential speaks TLS to other machines, and no plain HTTP. The library would, to private addresses and to names that end
// in .localhost, and to wherever a registry redirects to: with the credentials.
type confidential struct{ inner http.RoundTripper }

func (c confidential) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !isThisMachine(request.URL.Hostname()) {
		return nil, fmt.Errorf("%s speaks HTTP without TLS: whoever is on the way could read the credentials, or change what is published; --insecure allows it", request.URL.Host)
	}
	return c.inner.RoundTrip(request)
}

func isThisMachine(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || address != nil && address.IsLoopback()
}
