// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// standInSSH makes this program a stand-in for ssh, which connects its stdin and stdout with the socket
// that the variable names. standInMaster is the socket of another that it leaves running with its stderr, as ssh leaves its master connection.
const (
	standInSSH    = "CUDABUILD_STAND_IN_SSH"
	standInMaster = "CUDABUILD_STAND_IN_SSH_MASTER"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(standInSSH); socket != "" {
		os.Exit(dialStdio(socket))
	}
	os.Exit(m.Run())
}

func dialStdio(socket string) int {
	if syscall.Getpgrp() != os.Getpid() {
		fmt.Fprintln(os.Stderr, "a signal of the caller's terminal would end ssh")
		return 255
	}
	if master := os.Getenv(standInMaster); master != "" {
		cmd := exec.Command(os.Args[0])
		cmd.Env, cmd.Stderr, cmd.SysProcAttr = []string{standInSSH + "=" + master}, os.Stderr, &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 255
		}
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ssh: connect to host gpu1 port 22: No route to host")
		return 255
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(os.Stdout, c)
	return 0
}

// serve is a stand-in for a daemon on a socket.
func serve(t *testing.T, handler http.Handler) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "d-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener = l
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		_ = os.RemoveAll(dir)
	})
	return socket
}

func unix(socket string) daemon.Endpoint {
	return daemon.Endpoint{Engine: daemon.Docker, URL: &url.URL{Scheme: "unix", Path: socket}, From: "a test"}
}

const version = `{"Version":"20.10.24+dfsg1","ApiVersion":"1.41","Components":[{"Name":"Engine","Version":"20.10.24"},{"Name":"runc","Version":"1.1.5"}]}`

// answers is a daemon of API 1.41 that has one answer to each request.
func answers(routes map[string]http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", say(version))
	for route, handler := range routes {
		mux.HandleFunc(route, handler)
	}
	return mux
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func refuse(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func open(t *testing.T, handler http.Handler) *daemon.Client {
	t.Helper()
	c, err := daemon.Open(t.Context(), unix(serve(t, handler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"no daemon":      {nil, "systemctl start docker"},
		"another server": {say("<html>"), "invalid character"},
		"old":            {say(`{"Version":"18.09","ApiVersion":"1.39"}`), "version 18.09 is too old: want docker 19.03"},
		"no version":     {say(`{}`), "is too old"},
		"refused":        {refuse(403, `{"message":"authorization denied by plugin"}`), "authorization denied by plugin"},
		"no words":       {refuse(502, "<b>Bad\x1b Gateway"), `502 Bad Gateway: "<b>Bad\x1b Gateway"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := filepath.Join(t.TempDir(), "none")
			if test.handler != nil {
				socket = serve(t, test.handler)
			}
			_, err := daemon.Open(t.Context(), unix(socket))
			if err == nil || !strings.Contains(err.Error()+hint.Of(err), test.want) {
				t.Errorf("Open = %v (%s), want %q", err, hint.Of(err), test.want)
			}
		})
	}
}

// What is to be done depends on the address.
func TestStart(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ssh://h": "log in there by hand", "tcp://h:2376": "must listen at that address", "unix:///run/podman/podman.sock": "'systemctl start podman.socket'",
		"unix:///run/user/1000/podman/podman.sock": "'systemctl --user start podman.socket'",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := daemon.Start(daemon.Endpoint{Engine: daemon.Podman, URL: u}); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", address, got, want)
		}
	}
	e := daemon.Endpoint{Engine: daemon.Docker, URL: &url.URL{Scheme: "tcp", Host: "127.0.0.1:1"}, TLS: t.TempDir()}
	if _, err := daemon.Open(t.Context(), e); err == nil || hint.Code(err, 3) != 2 || !strings.Contains(err.Error(), "ca.pem") || !strings.Contains(hint.Of(err), "DOCKER_CERT_PATH") {
		t.Errorf("Open = %v (%s), want that ca.pem is missing", err, hint.Of(err))
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	c := open(t, answers(nil))
	if v := c.Version; v.Name() != "docker 20.10.24+dfsg1" || v.Runc() != "1.1.5" || v.Podman() || !v.API("1.41") || v.API("1.42") {
		t.Errorf("version %+v: %s, runc %s", v, v.Name(), v.Runc())
	}
	var podman daemon.Version
	err := json.Unmarshal([]byte(`{"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"4.3.1"},
		{"Name":"OCI Runtime (runc)","Version":"runc version 1.1.5+ds1\ncommit: 1"}]}`), &podman)
	if err != nil || podman.Name() != "podman 4.3.1" || podman.Runc() != "1.1.5+ds1" || !podman.Podman() {
		t.Errorf("%v: %s, runc %s", err, podman.Name(), podman.Runc())
	}
}

// A version of the API that this client does not know is asked for what it knows.
func TestNewerAPI(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", say(`{"Version":"40","ApiVersion":"2.1"}`))
	mux.HandleFunc("GET /v1.52/info", say(`{"Name":"h","Architecture":"aarch64","Runtimes":{"nvidia":{"path":"x"}},"DiscoveredDevices":[{"Source":"cdi","ID":"nvidia.com/gpu=0"}]}`))
	info, err := open(t, mux).Info(t.Context())
	if _, there := info.Runtimes["nvidia"]; err != nil || info.Arch() != "arm64" || !there || len(info.DiscoveredDevices) != 1 {
		t.Errorf("Info = %+v, %v", info, err)
	}
}

// onPath has ssh be the stand-in.
func onPath(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "ssh")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

// TestMasterStays: a connection ends even if ssh leaves somebody who still could say something.
func TestMasterStays(t *testing.T) {
	onPath(t)
	t.Setenv(standInSSH, serve(t, answers(nil)))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(filepath.Dir(os.Getenv(standInSSH)), "master"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // ends the master, whose connection nobody has accepted
	t.Setenv(standInMaster, l.Addr().String())
	c, err := daemon.Open(t.Context(), daemon.Endpoint{Engine: daemon.Docker, URL: &url.URL{Scheme: "ssh", Host: "gpu1"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestOverSSH(t *testing.T) {
	socket := serve(t, answers(map[string]http.HandlerFunc{"GET /v1.41/info": say(`{"Name":"gpu1"}`)}))
	onPath(t)
	t.Setenv(standInSSH, socket)
	e := daemon.Endpoint{Engine: daemon.Docker, URL: &url.URL{Scheme: "ssh", Host: "gpu1"}}
	c, err := daemon.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if info, err := c.Info(t.Context()); err != nil || info.Name != "gpu1" {
		t.Errorf("Info = %+v, %v", info, err)
	}
	t.Setenv(standInSSH, socket+"-gone")
	if _, err := daemon.Open(t.Context(), e); err == nil || !strings.Contains(err.Error(), "No route to host") || !strings.Contains(hint.Of(err), "without a password") {
		t.Errorf("Open = %v (%s), want what ssh says", err, hint.Of(err))
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := daemon.Open(t.Context(), e); err == nil || !strings.Contains(err.Error(), "ssh") {
		t.Errorf("Open without ssh = %v", err)
	}
}

func TestSSHArgs(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]daemon.Endpoint{
		"-- gpu1 docker system dial-stdio":                                         {Engine: daemon.Docker, URL: &url.URL{Scheme: "ssh", Host: "gpu1"}},
		"-l me -p 2222 -- gpu1 docker --host 'unix:///a b.sock' system dial-stdio": {Engine: daemon.Docker, URL: &url.URL{Scheme: "ssh", User: url.User("me"), Host: "gpu1:2222", Path: "/a b.sock"}},
		`-- gpu1 podman --url 'unix:///it'\''s' system dial-stdio`:                 {Engine: daemon.Podman, URL: &url.URL{Scheme: "ssh", Host: "gpu1", Path: "/it's"}},
	} {
		if got := strings.Join(daemon.SSHArgs(e), " "); !strings.HasSuffix(got, "-o BatchMode=yes "+want) {
			t.Errorf("ssh for %s = %s, want it to end in %s", e.URL, got, want)
		}
	}
}

func TestPull(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ says, want string }{
		"pulled":    {`{"status":"Pulling"}` + "\n" + `{"status":"Done"}`, ""},
		"denied":    {`{"status":"Pulling"}{"errorDetail":{"message":"denied: no access"},"error":"x"}`, "denied: no access"},
		"old error": {`{"error":"manifest unknown"}`, "manifest unknown"},
		"cut":       {`{"status":"Pul`, "cut off"},
		"nothing":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var header string
			c := open(t, answers(map[string]http.HandlerFunc{"POST /v1.41/images/create": func(w http.ResponseWriter, r *http.Request) {
				header = r.Header.Get("X-Registry-Auth") + " " + r.URL.Query().Get("fromImage")
				say(test.says)(w, r)
			}}))
			err := c.Pull(t.Context(), "r.example/a@sha256:1", daemon.Login{Username: "me"})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Pull = %v, want %q", err, test.want)
			}
			if header != "eyJ1c2VybmFtZSI6Im1lIn0= r.example/a@sha256:1" {
				t.Errorf("asked with %q", header)
			}
		})
	}
}

// A daemon that goes away while a program runs, and comes back, is asked again; what it then says counts.
func TestWait(t *testing.T) {
	t.Parallel()
	asked := 0
	c := open(t, answers(map[string]http.HandlerFunc{
		"POST /v1.41/containers/a/wait": func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked == 1 {
				panic(http.ErrAbortHandler)
			}
			say(`{"StatusCode":7,"Error":null}`)(w, r)
		},
		"POST /v1.41/containers/b/wait": say(`{"StatusCode":0,"Error":{"Message":"it was removed"}}`),
		"POST /v1.41/containers/c/wait": refuse(404, `{"message":"No such container: c"}`),
	}))
	if code, lost, err := c.Wait(t.Context(), "a"); err != nil || code != 7 || asked != 2 || !lost {
		t.Errorf("Wait = %d, %v after %d questions, want 7 after 2", code, err, asked)
	}
	if _, _, err := c.Wait(t.Context(), "b"); err == nil || err.Error() != "it was removed" {
		t.Errorf("Wait = %v", err)
	}
	if _, _, err := c.Wait(t.Context(), "c"); !daemon.IsNotFound(err) {
		t.Errorf("Wait = %v, want that there is none", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Wait(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want its end", err)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	frame := func(stream byte, text string) string {
		return string([]byte{stream, 0, 0, 0, 0, 0, 0, byte(len(text))}) + text
	}
	whole := frame(1, "out") + frame(2, "err") + frame(1, "") + frame(0, "more")
	var out, errs bytes.Buffer
	if err := daemon.Split(&out, &errs, strings.NewReader(whole)); err != nil || out.String() != "outmore" || errs.String() != "err" {
		t.Errorf("Split = %q, %q, %v", &out, &errs, err)
	}
	for name, text := range map[string]string{"head": whole[:4], "text": whole[:9], "stream": "\x03" + whole} {
		if err := daemon.Split(io.Discard, io.Discard, strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error of output that is cut or damaged", name)
		}
	}
}

func TestInPodman(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(daemon.InPodman(daemon.Container{
		Image: "i", Entrypoint: []string{"a"}, Cmd: []string{"b"}, Env: []string{"A=b=c", "B="}, User: "0:0", WorkingDir: "/w", Labels: map[string]string{"l": "m"}, Tty: true, OpenStdin: true,
		HostConfig: daemon.HostConfig{
			Mounts: []daemon.Mount{{Type: "bind", Source: "/a:z", Target: "/b", ReadOnly: true}, {Type: "bind", Source: "/c", Target: "/d"}}, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, NetworkMode: "none", IpcMode: "host", PidsLimit: -1, Memory: 2,
			ShmSize: 3, Ulimits: []daemon.Ulimit{{Name: "memlock", Soft: 5, Hard: -1}}, Tmpfs: map[string]string{"/tmp": "rw,size=1g"}, Runtime: "nvidia",
			DeviceRequests: []daemon.DeviceRequest{{Driver: "cdi", DeviceIDs: []string{"nvidia.com/gpu=0", "nvidia.com/gpu=1"}}}, LogConfig: daemon.LogConfig{Type: "none"},
		},
	}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/podman.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("podman's words (-want +got):\n%s", diff)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03out\x02\x00\x00\x00\x00\x00\x00\x01e"))
	f.Add([]byte("\x01\x00\x00\x00\xff\xff\xff\xffout"))
	f.Fuzz(func(t *testing.T, frames []byte) {
		var out, errs bytes.Buffer
		err := daemon.Split(&out, &errs, bytes.NewReader(frames))
		if n := out.Len() + errs.Len(); n > len(frames) || err == nil && (len(frames)-n)%8 != 0 {
			t.Errorf("%d bytes of %d, %v", n, len(frames), err)
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"status":"x"}{"errorDetail":{"message":"y"}}`))
	f.Add([]byte(`{"error":"y"`))
	f.Fuzz(func(t *testing.T, report []byte) {
		err := daemon.Progress(bytes.NewReader(report))
		// What is added to a report that says of no error is found.
		if err == nil {
			if err = daemon.Progress(bytes.NewReader(slices.Concat(report, []byte(`{"error":"x"}`)))); err == nil || err.Error() != "x" {
				t.Errorf("an error at the end = %v", err)
			}
		}
	})
}

func FuzzOnly(f *testing.F) {
	f.Add([]byte("not an archive"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if data, err := daemon.Only(bytes.NewReader(archive), 64); err == nil && len(data) > 64 {
			t.Errorf("%d bytes", len(data))
		}
	})
}
