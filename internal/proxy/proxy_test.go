// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/proxy"
)

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	const word = "http://user:secret@p.example:3128"
	for name, test := range map[string]struct {
		env       map[string]string
		want      proxy.Proxy
		apt       string
		variables int
	}{
		"none":       {nil, proxy.Proxy{}, "", 0},
		"small":      {map[string]string{"http_proxy": "http://p.example:3128"}, proxy.Proxy{HTTP: "http://p.example:3128"}, "", 2},
		"capital":    {map[string]string{"HTTPS_PROXY": "http://p.example", "NO_PROXY": "a,b"}, proxy.Proxy{HTTPS: "http://p.example", No: "a,b"}, "", 4},
		"both":       {map[string]string{"HTTP_PROXY": "http://capital.example", "http_proxy": "http://small.example"}, proxy.Proxy{HTTP: "http://small.example"}, "", 2},
		"no scheme":  {map[string]string{"http_proxy": "127.0.0.1:3128"}, proxy.Proxy{HTTP: "http://127.0.0.1:3128"}, "", 2},
		"all":        {map[string]string{"ALL_PROXY": "socks5h://p.example:1080"}, proxy.Proxy{HTTP: "socks5h://p.example:1080", HTTPS: "socks5h://p.example:1080", All: "socks5h://p.example:1080"}, "", 6},
		"ftp":        {map[string]string{"FTP_PROXY": "p.example"}, proxy.Proxy{FTP: "http://p.example"}, "", 2},
		"a login":    {map[string]string{"http_proxy": word, "https_proxy": "http://p.example"}, proxy.Proxy{HTTP: word, HTTPS: "http://p.example"}, "Acquire::http::Proxy \"" + word + "\";\n", 4},
		"empty":      {map[string]string{"http_proxy": "", "HTTP_PROXY": "http://p.example"}, proxy.Proxy{HTTP: "http://p.example"}, "", 2},
		"all, login": {map[string]string{"all_proxy": word}, proxy.Proxy{HTTP: word, HTTPS: word, All: word}, "Acquire::http::Proxy \"" + word + "\";\nAcquire::https::Proxy \"" + word + "\";\n", 6},
	} {
		got, err := proxy.FromEnvironment(func(name string) string { return test.env[name] })
		if err != nil || got.Apt() != test.apt || len(got.Variables()) != test.variables {
			t.Errorf("%s: %+v, %v, apt %q, variables %q", name, got, err, got.Apt(), got.Variables())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if open := strings.Join(got.Open().Variables(), " "); strings.Contains(open, "secret") {
			t.Errorf("%s: %q shows the password", name, open)
		}
	}
}

func TestBadProxy(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"ftp://p.example", "http://", "http://user:secret@", "http://user:se%cret@p.example", "http://p.example\";x", "http://user:secret@p.example:port", "user:secret@p example"} {
		_, err := proxy.FromEnvironment(func(name string) string { return map[string]string{"HTTP_PROXY": bad}[name] })
		if err == nil || hint.Code(err, 3) != 2 || !strings.Contains(err.Error(), "http_proxy") || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v, want an error of usage that names the variable and hides the password", bad, err)
		}
	}
}
