// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestCaptureLate: what a program has said is heard, however late that is, while
// somebody else still holds the pipe open.
func TestCaptureLate(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	said := strings.Repeat("x", 60<<10)
	if _, err := w.WriteString(said); err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &capture{r: r, end: make(chan struct{})}
	c.listen()
	if c.buf.String() != said {
		t.Errorf("heard %d bytes, want %d", c.buf.Len(), len(said))
	}
}
