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
	{regexp.MustCompile(`^tcp://([^:/?]+)/?(\?.*)?$`), "tcp://$1:1234$2", ""},
	{regexp.MustCompile(`^((?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]|):[0-9]+)$`), "tcp://$1", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container)?:/{0,2}$`), "$1-container://NAME", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container:/?|://?)([A-Za-z0-9][^/]*)$`), "$1-container://$2", ""},
	{regexp.MustCompile(`^(?:kube-pod|kubernetes|k8s):.*$`), "kube-pod://POD", "add ?namespace=NAMESPACE&container=CONTAINER where they are not kubectl's own; 'kubectl get pods' lists pods"},
	{regexp.MustCompile(`^buildx:.*$`), "buildx://NAME", "'docker buildx ls' lists the names"},
	{regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_.-]*)$`), "docker-container://$1", "a builder of docker buildx is buildx://$1"},
}

// schemes are those that a client can connect by, and buildx. What becomes an argument of a
// program does not look like an option of it.
var schemes = regexp.MustCompile(`^(unix:///.|tcp://[^/?]*:[0-9]+(\?.*)?$|(docker-container|podman-container|kube-pod|ssh)://[A-Za-z0-9[]|` +
	`buildx://[A-Za-z][A-Za-z0-9._-]*$)`)

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
	return "an address is unix:///PATH, tcp://HOST:PORT, docker-container://NAME, podman-container://NAME, kube-pod://POD, ssh://USER@HOST or buildx://NAME"
}
