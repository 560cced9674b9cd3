// SPDX-License-Identifier: Apache-2.0

package plain_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/cudabuild/cudabuild/internal/plain"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain text,\tä 漢 😀\n": "plain text,\tä 漢 😀\n",
		"\x1b[2Jx": `\u001b[2Jx`, "a\rb\bc\x00\x7f": `a\u000db\u0008c\u0000\u007f`, "\u009b31m": `\u009b31m`, "\x9b31m": `\x9b31m`,
		"\x1b]0;title\a": `\u001b]0;title\u0007`, "a\u202eb\u2066\u200b": `a\u202eb\u2066\u200b`, "\U000e0041": `\udb40\udc41`, "\xff\xfe": `\xff\xfe`,
	} {
		if got := plain.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzJSON: whatever a document says, it can be read again and says the same.
func FuzzJSON(f *testing.F) {
	f.Add("x\x1b[2J\u202e\U000e0041\x7f<&>\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var w bytes.Buffer
		if err := plain.JSON(&w, text); err != nil {
			t.Fatal(err)
		}
		var first, again string
		if err := json.Unmarshal(want, &first); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w.Bytes(), &again); err != nil || again != first {
			t.Errorf("%q is printed as %s: %v", text, &w, err)
		}
	})
}
