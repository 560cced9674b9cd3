// SPDX-License-Identifier: Apache-2.0

package address

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
	{regexp.MustCompile(`^unix:(/[^/].*)$`), "unix://$1", ""},
	{regexp.MustCompile(`^unix:/{0,2}([^/].*)$`), "", "the socket's path is absolute: unix:///$1"},
	{regexp.MustCompile(`^(\.{0,2}/.*)$`), "unix://$1", ""},
	{regexp.MustCompile(`^(?:https?|grpc|buildkit)://([^/]+)/?$`), "tcp://$1", ""},
	{regexp.MustCompile(`^tcp:/?([^/].*)$`), "tcp://$1", ""},
	{regexp.MustCompile(`^tcp://([^:/?]+)/?(\?.*)?$`), "tcp://$1:1234$2", ""},
	{regexp.MustCompile(`^(?:tcp://)?(:[0-9]+(?:\?.*)?)$`), "tcp://127.0.0.1$1", ""},
	{regexp.MustCompile(`^tcp://.+:([0-9]+)(?:\?.*)?$`), "", "an address is tcp://HOST:PORT, with a port from 1 to 65535; IPv6 stands in [ ]"},
	{regexp.MustCompile(`^ssh://([^:/@]+):.*@([^@]+)$`), "ssh://$1@$2", "ssh takes no password from an address"},
	{regexp.MustCompile(`^((?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]+)$`), "tcp://$1", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container)?:/{0,2}$`), "$1-container://NAME", ""},
	{regexp.MustCompile(`^(docker|podman)(?:-container:/?|://?)([A-Za-z0-9][^/]*)$`), "$1-container://$2", ""},
	{regexp.MustCompile(`^(?:kube-pod|kubernetes|k8s):.*$`), "kube-pod://POD", "add ?namespace=NAMESPACE&container=CONTAINER where they are not kubectl's own; 'kubectl get pods' lists pods"},
	{regexp.MustCompile(`^buildx:.*$`), "buildx://NAME", "'docker buildx ls' lists the names"},
	{regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_.-]*)$`), "docker-container://$1", "a builder of docker buildx is buildx://$1"},
}

// meant says what to write in place of a text that is no address, "" if no mistake is known.
func meant(text string) string {
	for _, m := range mistakes {
		at := m.form.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		right := string(m.form.ExpandString(nil, m.meant, text, at))
		if path, ok := strings.CutPrefix(right, "unix://"); ok {
			if absolute, err := filepath.Abs(path); err == nil {
				right = "unix://" + absolute
			}
		}
		if right != "" {
			right = "did you mean " + right + "?"
		}
		return strings.TrimSpace(right + " " + string(m.form.ExpandString(nil, m.advice, text, at)))
	}
	return ""
}
