// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// instances are builders as docker buildx keeps them.
var instances = map[string]string{
	"one":     `{"Name":"one","Driver":"docker-container","Nodes":[{"Name":"one0","Endpoint":"unix:///var/run/docker.sock","Platforms":null,"DriverOpts":null,"Flags":["--allow-insecure-entitlement=network.host"],"Files":null}],"Dynamic":false}`,
	"two":     `{"Name":"two","Driver":"docker-container","Nodes":[{"Name":"two0","Endpoint":"default"},{"Name":"two1","Endpoint":"big machine"}]}`,
	"far":     `{"Name":"far","Driver":"remote","Nodes":[{"Name":"far0","Endpoint":"tcp://10.0.0.5:1234","DriverOpts":{"cacert":"CERTS/ca.pem","servername":"bk","default-load":"true"}},{"Name":"far1","Endpoint":"unix:///run/bk.sock"}]}`,
	"near":    `{"Name":"near","Driver":"remote","Nodes":[{"Name":"near0","Endpoint":"unix:///run/bk.sock"},{"Name":"near1","Endpoint":"unix:///run/other.sock"}]}`,
	"gone":    `{"Name":"gone","Driver":"remote","Nodes":[{"Name":"gone0","Endpoint":"tcp://10.0.0.5:1234","DriverOpts":{"cacert":"CERTS/other.pem"}}]}`,
	"odd":     `{"Name":"odd","Driver":"remote","Nodes":[{"Name":"odd0","Endpoint":"tcp://10.0.0.5:1234","DriverOpts":{"retries":"3"}}]}`,
	"embed":   `{"Name":"embed","Driver":"docker","Nodes":[{"Name":"embed0","Endpoint":"default"}]}`,
	"cloud":   `{"Name":"cloud","Driver":"cloud","Nodes":[{"Name":"cloud0","Endpoint":"cloud://acme/default"}]}`,
	"docker2": `{"Name":"docker2","Driver":"docker-container","Nodes":[{"Name":"docker20","Endpoint":"ssh://me@other"}]}`,
	"pods":    `{"Name":"pods","Driver":"kubernetes","Nodes":[{"Name":"pods0","Endpoint":"kubernetes:///pods?deployment=bk-pods&kubeconfig=","DriverOpts":{"namespace":"ci"}}]}`,
	"nopods":  `{"Name":"nopods","Driver":"kubernetes","Nodes":[{"Name":"no_pods0","Endpoint":""}]}`,
	"other":   `{"Name":"other","Driver":"kubernetes","Nodes":[{"Name":"other0","Endpoint":"kubernetes:///other?deployment=bk&kubeconfig=%2Fetc%2Fother"}]}`,
	"empty":   `{"Name":"empty","Driver":"remote","Nodes":[]}`,
	"torn":    `{"Name":"to`,
	"list":    `[]`,
	"out":     `{"Name":"out","Driver":"docker-container","Nodes":[{"Name":"../n","Endpoint":"default"}]}`,
	"nowhere": `{"Name":"nowhere","Driver":"remote","Nodes":[{"Name":"nowhere0","Endpoint":"tcp://10.0.0.5:99999"}]}`,
	"notls":   `{"Name":"notls","Driver":"remote","Nodes":[{"Name":"notls0","Endpoint":"unix:///run/bk.sock","DriverOpts":{"cacert":"CERTS/ca.pem"}}]}`,
	"odder":   `{"Name":"odder","Driver":"kubernetes","Nodes":[{"Name":"odder0","Endpoint":"kubernetes:///%zz"}]}`,
	"dead":    `{"Name":"dead","Driver":"kubernetes","Nodes":[{"Name":"dead0","Endpoint":"","DriverOpts":{"namespace":"dead"}}]}`,
}

// standInKubectl lists pods of the deployment bk-pods in namespace ci, and finds no cluster for
// namespace dead. It stands in for kubectl.
const standInKubectl = `#!/bin/sh
[ "$1" != --namespace=dead ] || { echo "E1 attempt" >&2; echo "E1 attempt" >&2; echo "connection refused" >&2; exit 1; }
[ "$*" = "--namespace=ci get pods --selector=app=bk-pods --field-selector=status.phase=Running --output=name" ] || exit 0
echo pod/bk-pods-a
echo pod/bk-pods-b
`

// furnish makes a store of docker buildx, a folder with a ca.pem, and a kubectl.
func furnish(t *testing.T) (certs string) {
	t.Helper()
	store, certs, bin := t.TempDir(), t.TempDir(), t.TempDir()
	write := func(file, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range instances {
		write(filepath.Join(store, "instances", name), strings.ReplaceAll(text, "CERTS", certs), 0o600)
	}
	newAuthority(t, certs, "ca")
	write(filepath.Join(bin, "kubectl"), standInKubectl, 0o755)
	t.Setenv("BUILDX_CONFIG", store)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("KUBECONFIG", "")
	t.Setenv("DOCKER_HOST", "")
	return certs
}

func TestFind(t *testing.T) { // not parallel: it sets variables
	certs := furnish(t)
	pods := []string{"kube-pod://bk-pods-a?container=buildkitd&namespace=ci", "kube-pod://bk-pods-b?container=buildkitd&namespace=ci"}
	for name, test := range map[string]struct{ words, want []string }{
		"none":     {nil, nil},
		"empty":    {[]string{""}, nil},
		"several":  {[]string{"tcp://b:1", "unix:///a", "kube-pod://x?namespace=y"}, []string{"tcp://b:1", "unix:///a", "kube-pod://x?namespace=y"}},
		"one":      {[]string{"buildx://one"}, []string{"docker-container://buildx_buildkit_one0"}},
		"contexts": {[]string{"buildx://two"}, []string{"docker-container://buildx_buildkit_two0", "docker-container://buildx_buildkit_two1?context=big+machine"}},
		"once":     {[]string{"unix:///run/bk.sock", "buildx://near"}, []string{"unix:///run/bk.sock", "unix:///run/other.sock"}},
		"remote":   {[]string{"buildx://far"}, []string{"tcp://10.0.0.5:1234?cacert=" + strings.ReplaceAll(certs, "/", "%2F") + "%2Fca.pem&servername=bk", "unix:///run/bk.sock"}},
		"pods":     {[]string{"buildx://pods", "tcp://b:1"}, append(pods, "tcp://b:1")},
	} {
		got, err := engine.Find(t.Context(), test.words)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: Find = %v (-want +got):\n%s", name, err, diff)
		}
	}
	for word, want := range map[string]string{
		"":                      "has no address",
		"localhost:1":           "not the address",
		"buildx://nobody":       "no such builder",
		"buildx://embed":        `node "embed0": the driver "docker"`,
		"buildx://cloud":        `node "cloud0": the driver "cloud"`,
		"buildx://docker2":      "its docker is at ssh://other",
		"buildx://odd":          `unknown option "retries"`,
		"buildx://gone":         "other.pem: no such file",
		"buildx://nopods":       "no pod of the deployment no-pods0",
		"buildx://other":        "another configuration",
		"buildx://empty":        "no nodes",
		"buildx://torn":         "unexpected end",
		"tcp://h:1?cacert=/no":  "BuildKit at tcp://h:1: cacert=/no: no such file",
		"tcp://h:1?x":           `BuildKit at tcp://h:1: unknown parameter "x"`,
		"tcp://u:secret@h:1":    "BuildKit at tcp://h:1: not the address",
		"kube-pod://x?x=secret": `unknown parameter "x"`,
	} {
		got, err := engine.Find(t.Context(), []string{"tcp://b:1", word})
		if got != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Find(%q) = %v, %v, want %q", word, got, err, want)
			continue
		}
		code := 2
		if word == "buildx://dead" || word == "buildx://nopods" { // the cluster's matter
			code = 3
		}
		if hint.Of(err) == "" || hint.Code(err, 3) != code || strings.Contains(err.Error(), "\n") {
			t.Errorf("Find(%q) = %v: hint %q, code %d, want one, %d and one line", word, err, hint.Of(err), hint.Code(err, 3), code)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"tcp://user:secret@h:1?key=/etc/key":                         "tcp://h:1",
		"ssh://me@host":                                              "ssh://host",
		"docker-container://bk?context=big":                          "docker-container://bk?context=big",
		"docker-container://bk?context=b+g":                          "docker-container://bk?context=b+g",
		"kube-pod://pod?namespace=a&x=secret&context=c&container=bk": "kube-pod://pod?container=bk&context=c&namespace=a",
		"tcp://h:1?key=/etc/key&%zz":                                 "tcp://h:1",
		"kube-pod://pod":                                             "kube-pod://pod",
		"unix:///run/a@b?c.sock":                                     "unix:///run/a@b?c.sock",
	} {
		if got := engine.Public(address); got != want {
			t.Errorf("Public(%q) = %q, want %q", address, got, want)
		}
	}
}
