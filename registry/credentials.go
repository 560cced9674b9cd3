// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// RefusedError is a request that was not sent because credentials would have gone with it
// to a place that is not to have them.
type RefusedError struct {
	Registry string // whose credentials they are, HOST[:PORT]
	To       string // scheme://HOST[:PORT]
	reason   refusal
	pinned   string // with notPinned, the host that is allowed
}

// refusal is why credentials stay here.
type refusal int

const (
	inTheClear refusal = iota // plain http, and not on loopback
	redirected                // the token server sends on to another host
	notItsOwn                 // somebody else announced this token server, or plain http did
	elsewhere                 // neither the registry nor its token server
	notPinned                 // Options.Realm names another token server
)

// Error implements error.
func (e *RefusedError) Error() string {
	switch e.reason {
	case inTheClear:
		return fmt.Sprintf("registry %s: the login would go to %.200s, which is not encrypted", e.Registry, e.To)
	case redirected:
		return fmt.Sprintf("registry %s: its token server sends the login on to another host, %.200s", e.Registry, e.To)
	case notItsOwn:
		return fmt.Sprintf("registry %s: the login would go to %.200s, which the registry did not announce itself over https", e.Registry, e.To)
	case notPinned:
		return fmt.Sprintf("registry %s: its token server is %.200s, and only %s may be asked", e.Registry, e.To, e.pinned)
	default:
		return fmt.Sprintf("registry %s: the login would go to another host, %.200s", e.Registry, e.To)
	}
}

// Hint says what to do.
func (e *RefusedError) Hint() string {
	switch e.reason {
	case inTheClear:
		return fmt.Sprintf("give the registry https; if it needs no login, 'docker logout %s' lets you go on without one", e.Registry)
	case notPinned:
		return "if that is the registry's token server indeed, name it with --auth-realm"
	default:
		return fmt.Sprintf("ask whoever runs the registry why; 'docker logout %s' lets you go on without a login", e.Registry)
	}
}

// CheckRealm returns an error with a hint, one of usage, if host is not HOST or HOST:PORT,
// and nil for "".
func CheckRealm(host string) error {
	u, err := url.Parse("https://" + host)
	if host == "" || err == nil && u.Host == host && u.Hostname() != "" && !strings.HasSuffix(host, ":") {
		return nil
	}
	return hint.Usage(fmt.Sprintf("token server %q is not HOST or HOST:PORT", host), "name the host alone, such as auth.docker.io")
}

// guard is a transport that lets credentials go to a registry and its token server only.
type guard struct {
	inner    http.RoundTripper
	registry string // HOST[:PORT]
	pinned   string // HOST[:PORT] of the one token server that may be asked; "" means any
	login    bool   // there are credentials; else nothing that is sent is secret

	mu     sync.Mutex
	realms map[string]bool // those announced, as place says them; whether the registry itself did, over https or on loopback
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req); err != nil {
		discard(req)
		return nil, err
	}
	resp, err := g.inner.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		g.announced(req.URL, resp.Header.Values("WWW-Authenticate"))
	}
	return resp, err
}

// check refuses a request. One for a token that is redirected to another host would go
// there without credentials, and come back with a puzzle or with somebody's token.
func (g *guard) check(req *http.Request) error {
	first := origin(req).URL
	trusted, token := g.realm(first)
	refuse := func(why refusal) error {
		return &RefusedError{Registry: g.registry, To: req.URL.Scheme + "://" + req.URL.Host, reason: why, pinned: g.pinned}
	}
	switch itself := sameHost(req.URL, g.registry); {
	case token && g.pinned != "" && !sameHost(req.URL, g.pinned):
		return refuse(notPinned)
	case !g.login || !token && !bringsSecret(req):
		return nil
	case !encrypted(req.URL):
		return refuse(inTheClear)
	case token && !sameHost(req.URL, first.Host):
		return refuse(redirected)
	case token && !trusted && !itself:
		return refuse(notItsOwn)
	case !token && !itself:
		return refuse(elsewhere)
	}
	return nil
}

// bringsSecret reports whether a request has credentials on it, or a token that they were
// exchanged for. Forms are how a refresh token is sent.
func bringsSecret(req *http.Request) bool {
	return req.Header.Get("Authorization") != "" || isForm(req)
}

func isForm(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// realm says whether u is a token server that was announced, and whether by the registry itself.
func (g *guard) realm(u *url.URL) (trusted, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	trusted, known = g.realms[place(u)]
	return trusted, known
}

// announced takes down which token servers an answer names. What this does not find in it,
// and the registry client does, gets no credentials.
func (g *guard) announced(from *url.URL, challenges []string) {
	itself := sameHost(from, g.registry) && encrypted(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, challenge := range challenges {
		for _, match := range realms.FindAllStringSubmatch(challenge, -1) {
			if u, err := url.Parse(cmp.Or(match[1], match[2])); err == nil && u.Host != "" {
				if g.realms == nil {
					g.realms = map[string]bool{}
				}
				g.realms[place(u)] = g.realms[place(u)] || itself
			}
		}
	}
}

// realms finds the token server in a challenge. Basic has a realm, too, which is a text.
var realms = regexp.MustCompile(`(?i)\bbearer\s[^"]*?(?:"[^"]*"[^"]*?)*?\brealm\s*=\s*(?:"([^"]*)"|([^\s",]+))`)

// place is an address without what a request adds to it.
func place(u *url.URL) string {
	return u.Scheme + "://" + address(u) + u.EscapedPath()
}

// sameHost reports whether u is at HOST[:PORT].
func sameHost(u *url.URL, host string) bool {
	return address(u) == address(&url.URL{Scheme: u.Scheme, Host: host})
}

// address is HOST:PORT of an address, in small letters.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// encrypted reports whether nobody but the host at u reads what is sent there. A name
// below localhost is no loopback address: a proxy would be asked for it.
func encrypted(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || ip != nil && ip.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}
