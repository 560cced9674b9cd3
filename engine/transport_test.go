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
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/hint"
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

// TestTLS: server and client prove who they are, each to the other, and whom one of them refuses
// is told what to write.
func TestTLS(t *testing.T) {
	t.Parallel()
	certs := certificates(t)
	address := overTLS(t, certs)
	file := func(name string) string { return filepath.Join(certs, name) }
	client := "&cert=" + file("client.pem") + "&key=" + file("client.key")
	for name, test := range map[string]struct{ query, want, hint string }{
		"right":           {"?cacert=" + file("ca.pem") + client, "", ""},
		"by name":         {"?cacert=" + file("ca.pem") + client + "&servername=bk", "", ""},
		"another name":    {"?cacert=" + file("ca.pem") + client + "&servername=elsewhere", "elsewhere", "&servername=NAME"},
		"wrong authority": {"?cacert=" + file("other.pem") + client, "certificate", "cacert=FILE"},
		"system's":        {"?servername=bk" + client, "certificate", "cacert=FILE"},
		"stranger":        {"?cacert=" + file("ca.pem") + "&cert=" + file("stranger.pem") + "&key=" + file("stranger.key"), "it refuses this client", "--tlscacert"},
		"no client":       {"?cacert=" + file("ca.pem"), "it refuses this client (tls: certificate required)", "cert=FILE&key=FILE"},
		"no TLS":          {"", "it speaks TLS", "?cacert=FILE"},
	} {
		e, err := engine.Open(t.Context(), engine.Options{Address: address + test.query, Patience: patience})
		switch {
		case err == nil:
			if test.want != "" || len(e.Platforms) == 0 {
				t.Errorf("%s: it answers, and has platforms %v, want %q", name, e.Platforms, test.want)
			}
			_ = e.Close()
		case test.want == "" || !strings.Contains(err.Error(), test.want) || !strings.Contains(hint.Of(err), test.hint) || hint.Code(err, 3) != 3:
			t.Errorf("%s: %v, hint %q, code %d, want %q, %q and 3", name, err, hint.Of(err), hint.Code(err, 3), test.want, test.hint)
		}
	}
}

// TestTLSFiles: a file that cannot be used is named, and is a mistake of usage: nothing is asked.
func TestTLSFiles(t *testing.T) {
	t.Parallel()
	certs := certificates(t)
	file := func(name string) string { return filepath.Join(certs, name) }
	pair := func(cert, key string) string { return "cert=" + file(cert) + "&key=" + file(key) }
	for query, want := range map[string]string{
		"cacert=" + file("missing.pem"):   "missing.pem: no such file",
		"cacert=" + certs:                 certs + ": is a directory",
		"cacert=" + file("ca.key"):        "ca.key: no certificate in PEM",
		pair("client.pem", "server.key"):  "server.key: tls: private key does not match",
		pair("client.key", "client.pem"):  "client.pem: tls: ",
		pair("client.pem", "missing.key"): "missing.key: no such file",
	} {
		_, err := engine.Find(t.Context(), []string{"tcp://127.0.0.1:1?" + query})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(hint.Of(err), "=FILE") || hint.Code(err, 3) != 2 {
			t.Errorf("%s: %v, hint %q, code %d, want %q and 2", query, err, hint.Of(err), hint.Code(err, 3), want)
		}
	}
}

// TestNoTLS: a server without TLS is told from one with the wrong one.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	certs := certificates(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_, _ = conn.Write([]byte("good day to you"))
			_, _ = io.Copy(io.Discard, conn) // a reset would take back what was said
			_ = conn.Close()
		}
	}()
	_, err = engine.Open(t.Context(), engine.Options{Address: "tcp://" + l.Addr().String() + "?cacert=" + filepath.Join(certs, "ca.pem"), Patience: patience})
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS") || !strings.Contains(hint.Of(err), "leave the parameters away") {
		t.Errorf("Open = %v, hint %q, want that it does not speak TLS", err, hint.Of(err))
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
