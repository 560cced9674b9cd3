// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/sign"
	"github.com/cudabuild/cudabuild/verify"
)

// State is what a document, or an image, is worth.
type State string

// The states. An image is [Valid] or [Incomplete].
const (
	Valid      State = "valid"
	Incomplete State = "incomplete" // something is missing, or does not hold
	Unsigned   State = "unsigned"   // or by others: not signed by the key that was asked for
	Stale      State = "stale"      // held once: it is by rules or a policy of another time, or goes by documents that are not there
	Failed     State = "failed"     // it does not say that the image passed, or leaves out some of it
	Strange    State = "foreign"    // it is about another digest
	Damaged    State = "damaged"
)

// Report is what is attached to an image and to those of its platforms, as
// `verify --attestations --json` prints it.
type Report struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // of the manifest or index, "" if it could not be read
	// Repository is as documents name it that are made for it, "" if it could not be read.
	Repository string `json:"repository"`
	State      State  `json:"state"` // "" if it could not be read
	// Key names the key that was asked for, "" if none was.
	Key string `json:"key"`
	// Policy is the digest of the policy that was asked for, "" if none was.
	Policy string `json:"policy"`
	// Images are the index, if it is one, and the images of its platforms; never null.
	Images []Image `json:"images"`
	// Skipped are the entries of an index that were not looked at; never null.
	Skipped []Skipped `json:"skipped"`
	Error   string    `json:"error"` // why it could not be read
}

// Skipped is an entry of an index that is no image of a platform.
type Skipped struct {
	Digest string `json:"digest"`
	Is     string `json:"is"`
	// Hides is whether images of platforms may be in it: the evidence of the index is not complete then.
	Hides bool `json:"hides"`
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
	// Bad says what is wrong with the list of what is attached, which is left out; never null.
	Bad []string `json:"bad"`

	of []evidence.Image // itself, or the images of an index
}

// Attached is one artifact.
type Attached struct {
	Kind   evidence.Kind `json:"kind"` // "" where that cannot be read
	Digest string        `json:"digest"`
	State  State         `json:"state"`
	// Repository is the one that the document names, "" where it names none: that where it was attached first, of
	// an image that was copied.
	Repository string `json:"repository"`
	// Signer is the key that is said to have signed it, "" if nobody has.
	Signer string `json:"signer"`
	// Verified is whether the signature is by the key that was asked for; false if none was.
	Verified bool   `json:"verified"`
	Why      string `json:"why"` // the state is not valid
	// Summary says in lines what the document says; never null.
	Summary []string `json:"summary"`

	said said
}

// Options are how an image is looked at.
type Options struct {
	Registry registry.Options
	Key      *sign.Public // that must have signed, nil checks no signature
	Policy   string       // digest of the policy that the summary must be by, "" takes any
}

// Unread is the report on an image that could not be read.
func Unread(ref string, err error) Report {
	return Report{Ref: ref, Images: []Image{}, Skipped: []Skipped{}, Error: err.Error()}
}

// Look reads what is attached to an image in a registry. The error means that it could not be
// read; what is not as it should be is in the report.
func Look(ctx context.Context, ref string, o Options) (Report, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return Report{}, hint.Usage(fmt.Sprintf("%q: %v", ref, err), "evidence is attached in a registry: registry/repo:tag or registry/repo@sha256:...")
	}
	l, err := NewLooker(ctx, parsed.Context(), o)
	if err != nil {
		return Report{}, err
	}
	return l.Look(ctx, parsed)
}

// Looker looks at images of one repository. Several may be looked at together: they log in once, and one document is in
// memory at a time.
type Looker struct {
	Options

	puller *remote.Puller
	refs   *referrer.Repository
	one    sync.Mutex // is held by who reads a document, which has several times its size in memory then
}

// NewLooker returns one for a repository, which uses ctx for all requests.
func NewLooker(ctx context.Context, repo name.Repository, o Options) (*Looker, error) {
	client, err := registry.New(ctx, repo, o.Registry)
	if err != nil {
		return nil, err
	}
	refs, err := referrer.Open(repo, client)
	if err != nil {
		return nil, err
	}
	puller, _, err := client.Remotes(remote.WithTransport(image.Bounded(client)))
	return &Looker{Options: o, puller: puller, refs: refs}, err
}

// Current returns what a reference of the repository names, nil if it names nothing.
func (l *Looker) Current(ctx context.Context, ref name.Reference) (*v1.Descriptor, error) {
	return registry.Current(ctx, l.puller, ref)
}

// Look is [Look] at an image of the repository.
func (l *Looker) Look(ctx context.Context, ref name.Reference) (Report, error) {
	r := Report{Ref: ref.String(), Repository: ref.Context().Name(), State: Valid, Policy: l.Policy, Skipped: []Skipped{}}
	if l.Key != nil {
		r.Key = l.Key.Hint()
	}
	if err := l.subjects(ctx, ref, &r); err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	r.Digest = r.Images[0].Digest
	for i := range r.Images {
		if err := l.look(ctx, &r.Images[i]); err != nil {
			return Report{}, fmt.Errorf("%s: %w", ref, err)
		}
	}
	if slices.ContainsFunc(r.Images, func(i Image) bool { return i.State != Valid }) || slices.ContainsFunc(r.Skipped, func(s Skipped) bool { return s.Hides }) {
		r.State = Incomplete
	}
	return r, nil
}

const indexPlatform = "index"

// subjects finds an index and the images in it, or one image.
func (l *Looker) subjects(ctx context.Context, ref name.Reference, r *Report) error {
	got, err := l.puller.Get(ctx, ref)
	if err != nil {
		return err
	}
	if !got.MediaType.IsIndex() {
		img, err := got.Image()
		if err != nil {
			return err
		}
		config, err := image.Config(img)
		if err != nil {
			return err
		}
		of, err := known(got.Digest, got.Manifest, got.MediaType)
		r.Images = []Image{{Digest: got.Digest.String(), Platform: platform(config.Platform()), of: []evidence.Image{of}}}
		return err
	}
	index, err := image.ParseIndex(got.Manifest, got.MediaType)
	if err != nil {
		return err
	}
	r.Images = []Image{{Digest: got.Digest.String(), Platform: indexPlatform, of: []evidence.Image{}}}
	for _, d := range index.Manifests {
		if is := noImage(d); is != "" {
			r.Skipped = append(r.Skipped, Skipped{d.Digest.String(), is, d.MediaType.IsIndex()})
			continue
		}
		raw, mediaType, err := l.refs.Manifest(ctx, d.Digest)
		if err != nil {
			return err
		}
		of, err := known(d.Digest, raw, mediaType)
		if err != nil {
			return err
		}
		r.Images[0].of = append(r.Images[0].of, of)
		r.Images = append(r.Images, Image{Digest: d.Digest.String(), Platform: platform(d.Platform), of: []evidence.Image{of}})
	}
	return nil
}

// noImage says what an entry of an index is that is no image of a platform; "" of one that is.
func noImage(d v1.Descriptor) string {
	switch {
	case d.MediaType.IsIndex():
		return "an index in the index"
	case !d.MediaType.IsImage():
		return fmt.Sprintf("a %.100q", d.MediaType)
	case d.Platform != nil && d.Platform.OS == "unknown": // what buildx says about an image, as one more image
		return "of no platform"
	}
	return ""
}

// known is an image as documents name it.
func known(digest v1.Hash, raw []byte, mediaType types.MediaType) (evidence.Image, error) {
	m, err := image.ParseManifest(raw, mediaType)
	if err != nil {
		return evidence.Image{}, err
	}
	return evidence.Image{Digest: digest.String(), Config: m.Config.Digest.String()}, nil
}

// platform is one in words, "" where it is not known.
func platform(p *v1.Platform) string {
	if p == nil {
		return ""
	}
	return p.String()
}

// ours are the types of artifacts that may hold a document of ours.
var ours = []string{sign.BundleType, evidence.InToto, evidence.SPDX}

// look reads what is attached to one image and judges it.
func (l *Looker) look(ctx context.Context, img *Image) error {
	subject, err := v1.NewHash(img.Digest)
	if err != nil {
		return err
	}
	list, err := l.refs.List(ctx, subject)
	if err != nil {
		return err
	}
	now := evidence.Known{Rules: verify.RulesVersion(), Policy: l.Policy, Images: img.of}
	opened, ours := make([]Attached, len(list)), make([]bool, len(list))
	err = registry.Each(ctx, len(list), func(ctx context.Context, i int) (err error) {
		if opened[i], ours[i], err = l.open(ctx, list[i], now); err != nil {
			return fmt.Errorf("%s: %w", list[i].Digest, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	img.Documents, img.Bad = []Attached{}, []string{}
	for i, f := range list {
		switch {
		case f.Digest == "":
			img.Bad = append(img.Bad, f.Wrong)
		case ours[i]:
			img.Documents = append(img.Documents, opened[i])
		default:
			img.Others++
		}
	}
	order := append(evidence.Kinds(), "")
	slices.SortStableFunc(img.Documents, func(a, b Attached) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	img.judge(l.Key != nil)
	return nil
}

// open reads an artifact, and reports whether it is a document of ours. Of what the key that is asked for has not signed
// nothing is read but the signature: who has pushed it may have meant harm.
func (l *Looker) open(ctx context.Context, f referrer.Found, now evidence.Known) (d Attached, is bool, err error) {
	if !slices.Contains(ours, f.Type) {
		return d, false, nil
	}
	kind, named := named(f)
	d = Attached{Kind: kind, Digest: f.Digest, State: Valid, Summary: []string{}}
	if l.Key != nil && f.Type != sign.BundleType {
		return d.unsigned("nobody has signed it"), kind != "", nil
	}
	a, err := l.refs.Read(ctx, f)
	switch {
	case registry.Unread(err):
		return d, false, err
	case errors.Is(err, referrer.ErrShape):
		return d, false, nil
	case err != nil:
		return d.damaged(err), true, nil
	}
	l.one.Lock()
	defer l.one.Unlock()
	if a.Type != sign.BundleType {
		d, is = d.parse(a.Type, a.Data, now)
		return d, is, nil
	}
	b, err := sign.Read(a.Data)
	if err != nil {
		return d.damaged(err), !errors.Is(err, sign.ErrOther), nil
	}
	d.Signer = cut(cmp.Or(b.Hint, "a key without a name"))
	if d.Verified = l.Key != nil && l.Key.HasSigned(b); l.Key != nil && !d.Verified {
		return d.unsigned("signed by another key, or changed since"), kind != "" || !named, nil
	}
	d, is = d.parse(evidence.InToto, b.Statement, now)
	return d, is, nil
}

// named is the kind of an artifact by its annotations, "" if they name none of ours, and whether they name any.
func named(f referrer.Found) (kind evidence.Kind, is bool) {
	of := cmp.Or(f.Annotations[sign.PredicateAnnotation], f.Annotations[predicateAnnotation])
	return evidence.KindOf(of), of != ""
}
