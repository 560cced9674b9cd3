// SPDX-License-Identifier: Apache-2.0

// Package schematest checks JSON documents against schemas, for tests: with somebody
// else's validator, so that what we print is judged by what others will judge it with.
package schematest

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cudabuild/cudabuild/internal/schema"
)

// Compile returns the check of one document against a schema, which must be one.
func Compile(t testing.TB, s *schema.Schema) func(data []byte) error {
	t.Helper()
	check, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return check
}

// Closed is Compile for what we print ourselves: a key that the schema does not list
// is an error, as it is not for a reader who may meet a newer cudabuild.
func Closed(s *schema.Schema) (func(data []byte) error, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	closeObjects(value)
	return compile(value)
}

// New is Compile without a test.
func New(s *schema.Schema) (func(data []byte) error, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return compile(value)
}

func compile(value any) (func(data []byte) error, error) {
	const name = "schema.json"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, value); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, err
	}
	return func(data []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return compiled.Validate(value)
	}, nil
}

func closeObjects(value any) {
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	case map[string]any:
		if v["properties"] != nil && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, e := range v {
			closeObjects(e)
		}
	}
}
