// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"errors"
	"fmt"
	"strings"
)

// expandAll fills in a map's keys and values. What has no text in this image is left out.
func (r *renderer) expandAll(templates map[string]string) (map[string]string, error) {
	if len(templates) == 0 {
		return nil, nil
	}
	texts := map[string]string{}
	for _, key := range sortedKeys(templates) {
		name, _, err := r.expand(key)
		if err != nil {
			return nil, err
		}
		value, _, err := r.expand(templates[key])
		switch {
		case errors.Is(err, errNone) || errors.Is(err, errUnsourced):
		case err != nil:
			return nil, err
		default:
			texts[name] = value
		}
	}
	return texts, nil
}

// version fills in the version of a package. It is from the document of the last pin in it, or from
// the toolkit's own if there is none.
func (r *renderer) version(template string) (text string, from Document, err error) {
	text, from, err = r.expand(template)
	if err == nil && from.Title == "" {
		from = r.number()
	}
	return text, from, err
}

// expand fills in every {word} of a template, and returns the document of the last pin in it.
func (r *renderer) expand(template string) (text string, from Document, err error) {
	for rest := template; ; {
		before, after, more := strings.Cut(rest, "{")
		text += before
		if !more {
			return text, from, nil
		}
		word, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", from, fmt.Errorf("%q: a brace is not closed", template)
		}
		value, said, err := r.word(word)
		if err != nil {
			return "", from, err
		}
		if said.Title != "" {
			from = said
		}
		text, rest = text+value, tail
	}
}

// noPinError is the name of a pin that is needed, and that nothing gives.
type noPinError string

func (e noPinError) Error() string {
	return fmt.Sprintf("no pin %q (give a version, %s or %s)", string(e), pinNone, pinUnsourced)
}

func (r *renderer) word(name string) (text string, from Document, err error) {
	if text, ok := r.words[name]; ok {
		return text, Document{}, nil
	}
	version, from := r.pin(name)
	switch {
	case version == "":
		return "", from, noPinError(name)
	case version == pinNone:
		return "", from, errNone
	case version == pinUnsourced || from.Title == "":
		return "", from, errUnsourced
	}
	text = r.plain(version)
	if strings.Contains(text, "{") {
		return "", from, fmt.Errorf("pin %q: %q has a word that is not known", name, version)
	}
	return text, from, nil
}

// plain fills in a pin that is said in words of the toolkit's number.
func (r *renderer) plain(version string) string {
	if !strings.Contains(version, "{") {
		return version
	}
	for _, word := range sortedKeys(r.words) {
		version = strings.ReplaceAll(version, "{"+word+"}", r.words[word])
	}
	return version
}
