// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"path/filepath"
	"regexp"
	"strings"
)

// mistakes are forms of addresses that are no address of a BuildKit, and what was meant:
// $1 is the part that counts. The first that fits tells.
var mistakes = []struct {
	form   *regexp.Regexp
	meant  string
	advice string
}{
	{regexp.MustCompile(`^unix:/{0,2}([^/].*)$`), "", "the socket's path is absolute: unix:///$1"},
	{regexp.MustCompile(`^unix:(/[^/].*)$`), "unix://$1", ""},
	{regexp.MustCompile(`^(\.{0,2}/.*)$`), "unix://$1", ""},
	{regexp.MustCompile(`^(?:https?|grpc|buildkit)://([^/]+)/?$`), "tcp://$1", ""},
	{regexp.MustCompile(`^tcp:/?([^/].*)$`), "tcp://$1", ""},
	{regexp.MustCompile(`^tcp://([^:/]+)/?$`), "tcp://$1:1234", ""},
	{regexp.MustCompile(`^((?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]|):[0-9]+)$`), "tcp://$1", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container)?:/{0,2}$`), "$1-container://NAME", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container:/?|://?)([A-Za-z0-9][^/]*)$`), "$1-container://$2", ""},
	{regexp.MustCompile(`^(?:kube-pod|kubernetes|k8s):.*$`), "", "forward its port ('kubectl port-forward POD 1234') and name it tcp://127.0.0.1:1234"},
	{regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_.-]*)$`), "docker-container://$1", "for a builder of docker buildx it is docker-container://buildx_buildkit_${1}0"},
}

// schemes are those that a client can connect by.
var schemes = regexp.MustCompile(`^(unix:///.|tcp://[^/]*:[0-9]+$|(docker-container|podman-container|ssh)://[^/])`)

// wrongForm says what to write in place of an address that cannot be one, "" if it can.
func wrongForm(address string) string {
	if schemes.MatchString(address) {
		return ""
	}
	for _, m := range mistakes {
		at := m.form.FindStringSubmatchIndex(address)
		if at == nil {
			continue
		}
		text := string(m.form.ExpandString(nil, m.meant, address, at))
		if path, ok := strings.CutPrefix(text, "unix://"); ok {
			if whole, err := filepath.Abs(path); err == nil {
				text = "unix://" + whole
			}
		}
		if text != "" {
			text = "did you mean " + text + "?"
		}
		return strings.TrimSpace(text + " " + string(m.form.ExpandString(nil, m.advice, address, at)))
	}
	return "an address is unix:///PATH, tcp://HOST:PORT, docker-container://NAME, podman-container://NAME or ssh://USER@HOST"
}
