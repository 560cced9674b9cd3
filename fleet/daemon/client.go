// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// newestAPI is the newest version of the API that this client was seen to work with.
const newestAPI = "1.52"

// Client speaks with one daemon.
type Client struct {
	Endpoint
	Version Version
	http    *http.Client
	dial    func(context.Context) (net.Conn, error)
}

// Version is what a daemon says of itself first.
type Version struct {
	Version    string // "20.10.24+dfsg1"
	APIVersion string `json:"ApiVersion"` // "1.41"
	Components []struct{ Name, Version string }
}

// API reports whether the daemon's API is of that version or newer.
func (v Version) API(least string) bool { return compat.Compare(v.APIVersion, least) >= 0 }

// Podman reports whether it is podman that answers, by whatever name it was called.
func (v Version) Podman() bool { return v.component("Podman Engine") != "" }

// Name is the engine that answers, with its version: "docker 20.10.24+dfsg1".
func (v Version) Name() string {
	if v.Podman() {
		return Podman + " " + v.Version
	}
	return Docker + " " + v.Version
}

// Runc is the version of the OCI runtime, "" if the daemon does not say.
func (v Version) Runc() string {
	version := v.component("runc")
	if version == "" {
		version = v.component("OCI Runtime (runc)") // podman's: the lines of runc --version
	}
	version, _, _ = strings.Cut(version, "\n")
	return strings.TrimPrefix(version, "runc version ")
}

func (v Version) component(name string) string {
	for _, c := range v.Components {
		if c.Name == name {
			return c.Version
		}
	}
	return ""
}

// Error is what a daemon answers to what it does not do.
type Error struct {
	Status  int // of HTTP
	Message string
}

func (e *Error) Error() string { return e.Message }

// IsNotFound reports whether the daemon says that what was named is not there.
func IsNotFound(err error) bool { return is(err, http.StatusNotFound) }

// IsConflict reports whether the daemon says that what was named is in use, or that it is being done already.
func IsConflict(err error) bool { return is(err, http.StatusConflict) }

func is(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

var errSilent = errors.New("no answer within a minute")

// Open reaches the daemon. The error says where it was looked for.
func Open(ctx context.Context, e Endpoint) (*Client, error) {
	dial, err := e.dialer()
	if err != nil {
		return nil, hint.Usage(fmt.Sprintf("%s: %v", e, err), "a folder with ca.pem, and cert.pem and key.pem if the daemon asks for them, goes with that address: DOCKER_CERT_PATH names it")
	}
	c := &Client{Endpoint: e, dial: dial}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
		IdleConnTimeout:    time.Minute,
	}}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errSilent)
	defer cancel()
	if err := c.ask(ctx, http.MethodGet, "/version", nil, nil, &c.Version); err != nil {
		c.Close()
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		return nil, hint.New(fmt.Sprintf("%s: %v", e, err), e.start())
	}
	if !c.Version.API("1.40") { // docker 19.03, where API and CLI learned of GPUs
		c.Close()
		return nil, fmt.Errorf("%s: version %s is too old: want docker 19.03, podman 4 or newer", e, c.Version.Version)
	}
	return c, nil
}

// start says how a daemon comes to listen.
func (e Endpoint) start() string {
	switch {
	case e.URL.Scheme == "ssh":
		return "log in there by hand: it must be reachable without a password"
	case e.URL.Scheme == "tcp":
		return "the daemon must listen at that address, and with TLS if, and only if, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH or the context has certificates"
	case e.Engine == Podman && strings.HasPrefix(e.URL.Path, "/run/podman/"):
		return "'systemctl start podman.socket' starts it, for root alone; CONTAINER_HOST names another address"
	case e.Engine == Podman:
		return "'systemctl --user start podman.socket' starts a user's own, for that user; CONTAINER_HOST names another address"
	}
	return "'systemctl start docker' starts it, members of group docker may use it; DOCKER_HOST or DOCKER_CONTEXT name another"
}

// Close lets go of the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// path is that of a request, in the API that both sides know.
func (c *Client) path(path string, query url.Values) string {
	if v := c.Version.APIVersion; v != "" && path != podmanCreate { // else it is about to be asked for
		if compat.Compare(v, newestAPI) > 0 {
			v = newestAPI
		}
		path = "/v" + v + path
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// maxAnswer bounds an answer that is read whole: a list of some thousand images.
const maxAnswer = 64 << 20

// ask sends a document, nil for none, and reads the answer into another.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body, into any) error {
	var content io.Reader
	kind := ""
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content, kind = bytes.NewReader(data), "application/json"
	}
	answer, err := c.send(ctx, method, path, query, content, http.Header{"Content-Type": {kind}})
	if err != nil {
		return err
	}
	defer answer.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(answer, maxAnswer))
		return err
	}
	return json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(into)
}

// send sends a request and returns the body of the answer. What the daemon refuses is an Error.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, header http.Header) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+c.path(path, query), body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		if len(values) > 0 && values[0] != "" {
			req.Header[name] = values
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unwrapped(err)
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified { // it is so already
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// refusal reads what the daemon says of an error.
func refusal(resp *http.Response) *Error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct{ Message string }
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = fmt.Sprintf("%s: %.200q", resp.Status, text)
	}
	return &Error{resp.StatusCode, strings.TrimSpace(said.Message)}
}

// unwrapped leaves the made-up URL out of an error.
func unwrapped(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
