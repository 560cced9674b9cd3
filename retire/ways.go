// SPDX-License-Identifier: Apache-2.0

package retire

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/registry"
)

// probe is how the tags begin by which [Retirer.ways] sees what the registry does with tags. They are a run's alone: of two
// runs at once one would take what the other has put back for what the registry left.
const probe = "staging-cudabuild-retire-"

// sweeping is how long removing them may take when the run was interrupted.
const sweeping = 20 * time.Second

// ways is how a registry can be asked to remove something.
type ways struct {
	refusal error // of tags; nil if it removes them
	alone   bool  // it removes a tag, and leaves the image to its other tags
}

// whole reports whether the registry may remove images where it removes no tags. What it does not
// for us, or not now, is no reason to take more than tags.
func (w ways) whole() bool { return registry.Unsupported(w.refusal) }

// ways finds out what the registry removes, by two tags of an image without content, which is this run's alone.
func (r *Retirer) ways(ctx context.Context, done *Done) (w ways, err error) {
	run := strings.ToLower(rand.Text())
	probes := []string{probe + run + "-1", probe + run + "-2"}
	// A refusal says enough. Anything else does not, where tags are looked up first: it is not there.
	if err = r.untag(ctx, probes[0]); registry.Refused(err) {
		return ways{refusal: err}, nil
	}
	if err != nil {
		return w, err
	}
	img := mutate.Annotations(empty.Image, map[string]string{"org.opencontainers.image.title": "cudabuild retire: does a tag go alone? " + run}).(v1.Image)
	digest, err := img.Digest()
	if err != nil {
		return w, err
	}
	defer func() { r.sweep(ctx, probes, digest.String(), done) }()
	for _, tag := range probes {
		if err := r.pusher.Push(ctx, r.repo.Tag(tag), img); err != nil {
			return w, fmt.Errorf("tag %s, to see whether the registry removes tags alone: %w", tag, err)
		}
	}
	if err = r.untag(ctx, probes[0]); registry.Refused(err) {
		return ways{refusal: err}, nil
	}
	if err != nil {
		return w, err
	}
	var now [2]string
	for i, tag := range probes {
		if now[i], err = r.current(ctx, tag); err != nil {
			return w, err
		}
	}
	return ways{alone: now == [2]string{"", digest.String()}}, nil
}

// sweep removes the probes, or says that they stay. Nobody but this run has their image.
func (r *Retirer) sweep(ctx context.Context, probes []string, digest string, done *Done) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweeping)
	defer cancel()
	for _, tag := range probes {
		err := r.untag(ctx, tag)
		if registry.Unsupported(err) {
			err = registry.Remove(ctx, r.pusher, r.repo.Digest(digest), nil)
		}
		if err != nil {
			done.leave(tag, fmt.Sprintf("cudabuild put it there, to see what the registry removes, and it is not removed: %v", err))
		}
	}
}

func (r *Retirer) untag(ctx context.Context, tag string) error {
	return registry.Remove(ctx, r.pusher, r.repo.Tag(tag), nil)
}
