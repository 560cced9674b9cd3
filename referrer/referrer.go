// SPDX-License-Identifier: Apache-2.0

// Package referrer reads and writes what is attached to images in registries: OCI referrers,
// manifests that name another one as their subject.
//
// [Open] opens a repository, [Repository.List] says what is attached to a manifest there,
// [Repository.Read] reads one piece of it, and [Repository.Attach] attaches one. It promises:
//
//   - A registry that has the referrers API is asked for the list. One that has not keeps it
//     under the tag sha256-HEX, which is written so that every client finds there what the API
//     would say: artifact types and annotations too. go-containerregistry's own Put loses these
//     (its issue 2205), and does not look whether somebody else wrote the tag meanwhile.
//   - What stands under that tag and is no such list (GitLab gives the image itself) is a
//     [NotListError] and never an empty list.
//   - Whoever may push can write such a list. What it says of an artifact counts for nothing, but its digest:
//     the rest is in the artifact's manifest. An entry that is wrong costs the others nothing.
//   - What is attached already is not sent again.
//   - A registry that takes no such manifests is a [RefusedError]: the image is there all the same.
//   - Lists, manifests and data are read in bounded memory, and compared with their digests.
//
// Two clients that write the tag at once can overwrite each other: registries do not compare and
// swap. Each reads it again until it finds its own entry, after the time that the other would
// have needed; an entry that is lost in spite of that comes back when it is attached again.
package referrer

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// Bounds of what is read.
const (
	maxDocument = 4 << 20  // a manifest or a page of a list, in bytes
	maxData     = 24 << 20 // the data of an artifact: a document of 16 MiB in a bundle, which has it in base64
	maxPages    = 100
	maxListed   = 5000 // artifacts of one subject that are looked at
)

// emptyType is the media type of a configuration that says nothing.
const emptyType = "application/vnd.oci.empty.v1+json"

// Artifact is a document that is attached to a manifest. It is the one layer of a manifest of its own.
type Artifact struct {
	Type        string // the artifact's
	MediaType   string // of Data
	Data        []byte
	Annotations map[string]string
}

// Found is an artifact in a list.
type Found struct {
	Digest      string // "" of entries that name nothing, of which Wrong is all that is known
	Type        string // of the artifact; "" if neither list nor manifest says it
	MediaType   string // of its manifest
	Size        int64  // of its manifest
	Annotations map[string]string
	Subject     string // the digest of what it is attached to
	// Wrong is what is wrong with the list here, "" if nothing is: it says something else of the artifact than its
	// manifest does, names nothing, or goes on.
	Wrong string
}

// Repository is a repository of a registry. It may be used by several goroutines at once.
type Repository struct {
	repo              name.Repository
	pull, push, erase func() (*http.Client, error) // they log in when something is asked for
	pusher            *remote.Pusher
	writers           sync.Map // of *sync.Mutex by the digest of a subject: one list is written by one of us at a time
}

// Open opens a repository with a client of it. It asks the registry nothing.
func Open(repo name.Repository, client *registry.Client) (*Repository, error) {
	pusher, err := remote.NewPusher(client.Remote()...)
	if err != nil {
		return nil, err
	}
	login := func(scope string) func() (*http.Client, error) {
		return sync.OnceValues(func() (*http.Client, error) { return client.HTTP(scope) })
	}
	return &Repository{repo: repo, pull: login(transport.PullScope), push: login(transport.PushScope), erase: login(transport.DeleteScope), pusher: pusher}, nil
}

// Tag is under which a registry without the referrers API keeps the list of what is attached to subject.
func Tag(subject v1.Hash) string { return subject.Algorithm + "-" + subject.Hex }

// IsTag reports whether a tag is for such a list.
func IsTag(tag string) bool {
	_, err := v1.NewHash(strings.Replace(tag, "-", ":", 1))
	return err == nil
}

// RefusedError is a registry that takes no manifest with a subject, or with an empty configuration.
type RefusedError struct {
	Repository string
	cause      error
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s takes nothing that is attached to an image: %v", e.Repository, e.cause)
}

// Unwrap returns what the registry said.
func (e *RefusedError) Unwrap() error { return e.cause }

// NotListError is something under the tag of a list that is none.
type NotListError struct {
	Repository, Tag string // the tag is "" where the registry keeps the list itself
	Is              string // "the image itself", a media type, or a list that nobody can read
}

// Error implements error.
func (e *NotListError) Error() string {
	if e.Tag == "" {
		return fmt.Sprintf("%s: no list of what is attached: its referrers API gives %s", e.Repository, e.Is)
	}
	return fmt.Sprintf("%s: no list of what is attached: the registry has no referrers API, and gives %s for tag %s", e.Repository, e.Is, e.Tag)
}

// descriptor is f as a list names it.
func (f Found) descriptor() (v1.Descriptor, error) {
	digest, err := v1.NewHash(f.Digest)
	return v1.Descriptor{MediaType: types.MediaType(f.MediaType), Digest: digest, Size: f.Size, ArtifactType: f.Type, Annotations: f.Annotations}, err
}

// says reports whether f is as a list is to have it.
func (f Found) says(d v1.Descriptor) bool {
	return f.Digest == d.Digest.String() && f.MediaType == string(d.MediaType) && f.Size == d.Size && f.Type == d.ArtifactType && maps.Equal(f.Annotations, d.Annotations)
}
