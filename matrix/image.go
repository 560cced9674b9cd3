// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"regexp"
	"strings"
)

// repository is the grammar of a repository's name, perhaps behind that of a registry, and
// maxImage what clients take. A first part with a dot or a port is a registry, and localhost.
// Source: OCI distribution specification 1.1, "Pulling manifests", <name>; for registries the
// "domain" of github.com/distribution/reference, but that it takes as one any word with
// upper-case letters.
var repository = regexp.MustCompile(`^(` + registry + `/)?` + segment + `(/` + segment + `)*$`)

const (
	maxImage = 255

	segment  = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
	label    = `[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?`
	registry = `(localhost|` + label + `(\.` + label + `)+|\[[a-fA-F0-9:]+\]|(` + label + `(\.` + label + `)*|\[[a-fA-F0-9:]+\]):[0-9]+)`
)

const imageForm = "lower-case letters and digits, joined by . _ __ - and /, perhaps behind a registry, no tag: cuda, ghcr.io/acme/cuda, registry:5000/cuda"

// slips are what names of repositories have too much, in the order of taking it out.
var slips = []struct {
	what string
	mend func(name string) string
}{
	{"it has blanks", func(name string) string { return strings.Join(strings.Fields(name), "") }},
	{"it has a scheme", without(`^[A-Za-z][A-Za-z0-9+.-]*:/+`)},
	{"it has an empty part", func(name string) string {
		return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '/' }), "/")
	}},
	{"it has a digest", without(`@[^/@]*$`)},
	{"it has a tag", without(`:[^/:\]]*$`)},
	{"its path has upper-case letters", func(name string) string {
		host, path, behind := strings.Cut(name, "/")
		if !behind || !repository.MatchString(host+"/x") {
			return strings.ToLower(name)
		}
		return host + "/" + strings.ToLower(path)
	}},
}

func without(pattern string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(name string) string { return re.ReplaceAllString(name, "") }
}

// ported is what ends in a registry's port rather than in a tag.
var ported = regexp.MustCompile(`^((localhost|[^/]*[.\]][^/]*):[0-9]+|[^/]+:[0-9]{4,5})/?$`)

func checkImage(text, what string) (message, hint string) {
	if message, hint = CheckRepository(text); message != "" {
		message = what + ": " + message
	}
	return message, hint
}

// CheckRepository says why a text is not the name of a repository, and what was probably
// meant; both are "" if it is one.
func CheckRepository(text string) (message, hint string) {
	switch {
	case len(text) > maxImage:
		return fmt.Sprintf("%q is not a repository name", text), fmt.Sprintf("%d characters at most", maxImage)
	case !repository.MatchString(text):
		why, hint := slipOf(text)
		return fmt.Sprintf("%q is not a repository name%s", login.ReplaceAllString(text, "$1***@"), why), hint
	}
	return "", ""
}

// login is what a name of a registry has no place for, and no message shows.
var login = regexp.MustCompile(`^([a-z]+://)?[^/@]*:[^/@]*@`)

// slipOf says what a name has too much, and what was probably meant.
func slipOf(name string) (why, hint string) {
	meant := name
	for _, slip := range slips {
		before := meant
		if meant = slip.mend(before); meant != before && why == "" {
			why = ": " + slip.what
		}
	}
	with := strings.TrimSuffix(name, "/") + "/cuda"
	switch {
	case ported.MatchString(name) && repository.MatchString(with):
		return ": it is that of a registry alone, or has a tag", fmt.Sprintf("did you mean %q?", with)
	case !repository.MatchString(meant):
		return why, imageForm
	case strings.HasSuffix(why, "tag") || strings.HasSuffix(why, "digest"):
		return why, fmt.Sprintf("did you mean %q? every image gets a tag of its own; others are for tags: of the matrix", meant)
	}
	return why, fmt.Sprintf("did you mean %q?", meant)
}
