// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/engine"
)

// dialSocket makes a copy of the test binary what `buildctl dial-stdio` is in a pod.
const dialSocket = "CUDABUILD_TEST_DIAL"

// TestDialStdio is not a test of its own: it is what the stand-in kubectl of TestPod becomes.
func TestDialStdio(t *testing.T) {
	socket := os.Getenv(dialSocket)
	if socket == "" {
		t.Skip("only as a child of another test")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(conn, os.Stdin) }()
	_, _ = io.Copy(os.Stdout, conn)
}

// TestPod: a BuildKit in a pod is reached by kubectl, for which a script stands in.
func TestPod(t *testing.T) { // not parallel: it sets PATH
	e := open(t, t.TempDir())
	t.Cleanup(func() { _ = e.Close() })
	bin := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
[ "$*" = "--context= --namespace=ci exec --container=buildkitd -i bk-0 -- buildctl dial-stdio" ] || { echo "no pod: $*" >&2; exit 1; }
exec env %s=%s %s -test.run='^TestDialStdio$'
`, dialSocket, strings.TrimPrefix(e.Address(), "unix://"), os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	pod, err := engine.Open(t.Context(), engine.Options{Address: "kube-pod://bk-0?namespace=ci&container=buildkitd", Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	if pod.Version != e.Version || len(pod.Platforms) == 0 {
		t.Errorf("it says version %q and platforms %v, want those of %q", pod.Version, pod.Platforms, e.Version)
	}
	if err := pod.Close(); err != nil {
		t.Error(err)
	}
	_, err = engine.Open(t.Context(), engine.Options{Address: "kube-pod://other", Patience: patience})
	if address := (*engine.AddressError)(nil); !errors.As(err, &address) || address.Address != "kube-pod://other" {
		t.Errorf("Open = %v, want an AddressError for the other pod", err)
	}
}
