// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const most = 4 << 20

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
	c := &Capture{r: r, most: most, end: make(chan struct{})}
	c.listen()
	if got := c.kept.Text(); string(got) != said {
		t.Errorf("heard %d bytes, want %d", len(got), len(said))
	}
}

// TestCaptureMuch: of more than is kept there are the beginning and the end, in whatever
// pieces it came.
func TestCaptureMuch(t *testing.T) {
	t.Parallel()
	for _, said := range []int{0, most, most + 1, 3*most + 7} {
		text := strings.Repeat("0123456789", said/10+1)[:said]
		for _, piece := range []int{4096, 5 << 20} {
			c := &Capture{most: most}
			for rest := text; rest != ""; {
				n := min(piece, len(rest))
				if wrote, err := c.Write([]byte(rest[:n])); wrote != n || err != nil {
					t.Fatal(wrote, err)
				}
				rest = rest[n:]
			}
			want := text
			if said > most {
				want = fmt.Sprintf("%s\n... %d bytes are left out here ...\n%s", text[:most/2], said-most, text[said-most/2:])
			}
			c.trim()
			if got := string(c.kept.Text()); got != want {
				t.Errorf("%d bytes in pieces of %d: kept %d, want %d", said, piece, len(got), len(want))
			}
		}
	}
}
