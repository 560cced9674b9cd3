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

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/registry"
)

// List returns what is attached to a manifest, by digest; nothing if there is no such manifest.
// It is a [NotListError] if the registry has no place for such lists.
//
// All types are listed: a registry need not filter, and one that does may leave away what it
// takes for another type.
func (r *Repository) List(ctx context.Context, subject v1.Hash) ([]Found, error) {
	l, err := r.list(ctx, subject)
	if err != nil {
		return nil, err
	}
	return l.found, registry.Each(ctx, len(l.found), func(ctx context.Context, i int) error { return r.mend(ctx, &l.found[i]) })
}

// listing is what is attached to a subject.
type listing struct {
	found []Found
	api   bool   // the registry keeps the list
	raw   []byte // the list under the tag, nil if there is none
}

// has reports whether an artifact is listed.
func (l *listing) has(digest v1.Hash) bool {
	return slices.ContainsFunc(l.found, func(f Found) bool { return f.Digest == digest.String() })
}

// list asks the API, and looks under the tag if there is none.
func (r *Repository) list(ctx context.Context, subject v1.Hash) (*listing, error) {
	found, api, err := r.pages(ctx, subject)
	l := &listing{found: found, api: api}
	if err == nil && !api {
		l.raw, err = r.tagged(ctx, subject)
		if err == nil && l.raw != nil {
			l.found, err = parse(nil, l.raw, subject)
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
	for page := 1; next != ""; page++ {
		if page > maxPages {
			return nil, true, fmt.Errorf("the registry gives more than %d pages", maxPages)
		}
		others := noAPI
		if page > 1 {
			others = nil
		}
		got, err := r.get(ctx, next, maxDocument, []string{string(types.OCIImageIndex)}, others...)
		switch {
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

// parse adds what a list names to what was found before.
func parse(found []Found, raw []byte, subject v1.Hash) ([]Found, error) {
	index, err := image.ParseIndex(raw, types.OCIImageIndex)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, f := range found {
		known[f.Digest] = true
	}
	for i, d := range index.Manifests {
		if d.Digest == (v1.Hash{}) || d.Size < 0 || d.MediaType == "" {
			return nil, fmt.Errorf("entry %d has no digest, size or media type", i)
		}
		if known[d.Digest.String()] {
			continue
		}
		known[d.Digest.String()] = true
		if len(found) == maxListed {
			return nil, fmt.Errorf("it has more than %d entries", maxListed)
		}
		found = append(found, Found{
			Digest: d.Digest.String(), Type: d.ArtifactType, MediaType: string(d.MediaType), Size: d.Size, Annotations: d.Annotations, Subject: subject.String(),
		})
	}
	return found, nil
}

// errForeign is a manifest that is not what a list says.
var errForeign = errors.New("not what the list says")

// mend takes the type of an artifact from its manifest where the list does not have it:
// go-containerregistry's registry gives that of the configuration in its place.
func (r *Repository) mend(ctx context.Context, f *Found) error {
	if f.Type != "" && f.Type != emptyType || f.MediaType != string(types.OCIManifestSchema1) {
		return nil
	}
	m, err := r.manifest(ctx, *f)
	switch {
	case registry.Absent(err), errors.Is(err, errForeign), errors.Is(err, ErrShape): // Read says it to who wants it
		return nil
	case err != nil:
		return err
	}
	f.Type = typeOf(m)
	if f.Annotations == nil {
		f.Annotations = m.Annotations
	}
	return nil
}

// lacks are those of artifacts that are not listed.
func (l *listing) lacks(artifacts []v1.Descriptor) []v1.Descriptor {
	return slices.DeleteFunc(slices.Clone(artifacts), func(d v1.Descriptor) bool { return l.has(d.Digest) })
}

// with returns the list with more entries. What others wrote into it stays, keys that we do not know included.
func (l *listing) with(artifacts []v1.Descriptor) ([]byte, error) {
	index := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + types.OCIImageIndex + `"`)}
	entries := []json.RawMessage{}
	if l.raw != nil {
		if err := json.Unmarshal(l.raw, &index); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(index["manifests"], &entries); err != nil {
			return nil, err
		}
	}
	was := len(entries)
	for _, d := range artifacts {
		entry, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	all, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	index["manifests"] = all
	whole, err := json.Marshal(index)
	if err == nil && (len(whole) > maxDocument || len(entries) > maxListed) {
		err = fmt.Errorf("its list has %d entries, and is full", was)
	}
	return whole, err
}
