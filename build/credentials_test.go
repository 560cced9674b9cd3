// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/session/auth"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestCredentials: which logins a BuildKit gets that asks for them.
func TestCredentials(t *testing.T) { // not parallel: it sets the environment
	docker := t.TempDir()
	config := `{"auths": {"vendor.example": {"username": "somebody", "password": "stand-in"}, "other.example": {"username": "somebody", "password": "stand-in"},
		"https://index.docker.io/v1/": {"username": "somebody", "password": "stand-in"}}}`
	if err := os.WriteFile(filepath.Join(docker, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", docker)
	vendor, debian := recipes.OS{Image: "vendor.example/os:1"}, recipes.OS{}
	debian.Bootstrap.Image = "docker.io/library/debian:trixie-slim"
	var tasks []*task
	for _, os := range []recipes.OS{vendor, debian} {
		tasks = append(tasks, newTask(matrix.Cell{Recipe: &recipes.Recipe{OS: os}, Platforms: []string{"linux/amd64"}}))
	}
	hosts := []string{"vendor.example", "registry-1.docker.io", "other.example", "nobody.example"}
	for name, test := range map[string]struct {
		address  string
		ofMatrix bool
		want     string
	}{
		"own":                     {"", false, "vendor.example registry-1.docker.io other.example"},
		"with TLS":                {"tcp://10.0.0.5:1?servername=bk", false, "vendor.example registry-1.docker.io other.example"},
		"in the clear":            {"tcp://10.0.0.5:1", false, ""},
		"of the matrix":           {"ssh://host", true, "vendor.example registry-1.docker.io"},
		"of the matrix, in clear": {"tcp://10.0.0.5:1", true, ""},
	} {
		r := &run{Options: Options{OfMatrix: test.ofMatrix}, tasks: tasks}
		server := r.credentials(&builder{Options: engine.Options{Address: test.address}}).(auth.AuthServer)
		var got []string
		for _, host := range hosts {
			answer, err := server.Credentials(t.Context(), &auth.CredentialsRequest{Host: host})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if answer.GetUsername() != "" && answer.GetSecret() != "" {
				got = append(got, host)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: gets the logins of %q, want %q", name, got, test.want)
		}
	}
}

// TestKeepLogins: with a login for steps, a BuildKit that others can listen to is an error of usage.
func TestKeepLogins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		o       Options
		address string
		want    string // "" is fine
	}{
		"none":              {Options{Proxy: proxy.Proxy{HTTP: "http://proxy.example"}, AptConfig: []byte(`Acquire::http::Proxy "http://proxy.example/a@b";`)}, "tcp://10.0.0.5:1", ""},
		"proxy":             {Options{Proxy: proxy.Proxy{HTTP: "http://user:secret@proxy.example"}}, "tcp://10.0.0.5:1", "the proxy"},
		"mirror":            {Options{Bases: &base.Store{Mirror: "http://user:secret@mirror.example"}}, "tcp://me@10.0.0.5:1", "the Debian mirror"},
		"apt":               {Options{AptConfig: []byte(`Acquire::http::Proxy "http://user:secret@proxy.example";`)}, "tcp://10.0.0.5:1", "this machine's apt"},
		"mirror, TLS":       {Options{Bases: &base.Store{Mirror: "http://user:secret@mirror.example"}}, "tcp://10.0.0.5:1?servername=bk", ""},
		"mirror, own":       {Options{Bases: &base.Store{Mirror: "http://user:secret@mirror.example"}}, "", ""},
		"mirror, no login":  {Options{Bases: &base.Store{Mirror: "http://mirror.example/{archive}/x"}}, "tcp://10.0.0.5:1", ""},
		"proxy on loopback": {Options{Proxy: proxy.Proxy{HTTP: "http://user:secret@proxy.example"}}, "tcp://localhost:1", ""},
	} {
		if test.o.Bases == nil {
			test.o.Bases = &base.Store{}
		}
		test.o.Builders = []string{"unix:///run/a.sock", test.address}
		r := &run{Options: test.o, builders: newBuilders(test.o)}
		err := r.keepLogins()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || hint.Code(err, 3) != 2 || hint.Of(err) == "" || !strings.Contains(err.Error(), "tcp://10.0.0.5:1") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v (%s), want an error of usage that names %s", name, err, hint.Of(err), test.want)
		}
	}
}
