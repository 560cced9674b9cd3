// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/sign"
)

// State is what a document, or an image, is worth.
type State string

// The states. An image is [Valid] or [Incomplete].
const (
	Valid      State = "valid"
	Incomplete State = "incomplete" // something is missing, or does not hold
	Unsigned   State = "unsigned"   // or by others: not signed by the key that was asked for
	Stale      State = "stale"      // it speaks of documents that are not there
	Strange    State = "foreign"    // it is about another digest
	Damaged    State = "damaged"
)

// Report is what is attached to an image and to those of its platforms, as
// `verify --attestations --json` prints it.
type Report struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // of the manifest or index, "" if it could not be read
	State  State  `json:"state"`  // "" if it could not be read
	// Key names the key that was asked for, "" if none was.
	Key string `json:"key"`
	// Images are the index, if it is one, and the images of its platforms; never null.
	Images []Image `json:"images"`
	Error  string  `json:"error"` // why it could not be read
}

// Image is what is attached to one manifest or index.
type Image struct {
	Digest   string `json:"digest"`
	Platform string `json:"platform"` // "linux/amd64", "index" of an index
	State    State  `json:"state"`
	// Documents are those of known kinds, and what is damaged; never null.
	Documents []Attached `json:"documents"`
	// Missing are the kinds of which no valid document is there; never null.
	Missing []evidence.Kind `json:"missing"`
	// Others counts the referrers of other kinds.
	Others int `json:"others"`

	of []string // digests by which documents may name it, of an index those of its images
}

// Attached is one artifact.
type Attached struct {
	Kind   evidence.Kind `json:"kind"` // "" where that cannot be read
	Digest string        `json:"digest"`
	State  State         `json:"state"`
	// Signer is the key that is said to have signed it, "" if nobody has.
	Signer string `json:"signer"`
	// Verified is whether the signature is by the key that was asked for; false if none was.
	Verified bool   `json:"verified"`
	Why      string `json:"why"` // the state is not valid
	// Summary says in lines what the document says; never null.
	Summary []string `json:"summary"`

	document evidence.Document
}

// Options are how an image is looked at.
type Options struct {
	Registry registry.Options
	Key      *sign.Public // that must have signed, nil checks no signature
}

// Unread is the report on an image that could not be read.
func Unread(ref string, err error) Report {
	return Report{Ref: ref, Images: []Image{}, Error: err.Error()}
}

// Look reads what is attached to an image in a registry. The error means that it could not be
// read; what is not as it should be is in the report.
func Look(ctx context.Context, ref string, o Options) (Report, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return Report{}, hint.Usage(fmt.Sprintf("%q: %v", ref, err), "evidence is attached in a registry: registry/repo:tag or registry/repo@sha256:...")
	}
	client, err := registry.New(ctx, parsed.Context(), o.Registry)
	if err != nil {
		return Report{}, err
	}
	refs, err := referrer.Open(parsed.Context(), client)
	if err != nil {
		return Report{}, err
	}
	l := looker{refs, o.Key}
	images, err := l.subjects(ctx, parsed, client)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	r := Report{Ref: ref, Digest: images[0].Digest, State: Valid, Images: images}
	if o.Key != nil {
		r.Key = o.Key.Hint()
	}
	for i := range r.Images {
		if err := l.look(ctx, &r.Images[i]); err != nil {
			return Report{}, fmt.Errorf("%s: %w", ref, err)
		}
		if r.Images[i].State != Valid {
			r.State = Incomplete
		}
	}
	return r, nil
}

const indexPlatform = "index"

// subjects are an index and the images in it, or one image.
func (l looker) subjects(ctx context.Context, ref name.Reference, client *registry.Client) ([]Image, error) {
	got, err := remote.Get(ref, client.Remote()...)
	if err != nil {
		return nil, err
	}
	if !got.MediaType.IsIndex() {
		img, err := got.Image()
		if err != nil {
			return nil, err
		}
		config, err := image.Config(img)
		if err != nil {
			return nil, err
		}
		of, err := digests(got.Digest, got.Manifest, got.MediaType)
		return []Image{{Digest: got.Digest.String(), Platform: platform(config.Platform()), of: of}}, err
	}
	index, err := image.ParseIndex(got.Manifest, got.MediaType)
	if err != nil {
		return nil, err
	}
	all := []Image{{Digest: got.Digest.String(), Platform: indexPlatform, of: []string{}}}
	for _, d := range index.Manifests {
		if !d.MediaType.IsImage() || d.Platform != nil && d.Platform.OS == "unknown" { // what buildx says about an image, as one more image
			continue
		}
		raw, mediaType, err := l.refs.Manifest(ctx, d.Digest)
		if err != nil {
			return nil, err
		}
		of, err := digests(d.Digest, raw, mediaType)
		if err != nil {
			return nil, err
		}
		all[0].of = append(all[0].of, of...)
		all = append(all, Image{Digest: d.Digest.String(), Platform: platform(d.Platform), of: of})
	}
	return all, nil
}

// digests are those by which documents may name an image: of its manifest and its configuration.
func digests(digest v1.Hash, raw []byte, mediaType types.MediaType) ([]string, error) {
	m, err := image.ParseManifest(raw, mediaType)
	if err != nil {
		return nil, err
	}
	return []string{digest.String(), m.Config.Digest.String()}, nil
}

// platform is one in words, "" where it is not known.
func platform(p *v1.Platform) string {
	if p == nil {
		return ""
	}
	return p.String()
}

type looker struct {
	refs *referrer.Repository
	key  *sign.Public
}

// look reads what is attached to one image and judges it.
func (l looker) look(ctx context.Context, img *Image) error {
	subject, err := v1.NewHash(img.Digest)
	if err != nil {
		return err
	}
	list, err := l.refs.List(ctx, subject)
	if err != nil {
		return err
	}
	img.Documents = []Attached{}
	for _, f := range list {
		a, err := l.refs.Read(ctx, f)
		if unread(err) {
			return fmt.Errorf("%s: %w", f.Digest, err)
		}
		if d, ours := l.open(f, a, err); ours {
			img.Documents = append(img.Documents, d)
		} else {
			img.Others++
		}
	}
	order := append(evidence.Kinds(), Signature, "")
	slices.SortStableFunc(img.Documents, func(a, b Attached) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	img.judge(l.key != nil)
	return nil
}

// unread reports an error by which an artifact could not be read: it may be as it should. Others are of
// one that is damaged, or that the registry has no more.
func unread(err error) bool {
	var said *transport.Error
	if errors.As(err, &said) {
		return said.StatusCode != http.StatusNotFound
	}
	return errors.As(err, new(*url.Error)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// open makes a document of an artifact, and reports whether it is of a kind that we know.
func (l looker) open(f referrer.Found, a referrer.Artifact, damage error) (d Attached, ours bool) {
	if !slices.Contains([]string{sign.BundleType, evidence.InToto, evidence.SPDX}, f.Type) {
		return d, false
	}
	d = Attached{Digest: f.Digest, State: Valid, Summary: []string{}}
	if damage != nil {
		d.State, d.Why = Damaged, damage.Error()
		return d, true
	}
	of, data := a.Type, a.Data
	if of == sign.BundleType {
		var err error
		if data, d.Signer, err = sign.Payload(data); err != nil {
			d.State, d.Why = Damaged, err.Error()
			return d, true
		}
		of = evidence.InToto
		if l.key != nil {
			_, err = l.key.Open(a.Data)
			d.Verified = err == nil
		}
		d.Signer = cmp.Or(d.Signer, "a key without a name")
	}
	return d.parse(of, data)
}
