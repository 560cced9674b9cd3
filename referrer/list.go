// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// List returns what is attached to a manifest, by digest; nothing if there is no such manifest.
// It is a [NotListError] if the registry has no place for such lists, or nobody can read the list. What is wrong
// in the list is in [Found.Wrong], and costs no other artifact anything.
//
// All types are listed: a registry need not filter, and one that does may leave away what it
// takes for another type.
func (r *Repository) List(ctx context.Context, subject v1.Hash) ([]Found, error) {
	l, err := r.list(ctx, subject)
	if err != nil {
		return nil, err
	}
	return l.found, registry.Each(ctx, len(l.found), func(ctx context.Context, i int) error { return r.mend(ctx, &l.found[i], l.api) })
}

// listing is what is attached to a subject.
type listing struct {
	found []Found
	api   bool   // the registry keeps the list
	raw   []byte // the list under the tag, nil if there is none
}

// has reports whether an artifact is listed, however wrong its entry is.
func (l *listing) has(digest v1.Hash) bool {
	return slices.ContainsFunc(l.found, func(f Found) bool { return f.Digest == digest.String() })
}

// lists reports whether an artifact is listed as it is to be. What the registry lists itself, others cannot
// change; of more than is looked at it is assumed.
func (l *listing) lists(d v1.Descriptor) bool {
	if l.api {
		return l.has(d.Digest) || len(l.found) > maxListed
	}
	return slices.ContainsFunc(l.found, func(f Found) bool { return f.says(d) })
}

// list asks the API, and looks under the tag if there is none.
func (r *Repository) list(ctx context.Context, subject v1.Hash) (*listing, error) {
	found, api, err := r.pages(ctx, subject)
	l := &listing{found: found, api: api}
	if err == nil && !api {
		l.raw, err = r.tagged(ctx, subject)
		if err == nil && l.raw != nil {
			if l.found, err = parse(nil, l.raw, subject); err != nil {
				err = &NotListError{r.repo.Name(), Tag(subject), fmt.Sprintf("a list that nobody can read (%.200v)", err)}
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("what is attached to %s@%s: %w", r.repo, subject, err)
	}
	slices.SortFunc(l.found, func(a, b Found) int { return strings.Compare(a.Digest, b.Digest) })
	return l, nil
}

// noAPI are the answers of registries that know no such address.
var noAPI = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}

// pages asks the referrers API, page by page, and reports whether there is one.
func (r *Repository) pages(ctx context.Context, subject v1.Hash) (found []Found, api bool, err error) {
	next := r.address("referrers", subject.String())
	for page := 1; next != "" && len(found) <= maxListed; page++ {
		if page > maxPages {
			return append(found, Found{Wrong: fmt.Sprintf("it has more than %d pages, and no more are looked at", maxPages)}), true, nil
		}
		others := noAPI
		if page > 1 {
			others = nil
		}
		got, err := r.get(ctx, next, maxDocument, []string{string(types.OCIImageIndex)}, others...)
		switch {
		case errors.As(err, new(*longError)):
			return nil, true, &NotListError{r.repo.Name(), "", fmt.Sprintf("a page of more than %d bytes", maxDocument)}
		case err != nil:
			return nil, true, err
		case page == 1 && (got.StatusCode != http.StatusOK || got.mediaType != types.OCIImageIndex && got.mediaType != "application/json"): // some answer every address with a page for people
			return nil, false, nil
		}
		if found, err = parse(found, got.body, subject); err != nil {
			return nil, true, fmt.Errorf("page %d: %w", page, err)
		}
		if next, err = r.after(got.Response); err != nil {
			return nil, true, err
		}
	}
	return found, true, nil
}

// nextPage finds the address of the next page in a header Link.
var nextPage = regexp.MustCompile(`(?i)<([^>]*)>[^,<]*;\s*rel\s*=\s*"?next\b`)

// after is the address of the page after one, "" if that was the last.
func (r *Repository) after(resp *http.Response) (string, error) {
	match := nextPage.FindStringSubmatch(strings.Join(resp.Header.Values("Link"), ", "))
	if match == nil {
		return "", nil
	}
	base, err := url.Parse(r.address("referrers", ""))
	if err != nil {
		return "", err
	}
	if resp.Request != nil {
		base = resp.Request.URL
	}
	next, err := base.Parse(match[1])
	if err != nil || next.Host != r.repo.RegistryStr() || next.Scheme != base.Scheme {
		return "", fmt.Errorf("its next page is elsewhere, at %.200q", match[1])
	}
	return next.String(), nil
}

// tagged reads the list that stands under a tag; nil if there is none.
func (r *Repository) tagged(ctx context.Context, subject v1.Hash) ([]byte, error) {
	got, err := r.get(ctx, r.address("manifests", Tag(subject)), maxDocument, manifestTypes, http.StatusNotFound)
	switch {
	case errors.As(err, new(*longError)):
		return nil, &NotListError{r.repo.Name(), Tag(subject), fmt.Sprintf("more than %d bytes", maxDocument)}
	case err != nil:
		return nil, err
	case got.StatusCode == http.StatusNotFound:
		return nil, nil
	case check(got.body, subject) == nil:
		return nil, &NotListError{r.repo.Name(), Tag(subject), "the image itself"}
	case got.mediaType != types.OCIImageIndex:
		return nil, &NotListError{r.repo.Name(), Tag(subject), fmt.Sprintf("%.100q", got.mediaType)}
	}
	return got.body, nil
}

// open reads a list: its keys, and its entries as they are written.
func open(raw []byte) (keys map[string]json.RawMessage, entries []json.RawMessage, err error) {
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, nil, err
	}
	if keys["manifests"] == nil {
		return nil, nil, errors.New("it has no entries")
	}
	return keys, entries, json.Unmarshal(keys["manifests"], &entries)
}

// parse adds what a list names to what was found before, each artifact once, and what is wrong with the list.
func parse(found []Found, raw []byte, subject v1.Hash) ([]Found, error) {
	_, entries, err := open(raw)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, f := range found {
		known[f.Digest] = true
	}
	nameless, first := 0, 0
	for i, entry := range entries {
		var d v1.Descriptor
		_ = json.Unmarshal(entry, &d) // which fills in all that can be read
		digest := d.Digest.String()
		switch {
		case d.Digest == v1.Hash{}:
			if nameless++; nameless == 1 {
				first = i
			}
		case known[digest]:
		case len(known) >= maxListed:
			return append(found, Found{Wrong: fmt.Sprintf("it goes on behind %d artifacts, and no more are looked at", maxListed)}), nil
		default:
			known[digest] = true
			found = append(found, Found{Digest: digest, Type: d.ArtifactType, MediaType: string(d.MediaType), Size: d.Size, Annotations: d.Annotations, Subject: subject.String()})
		}
	}
	if nameless > 0 {
		found = append(found, Found{Wrong: fmt.Sprintf("%d of its entries have no digest, number %d is the first", nameless, first+1)})
	}
	return found, nil
}

// mend takes what there is to know of an artifact from its manifest, where others may have written the list or it does not
// have it: go-containerregistry's registry gives the type of the configuration in place of that of the artifact.
func (r *Repository) mend(ctx context.Context, f *Found, api bool) error {
	known := f.Type != "" && f.Type != emptyType && f.MediaType != "" && f.Size >= 0
	if f.Digest == "" || api && known {
		return nil
	}
	_, d, err := r.manifest(ctx, *f)
	switch {
	case registry.Unread(err):
		return err
	case d.Digest == v1.Hash{}: // gone, or damaged: Read says it to who wants it
		return nil
	}
	if !api && !f.says(d) {
		f.Wrong = fmt.Sprintf("it says of %s that it is a %.100q of %d bytes and type %.100q, and that is not so, or not all", f.Digest, f.MediaType, f.Size, f.Type)
	}
	f.MediaType, f.Size, f.Type, f.Annotations = string(d.MediaType), d.Size, d.ArtifactType, d.Annotations
	return nil
}

// lacks are those of artifacts that are not listed as they are to be.
func (l *listing) lacks(artifacts []v1.Descriptor) []v1.Descriptor {
	return slices.DeleteFunc(slices.Clone(artifacts), l.lists)
}

// with returns the list with these artifacts, each once, before all others: no more than some are looked at. What
// others wrote into it stays, keys that we do not know included.
func (l *listing) with(artifacts []v1.Descriptor) ([]byte, error) {
	keys, entries := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + types.OCIImageIndex + `"`)}, []json.RawMessage{}
	if l.raw != nil {
		var err error
		if keys, entries, err = open(l.raw); err != nil {
			return nil, err
		}
	}
	var ours []json.RawMessage
	for _, d := range artifacts {
		entry, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		ours, entries = append(ours, entry), without(entries, d.Digest)
	}
	return write(keys, append(ours, entries...))
}

// without are the entries of all other artifacts.
func without(entries []json.RawMessage, artifact v1.Hash) []json.RawMessage {
	return slices.DeleteFunc(entries, func(entry json.RawMessage) bool {
		var d v1.Descriptor
		_ = json.Unmarshal(entry, &d)
		return d.Digest == artifact
	})
}

// write puts a list together.
func write(keys map[string]json.RawMessage, entries []json.RawMessage) ([]byte, error) {
	all, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	keys["manifests"] = all
	return json.Marshal(keys)
}
