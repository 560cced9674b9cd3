// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/require"
)

// authority signs certificates, and lies as NAME.pem in its folder.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	a.cert, a.key = a.issue(t, name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes NAME.pem and NAME.key: signed by the authority, or by itself while that has no key.
func (a *authority) issue(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if signer == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// certificates are those of a server for 127.0.0.1 and of a client, and a client of an
// authority that the server does not know.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ca := newAuthority(t, dir, "ca")
	ca.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"bk"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	newAuthority(t, dir, "other").issue(t, "stranger", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return dir
}

// overTLS starts a daemon that also listens on a port, with the certificates of that folder.
func overTLS(t *testing.T, certs string) (address string) {
	t.Helper()
	bin, state := t.TempDir(), t.TempDir()
	programs, err := filepath.Abs(tools)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
exec %s/buildkitd --addr unix:///proc/self/fd/4/buildkitd.sock --addr tcp://127.0.0.1:0 \
	--tlscert %[2]s/server.pem --tlskey %[2]s/server.key --tlscacert %[2]s/ca.pem "$@"
`, programs, certs)
	err = errors.Join(os.WriteFile(filepath.Join(bin, "buildkitd"), []byte(script), 0o755), os.Symlink(filepath.Join(programs, "runc"), filepath.Join(bin, "runc")))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), engine.Options{StateDir: state, ToolDir: bin, Lock: acquire(t, state)})
	if errors.Is(err, engine.ErrUnavailable) {
		require.Missing(t, "buildkit", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	log, err := os.ReadFile(filepath.Join(state, "engine.log"))
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`running server on (?:tcp://)?(127\.0\.0\.1:[1-9][0-9]*)`).FindSubmatch(log)
	if port == nil {
		t.Fatalf("no port in\n%s", log)
	}
	return "tcp://" + string(port[1])
}

// TestTLS: server and client prove who they are, each to the other.
func TestTLS(t *testing.T) {
	t.Parallel()
	certs := certificates(t)
	address := overTLS(t, certs)
	file := func(name string) string { return filepath.Join(certs, name) }
	client := "&cert=" + file("client.pem") + "&key=" + file("client.key")
	for name, test := range map[string]struct{ query, want string }{
		"right":           {"?cacert=" + file("ca.pem") + client, ""},
		"by name":         {"?cacert=" + file("ca.pem") + client + "&servername=bk", ""},
		"another name":    {"?cacert=" + file("ca.pem") + client + "&servername=elsewhere", "elsewhere"},
		"wrong authority": {"?cacert=" + file("other.pem") + client, "certificate"},
		"system's":        {"?servername=bk" + client, "certificate"},
		"stranger":        {"?cacert=" + file("ca.pem") + "&cert=" + file("stranger.pem") + "&key=" + file("stranger.key"), address}, // why is told after the connection is there, and may come too late
		"no client":       {"?cacert=" + file("ca.pem"), address},
		"no TLS":          {"", address},
		"missing file":    {"?cacert=" + file("missing.pem") + client, "missing.pem: no such file"},
		"wrong key":       {"?cacert=" + file("ca.pem") + "&cert=" + file("client.pem") + "&key=" + file("server.key"), "private key"},
		"no certificate":  {"?cacert=" + file("ca.key") + client, "ca certs"},
	} {
		e, err := engine.Open(t.Context(), engine.Options{Address: address + test.query, Patience: patience})
		switch {
		case err == nil:
			if test.want != "" || len(e.Platforms) == 0 {
				t.Errorf("%s: it answers, and has platforms %v, want %q", name, e.Platforms, test.want)
			}
			_ = e.Close()
		case test.want == "" || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"":                               true,
		"unix:///run/a.sock":             true,
		"ssh://me@host":                  true,
		"docker-container://bk":          true,
		"tcp://127.0.0.1:1":              true,
		"tcp://[::1]:1":                  true,
		"tcp://localhost:1":              true,
		"tcp://10.0.0.5:1?servername=bk": true,
		"tcp://10.0.0.5:1":               false,
		"tcp://127.0.0.1@10.0.0.5:1":     false,
		"tcp://localhost.example:1":      false,
		"tcp://0.0.0.0:1":                false,
		"tcp://%zz:1":                    false,
	} {
		if got := engine.Private(address); got != want {
			t.Errorf("Private(%q) = %v, want %v", address, got, want)
		}
	}
}
