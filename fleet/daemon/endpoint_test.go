// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// home is a home folder with docker's contexts "lab", "tls" and "loose".
func home(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	// The folders are called by the SHA-256 of the contexts' names.
	const (
		meta  = ".docker/contexts/meta/"
		certs = ".docker/contexts/tls/"
	)
	for file, text := range map[string]string{
		meta + sum("lab") + "/meta.json":      `{"Name":"lab","Endpoints":{"docker":{"Host":"ssh://me@gpu1:2222","SkipTLSVerify":false}}}`,
		meta + sum("tls") + "/meta.json":      `{"Name":"tls","Endpoints":{"docker":{"Host":"tcp://gpu2:2376"}}}`,
		meta + sum("loose") + "/meta.json":    `{"Name":"loose","Endpoints":{"docker":{"Host":"tcp://gpu2:2376","SkipTLSVerify":true}}}`,
		meta + sum("broken") + "/meta.json":   `{"Name":`,
		certs + sum("tls") + "/docker/ca.pem": "none",
		".docker/config.json":                 config,
		meta + sum("nothing") + "/meta.json":  `{"Name":"nothing"}`,
	} {
		if text == "" {
			continue
		}
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"unix:///s": true, "ssh://h": true, "tcp://127.0.0.1:1": true, "tcp://[::1]:1": true, "tcp://localhost:1": true, "tcp://h:1": false, "tcp://10.0.0.1:1": false} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if e := (daemon.Endpoint{URL: u}); e.Private() != want || !(daemon.Endpoint{URL: u, TLS: "certs"}).Private() {
			t.Errorf("%s is private: %v, want %v", address, e.Private(), want)
		}
	}
}

func sum(name string) string {
	digest := sha256.Sum256([]byte(name))
	return hex.EncodeToString(digest[:])
}

func TestFind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		engine, config string
		env            map[string]string
		id             int
		want           string // the endpoint, or a part of the error
		tls            string // the end of the folder
	}{
		"docker":                     {want: "docker at unix:///var/run/docker.sock (the default)"},
		"DOCKER_HOST":                {env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "lab"}, want: "docker at tcp://h:1 (DOCKER_HOST)"},
		"DOCKER_CERT_PATH":           {env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": "/certs"}, want: "docker at tcp://h:1 (DOCKER_HOST)", tls: "/certs"},
		"DOCKER_TLS_VERIFY":          {env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}, want: "docker at tcp://h:1 (DOCKER_HOST)", tls: "/.docker"},
		"https":                      {env: map[string]string{"DOCKER_HOST": "https://h:1", "DOCKER_CERT_PATH": "/certs"}, want: "docker at tcp://h:1 (DOCKER_HOST)", tls: "/certs"},
		"https without certificates": {env: map[string]string{"DOCKER_HOST": "https://h:1"}, want: "DOCKER_CERT_PATH"},
		"DOCKER_CONTEXT":             {env: map[string]string{"DOCKER_CONTEXT": "lab"}, want: "docker at ssh://me@gpu1:2222 (context lab)"},
		"current context":            {config: `{"currentContext":"tls"}`, want: "docker at tcp://gpu2:2376 (context tls)", tls: "/docker"},
		"default context":            {config: `{"currentContext":"tls"}`, env: map[string]string{"DOCKER_CONTEXT": "default"}, want: "unix:///var/run/docker.sock"},
		"unchecked certificates":     {env: map[string]string{"DOCKER_CONTEXT": "loose"}, want: "skip-tls-verify=false"},
		"no such context":            {env: map[string]string{"DOCKER_CONTEXT": "other"}, want: `no context "other"`},
		"broken context":             {env: map[string]string{"DOCKER_CONTEXT": "broken"}, want: "meta.json: unexpected end"},
		"context without docker":     {env: map[string]string{"DOCKER_CONTEXT": "nothing"}, want: `context nothing: "": want unix`},
		"broken configuration":       {config: "{", want: "config.json: unexpected end"},
		"no address":                 {env: map[string]string{"DOCKER_HOST": "h:1"}, want: `DOCKER_HOST: "h:1": want unix`},
		"no path":                    {env: map[string]string{"DOCKER_HOST": "unix://run/docker.sock"}, want: "want unix:///PATH"},
		"control character":          {env: map[string]string{"DOCKER_HOST": "tcp://h:1\n"}, want: "is no address"},
		"a flag of ssh":              {env: map[string]string{"DOCKER_HOST": "ssh://-oProxyCommand=x"}, want: "ssh would take that for a flag"},
		"a user for a flag":          {env: map[string]string{"DOCKER_HOST": "ssh://-oX@h"}, want: "ssh would take that for a flag"},
		"podman":                     {engine: "podman", want: "podman at unix:///run/podman/podman.sock (the default)"},
		"podman of a user":           {engine: "podman", id: 7, env: map[string]string{"XDG_RUNTIME_DIR": "/x"}, want: "podman at unix:///x/podman/podman.sock (the default)"},
		"podman of a bare user":      {engine: "podman", id: 7, want: "podman at unix:///run/user/7/podman/podman.sock (the default)"},
		"CONTAINER_HOST":             {engine: "podman", env: map[string]string{"CONTAINER_HOST": "ssh://me:secret@h/run/p.sock"}, want: "podman at ssh://me:xxxxx@h/run/p.sock (CONTAINER_HOST)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := daemon.User{Env: func(name string) string { return test.env[name] }, Home: home(t, test.config), ID: test.id}
			engine := daemon.Docker
			if test.engine != "" {
				engine = test.engine
			}
			e, err := daemon.Find(engine, user)
			got := ""
			if err != nil {
				got = err.Error() + hint.Of(err)
			} else {
				got = e.String()
			}
			if !strings.Contains(got, test.want) || !strings.HasSuffix(e.TLS, test.tls) || (e.TLS == "") != (test.tls == "") {
				t.Errorf("Find = %s, certificates %q, want %s, %q", got, e.TLS, test.want, test.tls)
			}
		})
	}
}
