// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/schema"
)

type colour string

type embedded struct {
	Why string `json:"why"`
}

type sample struct {
	embedded

	Colour  colour            `json:"colour"`
	List    []int             `json:"list"`
	Maybe   *bool             `json:"maybe"`
	Left    *float64          `json:"left,omitempty"`
	Made    time.Time         `json:"made"`
	Since   time.Time         `json:"since,omitzero"`
	Notes   map[string]string `json:"notes,omitempty"`
	Any     any               `json:"any"`
	Hidden  string            `json:"-"`
	private string
}

func TestOf(t *testing.T) {
	t.Parallel()
	s := schema.Of(sample{private: ""}, map[any][]string{colour(""): {"red", "green"}})
	got, err := json.Marshal(s.Document("a sample", ""))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"$schema":"http://json-schema.org/draft-07/schema#","title":"a sample","type":"object",` +
		`"required":["why","colour","list","maybe","made","any"],"properties":{` +
		`"any":{},"colour":{"type":"string","enum":["red","green"]},"left":{"type":"number"},` +
		`"list":{"type":"array","items":{"type":"integer"}},"made":{"type":"string","format":"date-time"},` +
		`"maybe":{"anyOf":[{"type":"boolean"},{"type":"null"}]},` +
		`"notes":{"type":"object","additionalProperties":{"type":"string"}},` +
		`"since":{"type":"string","format":"date-time"},"why":{"type":"string"}}}`
	if string(got) != want {
		t.Errorf("Of =\n%s, want\n%s", got, want)
	}
}

// TestOfRefuses: a type whose JSON the generator would get wrong is no silent mistake.
func TestOfRefuses(t *testing.T) {
	t.Parallel()
	for _, v := range []any{json.RawMessage{}, struct{ Name string }{}, make(chan int)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Of(%T) did not panic", v)
				}
			}()
			schema.Of(v, nil)
		}()
	}
}

func ExampleOf() {
	s := schema.Of([]struct {
		Name string `json:"name"`
	}{}, nil)
	data, _ := json.Marshal(s)
	fmt.Println(string(data))
	// Output:
	// {"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}
}
