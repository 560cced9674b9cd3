// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// Find returns the addresses that words name, each once and in that order. A word is an
// address, or buildx://NAME for those of all nodes of a builder of docker buildx. An empty
// word alone names none. No BuildKit is asked; the error is one of usage,
// but where a cluster does not name its pods.
func Find(ctx context.Context, words []string) (addresses []string, err error) {
	if slices.Equal(words, []string{""}) {
		return nil, nil
	}
	for i, word := range words {
		if word == "" {
			return nil, hint.Usage("one of several BuildKits has no address", "name it, or leave it away; an empty address alone starts a BuildKit here")
		}
		if _, err := check(word); err != nil {
			return nil, err
		}
		if slices.Contains(words[:i], word) {
			return nil, hint.Usage(fmt.Sprintf("the BuildKit at %s is named twice", Public(word)), "remove one of the two")
		}
		found := []string{word}
		if name, ok := strings.CutPrefix(word, "buildx://"); ok {
			if found, err = buildx(ctx, name); err != nil {
				return nil, err
			}
		}
		for _, one := range found {
			if !slices.Contains(addresses, one) {
				addresses = append(addresses, one)
			}
		}
	}
	return addresses, nil
}

// user is what stands before the host of an address.
var user = regexp.MustCompile(`^([a-z-]+://)[^/?@]*@`)

// place are the parameters that say where a BuildKit is.
var place = []string{"container", "context", "namespace"}

// Public is an address as others may see it: without user, password and files of TLS. Two that may be
// two BuildKits stay two.
func Public(address string) string {
	if strings.HasPrefix(address, "unix:") {
		return address
	}
	at, query, _ := strings.Cut(address, "?")
	given, _ := url.ParseQuery(query) // what can be read of it
	kept := url.Values{}
	for _, name := range place {
		if given.Has(name) {
			kept[name] = given[name]
		}
	}
	if at = user.ReplaceAllString(at, "$1"); len(kept) > 0 {
		at += "?" + kept.Encode()
	}
	return at
}
