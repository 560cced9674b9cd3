// SPDX-License-Identifier: Apache-2.0

package strict_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/strict"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a": [1, {"b": null}], "c": {"a": 2}}`: "",
		`[]`:                                     "",
		``:                                       "EOF",
		`{"a": 1`:                                "EOF",
		`{} {}`:                                  "something follows its end",
		"\"\xff\"":                               "not UTF-8",
		`[{"a": 1, "a": 2}]`:                     `key "a" is there twice`,
		`{"s": 1, "\u017f": 2}`:                  "is there twice", // a long s, which Go takes for one
		strings.Repeat("[", 65) + strings.Repeat("]", 65): "more than 64 levels deep",
		`[` + strings.Repeat("1, ", 70) + `1]`:            "too many values",
	} {
		err := strict.Check([]byte(text), 70)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%s): %v, want %q", text, err, want)
		}
		if errors.Is(err, strict.ErrMany) != (want == "too many values") {
			t.Errorf("Check(%s): %v", text, err)
		}
	}
}

// FuzzCheck holds that what passes is one value, which is as long as it was when it is written again by who takes the last of
// two keys.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a": [1, {"b": null}], "A": "x"}`))
	f.Add([]byte(`[{"a": 1, "a": 2}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := strict.Check(data, 1000)
		var value any
		if bad := json.Unmarshal(data, &value); err == nil && bad != nil {
			t.Fatalf("Check(%q) passes, and %v", data, bad)
		}
		if err != nil {
			return
		}
		if keys := count(value); keys != strings.Count(string(data), ":")-inStrings(data, ':') {
			t.Fatalf("Check(%q) passes, and %d keys are left", data, keys)
		}
	})
}

// count is how many keys a value has in all its objects.
func count(value any) (n int) {
	switch v := value.(type) {
	case map[string]any:
		n = len(v)
		for _, inside := range v {
			n += count(inside)
		}
	case []any:
		for _, inside := range v {
			n += count(inside)
		}
	}
	return n
}

// inStrings is how often a character is in the strings of JSON.
func inStrings(data []byte, c byte) (n int) {
	inside := false
	for i := 0; i < len(data); i++ {
		switch {
		case inside && data[i] == '\\':
			i++
		case data[i] == '"':
			inside = !inside
		case inside && data[i] == c:
			n++
		}
	}
	return n
}
