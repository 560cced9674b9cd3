// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // of each that can be one: its scheme and parameters
		"unix:///run/a@b.sock": "unix ",
		"tcp://h:1":            "tcp ",
		"tcp://bk_1.example.:65535?servername=bk":  "tcp servername=bk",
		"tcp://[::1]:1234?cacert=/a+b%23":          "tcp cacert=%2Fa+b%23",
		"tcp://[fe80::1%25eth0]:1234":              "tcp ",
		"tcp://h:1?cert=c&key=k":                   "tcp cert=c&key=k",
		"docker-container://bk_0.a-b?context=b+ig": "docker-container context=b+ig",
		"podman-container://bk":                    "podman-container ",
		"kube-pod://bk-0?namespace=a&container=b":  "kube-pod container=b&namespace=a",
		"ssh://me@host:22/run/bk.sock":             "ssh ",
		"ssh://host":                               "ssh ",
		"ssh://[::1]:2222":                         "ssh ",
		"buildx://farm":                            "buildx ",
	} {
		if scheme, given, err := address.Parse(text); err != nil || scheme+" "+given.Encode() != want {
			t.Errorf("Parse(%q) = %q, %q, %v, want %q", text, scheme, given.Encode(), err, want)
		}
	}
	for text, want := range map[string]string{ // of each that cannot: what is wrong, and a part of the hint
		"":                                 "not the address: an address is unix:///PATH, tcp:",
		"carrier-pigeon://coop":            "not the address: or buildx://NAME",
		"unix:///a?x=1":                    `unknown parameter "x": unix:///PATH takes no parameters`,
		"unix:///a?cacert=ca.pem":          `unknown parameter "cacert": no parameters`,
		"unix:///":                         "not the address: unix:///PATH",
		"unix:////a":                       "not the address: unix:///PATH",
		"unix:///a%zz":                     "not the address: unix:///PATH",
		"tcp://h:0":                        "not the address: port from 1 to 65535",
		"tcp://h:99999":                    "not the address: port from 1 to 65535",
		"tcp://h:1/a":                      "not the address: tcp://HOST:PORT",
		"tcp://h:1#a":                      "not the address: tcp://HOST:PORT",
		"tcp://h:1?cacert=a#b":             "not the address: tcp://HOST:PORT",
		"tcp://u:pw@h:1":                   "not the address: tcp://HOST:PORT",
		"tcp://h h:1":                      "not the address: tcp://HOST:PORT",
		"tcp://[::1":                       "not the address: IPv6 stands in [ ]",
		"tcp://::1:1234":                   "not the address: IPv6 stands in [ ]",
		"tcp://[1:2]:3":                    "not the address: IPv6 stands in [ ]",
		"tcp://:1234":                      "not the address: tcp://127.0.0.1:1234",
		":1234":                            "not the address: tcp://127.0.0.1:1234",
		"tcp://h:1?CACERT=x":               `unknown parameter "CACERT": ?cacert=FILE`,
		"tcp://h:1?":                       "no parameter follows: ?cacert=FILE",
		"tcp://h:1?cacert":                 "cacert needs one value: ?cacert=FILE",
		"tcp://h:1?servername=a&cacert=":   "cacert needs one value: ?cacert=FILE",
		"tcp://h:1?servername=a b":         "servername=\"a b\" cannot be one: servername=NAME",
		"tcp://h:1?cert=a":                 "go together: &key=FILE",
		"tcp://h:1?a=%zz":                  "cannot be read: tcp://HOST:PORT?",
		"docker-container://x y":           "not the address: scheme is docker-container://NAME?context=CONTEXT",
		"docker-container://-v":            "not the address: docker-container://NAME",
		"docker-container://a/b":           "not the address: docker-container://NAME",
		"docker-container://a:1":           "not the address: docker-container://NAME",
		"docker-container://a?x=1":         `unknown parameter "x": ?context=CONTEXT`,
		"podman-container://a?context=b":   `unknown parameter "context": takes no parameters`,
		"kube-pod://a/b":                   "not the address: kube-pod://POD",
		"kube-pod://Big":                   "not the address: kube-pod://POD",
		"kube-pod://x?foo=":                `unknown parameter "foo": &namespace=NAMESPACE`,
		"kube-pod://x?namespace=":          "namespace needs one value: &namespace=NAMESPACE",
		"kube-pod://x?namespace=a_b":       `namespace="a_b" cannot be one: &namespace=NAMESPACE`,
		"ssh://u:pw@h":                     "not the address: did you mean ssh://u@h? ssh takes no password",
		"ssh://h?foo=1":                    `unknown parameter "foo": ssh://USER@HOST takes no parameters`,
		"ssh://-oProxyCommand=x":           "not the address: ssh://USER@HOST",
		"ssh://-oProxyCommand=x@h":         "not the address: ssh://USER@HOST",
		"ssh://h:70000":                    "not the address: ssh://USER@HOST",
		"buildx://a?x=1":                   `unknown parameter "x": buildx://NAME takes no parameters`,
		"buildx://../current":              "not the address: buildx://NAME",
		"docker-container://a?context=b#c": "not the address: docker-container://NAME",
	} {
		_, given, err := address.Parse(text)
		wrong, next, _ := strings.Cut(want, ": ")
		if err == nil || given != nil || !strings.Contains(err.Error(), wrong) || !strings.Contains(hint.Of(err), next) || hint.Code(err, 3) != 2 {
			t.Errorf("Parse(%q) = %v, %v, hint %q, code %d, want %q and code 2", text, given, err, hint.Of(err), hint.Code(err, 3), want)
		} else if strings.Contains(err.Error()+hint.Of(err), "pw") {
			t.Errorf("Parse(%q) tells the password: %v, %s", text, err, hint.Of(err))
		}
	}
}

// meant is the address in a hint.
var meant = regexp.MustCompile(`^did you mean (\S+)\?( |$)`)

// TestMeant: each wrong form gets the one that was meant, which is an address itself.
func TestMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1:1234":           "tcp://127.0.0.1:1234",
		"buildkit.example:1234":    "tcp://buildkit.example:1234",
		"[::1]:1234":               "tcp://[::1]:1234",
		"tcp://:1234?cacert=ca":    "tcp://127.0.0.1:1234?cacert=ca",
		"/run/buildkitd.sock":      "unix:///run/buildkitd.sock",
		"unix:/run/x.sock":         "unix:///run/x.sock",
		"http://localhost:1234":    "tcp://localhost:1234",
		"https://localhost:1234/":  "tcp://localhost:1234",
		"tcp://localhost":          "tcp://localhost:1234",
		"buildkitd":                "docker-container://buildkitd",
		"docker-container:bk":      "docker-container://bk",
		"docker-container://":      "docker-container://NAME",
		"docker://bk":              "docker-container://bk",
		"tcp://host?cacert=ca.pem": "tcp://host:1234?cacert=ca.pem",
		"ssh://me:x@host":          "ssh://me@host",
		"buildx://":                "buildx://NAME",
	} {
		_, _, err := address.Parse(text)
		found := meant.FindStringSubmatch(hint.Of(err))
		if found == nil || found[1] != want {
			t.Errorf("Parse(%q) = %v, hint %q, want %q", text, err, hint.Of(err), want)
		} else if _, _, err := address.Parse(found[1]); err != nil {
			t.Errorf("%q is said to be meant by %q, and cannot be one: %v", want, text, err)
		}
	}
}
