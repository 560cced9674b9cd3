// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"context"
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

// Registry is the distribution project's registry.
type Registry struct {
	Host string // HOST:PORT on loopback
	Dir  string // that it keeps blobs in
	Log  string // its log, a file

	program *exec.Cmd
	ended   chan struct{}
}

// Start starts the registry until the test's end, with logins if tokens is not nil. Without
// the program (bin/registry, or on PATH) it skips the test as [require.Missing] does.
func Start(t testing.TB, tokens *Tokens) *Registry {
	t.Helper()
	program, err := find()
	if err != nil {
		require.Missing(t, "registry", err)
	}
	dir, auth := t.TempDir(), ""
	if tokens != nil {
		keys := filepath.Join(dir, "keys.json")
		if err := os.WriteFile(keys, tokens.keys(t), 0o600); err != nil {
			t.Fatal(err)
		}
		auth = fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, jwks: %q}}\n", tokens.Realm(), service, issuer, keys)
	}
	r, err := Launch(t.Context(), program, dir, auth)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill() })
	return r
}

// Launch starts a registry that has nothing but the folder dir, with more lines of
// configuration, and returns once it answers. It is killed when ctx ends; see [Registry.Kill].
func Launch(ctx context.Context, program, dir, more string) (*Registry, error) {
	r := &Registry{Dir: filepath.Join(dir, "blobs"), Log: filepath.Join(dir, "log")}
	for range 3 { // somebody else may take the port meanwhile
		var err error
		if r.Host, err = freePort(); err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "config.yaml")
		text := fmt.Sprintf("version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n%s", r.Dir, r.Host, more)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if answers, err := r.run(ctx, program, config); err != nil || answers {
			return r, err
		}
	}
	log, _ := os.ReadFile(r.Log)
	return nil, fmt.Errorf("the registry does not start:\n%s", log)
}

// run starts the program and reports whether it answers.
func (r *Registry) run(ctx context.Context, program, config string) (bool, error) {
	log, err := os.Create(r.Log)
	if err != nil {
		return false, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	r.program, r.ended = cmd, ended
	for {
		conn, err := net.Dial("tcp", r.Host) //nolint:noctx // loopback
		if err == nil {
			return true, conn.Close()
		}
		select {
		case <-ended:
			return false, nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the registry and returns what it took.
func (r *Registry) Kill() *os.ProcessState {
	_ = r.program.Process.Kill() // or it has ended
	<-r.ended
	return r.program.ProcessState
}

func freePort() (string, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return "", err
	}
	return free.Addr().String(), free.Close()
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
