// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// The engines, as --engine names them.
const (
	Docker = "docker"
	Podman = "podman"
)

// Endpoint is where a daemon listens.
type Endpoint struct {
	Engine string   // Docker or Podman
	URL    *url.URL // unix:///run/docker.sock, tcp://host:2376, ssh://user@host
	From   string   // what named it: "DOCKER_HOST", "context prod", "the default"
	TLS    string   // folder of ca.pem, cert.pem and key.pem, "" for none
}

// Local reports whether the daemon listens on a socket of this host.
func (e Endpoint) Local() bool { return e.URL.Scheme == "unix" }

// Private reports whether nobody on the way reads what is said to the daemon: a socket, SSH, TLS or loopback.
func (e Endpoint) Private() bool {
	if e.URL.Scheme != "tcp" || e.TLS != "" {
		return true
	}
	address := net.ParseIP(e.URL.Hostname())
	return e.URL.Hostname() == "localhost" || address != nil && address.IsLoopback()
}

func (e Endpoint) String() string {
	return fmt.Sprintf("%s at %s (%s)", e.Engine, e.URL.Redacted(), e.From)
}

// User is who asks for an endpoint.
type User struct {
	Env  func(string) string // os.Getenv
	Home string
	ID   int // effective
}

// Find says where the daemon of an engine listens. For docker the order is its own: DOCKER_HOST,
// DOCKER_CONTEXT, the current context of config.json, /var/run/docker.sock. For podman it
// is CONTAINER_HOST, and then the socket of the user's own service. Nothing is asked yet.
func Find(engine string, user User) (Endpoint, error) {
	if engine == Podman {
		return user.podman()
	}
	return user.docker()
}

func (u User) podman() (Endpoint, error) {
	if host := u.Env("CONTAINER_HOST"); host != "" {
		return parse(Endpoint{Engine: Podman, From: "CONTAINER_HOST"}, host)
	}
	dir := "/run"
	if u.ID != 0 {
		dir = cmp.Or(u.Env("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", u.ID))
	}
	return parse(Endpoint{Engine: Podman, From: "the default"}, "unix://"+filepath.Join(dir, "podman", "podman.sock"))
}

func (u User) docker() (Endpoint, error) {
	config := cmp.Or(u.Env("DOCKER_CONFIG"), filepath.Join(u.Home, ".docker"))
	if host := u.Env("DOCKER_HOST"); host != "" {
		e := Endpoint{Engine: Docker, From: "DOCKER_HOST"}
		if certs := u.Env("DOCKER_CERT_PATH"); certs != "" || u.Env("DOCKER_TLS_VERIFY") != "" {
			e.TLS = cmp.Or(certs, config)
		}
		return parse(e, host)
	}
	name := u.Env("DOCKER_CONTEXT")
	if name == "" {
		var err error
		if name, err = current(filepath.Join(config, "config.json")); err != nil {
			return Endpoint{}, err
		}
	}
	if name == "" || name == "default" {
		return parse(Endpoint{Engine: Docker, From: "the default"}, "unix:///var/run/docker.sock")
	}
	return ofContext(config, name)
}

// current is the context that docker's configuration names, "" for none.
func current(file string) (string, error) {
	var config struct{ CurrentContext string }
	if err := readJSON(file, &config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return config.CurrentContext, nil
}

// ofContext reads what `docker context create` has written: a folder for each, called by a checksum of its name.
func ofContext(config, name string) (Endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	dir := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	err := readJSON(filepath.Join(config, "contexts", "meta", dir, "meta.json"), &meta)
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, hint.New(fmt.Sprintf("docker has no context %q", name), "'docker context ls' lists them; DOCKER_CONTEXT names one, DOCKER_HOST an address")
	}
	if err != nil {
		return Endpoint{}, err
	}
	of := meta.Endpoints["docker"]
	if of.SkipTLSVerify {
		return Endpoint{}, fmt.Errorf("context %q skips the check of certificates, which cudabuild always makes: update it with skip-tls-verify=false", name)
	}
	e := Endpoint{Engine: Docker, From: "context " + name}
	if certs := filepath.Join(config, "contexts", "tls", dir, "docker"); isDir(certs) {
		e.TLS = certs
	}
	return parse(e, of.Host)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// parse reads an address into an endpoint.
func parse(e Endpoint, address string) (Endpoint, error) {
	u, err := url.Parse(address)
	if err != nil {
		return e, fmt.Errorf("%s: %q is no address: want unix:///PATH, tcp://HOST:PORT or ssh://HOST", e.From, address)
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "", u.Scheme == "ssh" && u.Hostname() != "", u.Scheme == "tcp" && u.Port() != "":
	case u.Scheme == "https" && u.Host != "": // what some call tcp with TLS
		u.Scheme = "tcp"
		if e.TLS == "" {
			return e, fmt.Errorf("%s: %s: no certificates: name their folder with DOCKER_CERT_PATH", e.From, address)
		}
	default:
		return e, fmt.Errorf("%s: %q: want unix:///PATH, tcp://HOST:PORT or ssh://HOST", e.From, address)
	}
	if u.Scheme == "ssh" && (u.Hostname()[0] == '-' || u.User.Username() != "" && u.User.Username()[0] == '-') {
		return e, fmt.Errorf("%s: %q: ssh would take that for a flag", e.From, address)
	}
	e.URL = u
	return e, nil
}

// tlsConfig reads the certificates; nil where there are none.
func (e Endpoint) tlsConfig() (*tls.Config, error) {
	if e.TLS == "" || e.URL.Scheme != "tcp" {
		return nil, nil
	}
	authority, err := os.ReadFile(filepath.Join(e.TLS, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(e.TLS, "ca.pem"))
	}
	config := &tls.Config{RootCAs: roots, ServerName: e.URL.Hostname(), MinVersion: tls.VersionTLS12}
	pair, err := tls.LoadX509KeyPair(filepath.Join(e.TLS, "cert.pem"), filepath.Join(e.TLS, "key.pem"))
	if err == nil {
		config.Certificates = []tls.Certificate{pair}
	} else if !errors.Is(err, fs.ErrNotExist) { // a server may ask for none
		return nil, err
	}
	return config, nil
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
