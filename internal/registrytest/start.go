// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/require"
)

// Registry is the distribution project's registry, which runs until the test's end.
type Registry struct {
	Host string // HOST:PORT on loopback
	Dir  string // that it keeps blobs in
	Log  string // its log, a file
}

// Start starts the registry, with logins if tokens is not nil. Without the program
// (bin/registry, or on PATH) it skips the test as [require.Missing] does.
func Start(t testing.TB, tokens *Tokens) *Registry {
	t.Helper()
	program, err := find()
	if err != nil {
		require.Missing(t, "registry", err)
	}
	dir := t.TempDir()
	r := &Registry{Dir: filepath.Join(dir, "blobs"), Log: filepath.Join(dir, "log")}
	auth := ""
	if tokens != nil {
		write(t, filepath.Join(dir, "keys.json"), tokens.keys(t))
		auth = fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, jwks: %q}}\n", tokens.Realm(), service, issuer, filepath.Join(dir, "keys.json"))
	}
	for range 3 { // somebody else may take the port meanwhile
		r.Host = freePort(t)
		write(t, filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n%s", r.Dir, r.Host, auth))
		if r.run(t, program, filepath.Join(dir, "config.yaml")) {
			return r
		}
	}
	log, _ := os.ReadFile(r.Log)
	t.Fatalf("the registry does not start:\n%s", log)
	return nil
}

// run starts the program and reports whether it answers.
func (r *Registry) run(t testing.TB, program, config string) bool {
	t.Helper()
	log, err := os.Create(r.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended }) // the test's context ends it
	for {
		conn, err := net.Dial("tcp", r.Host) //nolint:noctx // loopback, in a test
		if err == nil {
			return conn.Close() == nil
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// find returns the program on PATH, or the one that the Makefile builds.
func find() (string, error) {
	if program, err := exec.LookPath("registry"); err == nil {
		return program, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		program := filepath.Join(dir, "bin", "registry")
		_, err := os.Stat(program)
		return program, err
	}
	return "", errors.New("not in a module")
}
