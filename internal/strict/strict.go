// SPDX-License-Identifier: Apache-2.0

// Package strict tells JSON that all readers understand in the same way from such that two may
// understand in two: encoding/json alone takes the last of two keys, takes keys for equal that
// differ in case, and stops behind the first value.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how many lists and objects may be inside each other.
const maxDepth = 64

// ErrMany is in the error of [Check] about more values than may be.
var ErrMany = errors.New("too many values")

// Check reports bytes that are not one JSON value, of text, or in which an object has a key twice. Of what has more
// than most values it looks at no more of them: a list of empty objects has a hundred times its size in memory once it is read.
func Check(data []byte, most int) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	c := checker{dec, most}
	if err := c.value(0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

type checker struct {
	*json.Decoder

	left int // values
}

func (c *checker) value(depth int) error {
	if c.left--; c.left < 0 {
		return ErrMany
	}
	token, err := c.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("more than %d levels deep", maxDepth)
	}
	keys := map[string]bool{}
	for c.More() {
		if open == '{' {
			key, err := c.Token()
			if err != nil {
				return err
			}
			folded := strings.ToLower(strings.ToUpper(fmt.Sprint(key)))
			if keys[folded] {
				return fmt.Errorf("key %q is there twice", key)
			}
			keys[folded] = true
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	_, err = c.Token() // its end
	return err
}
