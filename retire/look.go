// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// standing is what a repository has.
type standing struct {
	digests map[string]string // of all tags but those of lists of evidence
	indexes map[string]index  // that they name, by digest
	none    bool              // there is no such repository
}

// index is what an index names, itself or by indexes in it.
type index struct {
	manifests []string // their digests
	unclear   bool     // it, or one in it, cannot be understood: it may name anything
}

// many tags take a while.
const many = 1000

// look reads what the tags of the repository name.
func (r *Retirer) look(ctx context.Context) (*standing, error) {
	tags, err := r.tags(ctx)
	if noRepository(err) {
		return &standing{none: true}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(tags) >= many && r.say != nil {
		r.say(fmt.Sprintf("%s has %d tags, which are read one by one", r.repo, len(tags)))
	}
	s := &standing{digests: map[string]string{}, indexes: map[string]index{}}
	var mu sync.Mutex
	err = registry.Each(ctx, len(tags), func(ctx context.Context, i int) error {
		desc, err := registry.Current(ctx, r.puller, r.repo.Tag(tags[i]))
		if err != nil {
			return unread("tag "+tags[i], err)
		}
		if desc == nil { // it went meanwhile
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		s.digests[tags[i]] = desc.Digest.String()
		if desc.MediaType.IsIndex() {
			s.indexes[desc.Digest.String()] = index{}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	indexes := slices.Sorted(maps.Keys(s.indexes))
	return s, registry.Each(ctx, len(indexes), func(ctx context.Context, i int) error {
		read, err := r.index(ctx, indexes[i], maxNested)
		if err != nil {
			return unread(indexes[i], err)
		}
		mu.Lock()
		defer mu.Unlock()
		s.indexes[indexes[i]] = read
		return nil
	})
}

// tags lists the tags of the repository but those of lists of evidence.
func (r *Retirer) tags(ctx context.Context) ([]string, error) {
	all := map[string]bool{}
	lister, err := r.puller.Lister(ctx, r.repo)
	for err == nil && lister.HasNext() {
		page, failed := lister.Next(ctx)
		if failed != nil {
			err = failed
			break
		}
		before := len(all)
		for _, tag := range page.Tags {
			all[tag] = true
		}
		if len(all) == before && page.Next != "" {
			return nil, errors.New("the list of tags has no end: the registry sends pages that it has sent before")
		}
	}
	maps.DeleteFunc(all, func(tag string, _ bool) bool { return referrer.IsTag(tag) })
	return slices.Sorted(maps.Keys(all)), err
}

// noRepository reports that a registry has no list of tags. One that is asked how to log in and has no such thing either is none.
func noRepository(err error) bool {
	var answer *transport.Error
	return registry.Absent(err) && errors.As(err, &answer) && answer.Request != nil && strings.HasSuffix(answer.Request.URL.Path, "/tags/list")
}

// maxNested is how many indexes are followed inside each other.
const maxNested = 4

// index reads what an index names.
func (r *Retirer) index(ctx context.Context, digest string, depth int) (is index, err error) {
	if known, ok := r.indexes.Load(digest); ok {
		return known.(index), nil
	}
	desc, err := r.puller.Get(ctx, r.repo.Digest(digest))
	if err != nil {
		return is, err
	}
	read, err := image.ParseIndex(desc.Manifest, desc.MediaType)
	if err != nil {
		is.unclear = true
	} else {
		for _, child := range read.Manifests {
			is.manifests = append(is.manifests, child.Digest.String())
			if !child.MediaType.IsIndex() {
				continue
			}
			if depth == 0 {
				is.unclear = true
				break
			}
			inner, err := r.index(ctx, child.Digest.String(), depth-1)
			if registry.Absent(err) { // it may be elsewhere
				continue
			}
			if err != nil {
				return is, err
			}
			is.manifests, is.unclear = append(is.manifests, inner.manifests...), is.unclear || inner.unclear
		}
	}
	r.indexes.Store(digest, is)
	return is, nil
}

// keepers are the tags that need an image, or may, sorted, but for those by which these images go.
func (s *standing) keepers(digest string, going ...Image) []string {
	goes := map[string]string{}
	for _, i := range going {
		for _, t := range i.Tags {
			goes[t.Name] = i.Digest
		}
	}
	all := []string{}
	for tag, named := range s.digests {
		of := s.indexes[named]
		if goes[tag] != named && (named == digest || of.unclear || slices.Contains(of.manifests, digest)) {
			all = append(all, tag)
		}
	}
	slices.Sort(all)
	return all
}

// unreadError is something in the repository that the registry has, and cannot give.
type unreadError struct {
	what string
	err  error
}

func (e *unreadError) Error() string { return fmt.Sprintf("%s cannot be read: %v", e.what, e.err) }

// Hint says what to do.
func (e *unreadError) Hint() string {
	return "it may need what is to go, so nothing more goes: try again later; if it stays so, push it again or remove it, or ask whoever runs the registry"
}

// unread makes the error of something that could not be read: what a registry says of all alike stays what it is.
func unread(what string, err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode >= http.StatusInternalServerError {
		return &unreadError{what, err}
	}
	return fmt.Errorf("%s: %w", what, err)
}
