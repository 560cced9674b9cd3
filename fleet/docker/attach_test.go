// SPDX-License-Identifier: Apache-2.0

package docker_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/gpu/container"
)

// TestFrozen: a program whose daemon answers nothing any more can be left by the third signal, and so can what it has there.
func TestFrozen(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	thawed, signals := make(chan struct{}), make(chan os.Signal, 3)
	d.faults["POST /containers/{id}/wait"] = func(http.ResponseWriter, *http.Request) { // and nothing else meanwhile
		for _, s := range []os.Signal{os.Interrupt, unix.SIGTERM, os.Interrupt} {
			signals <- s
		}
		<-thawed
	}
	h := d.open(docker.Options{})
	t.Cleanup(func() { close(thawed) })
	docker.Impatient(h, 100*time.Millisecond)
	code, err := h.Attach(t.Context(), program(t), container.Streams{Out: io.Discard, Err: io.Discard, Signals: signals})
	if code != 0 || !errors.Is(err, docker.ErrFrozen) {
		t.Errorf("Attach = %d, %v, want %v", code, err, docker.ErrFrozen)
	}
	if err := h.Close(t.Context()); err == nil {
		t.Error("a daemon that does not answer has removed what was there")
	}
}
