// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
)

// Known returns the root that an earlier call of Base has left; with a Lock, the lock's.
func (s *Store) Known(ctx context.Context, r *recipes.Recipe, platform string) (Base, bool) {
	known, ok := s.load(s.recordPath(r.OS.Name, platform))
	if s.Lock != nil {
		want, _ := s.Lock.Root(lock.System{OS: r.OS.Name, Platform: platform})
		known, ok = s.Find(ctx, want.System, want.Digest, want.Index)
	}
	return known, ok && known.Recipe == recipeDigest(r, platform) && s.whole(ctx, known)
}

// Find returns the base of which these are the digests of root and lists, though it may not be
// the newest any more.
func (s *Store) Find(ctx context.Context, of lock.System, root, lists string) (Base, bool) {
	newest := s.recordPath(of.OS, of.Platform)
	for _, path := range []string{keptPath(newest, root, lists), newest} { // the newest may be of an earlier cudabuild
		b, ok := s.load(path)
		if ok && b.Root.String() == root && b.Lists.String() == lists && s.whole(ctx, b) {
			return b, true
		}
	}
	return Base{}, false
}

func (s *Store) recordPath(os, platform string) string {
	return filepath.Join(s.dir, os+"-"+strings.ReplaceAll(platform, "/", "-")+".json")
}

// keptPath is where a base of these digests keeps its record when it is not the newest.
func keptPath(newest, root, lists string) string {
	return strings.TrimSuffix(newest, ".json") + "-" + digest.FromString(root + lists).Encoded()[:16] + ".json"
}

func (s *Store) load(path string) (Base, bool) {
	var b Base
	data, err := os.ReadFile(path)
	return b, err == nil && json.Unmarshal(data, &b) == nil
}

// save keeps the record of a base, and makes it the newest unless it is a lock's.
func (s *Store) save(b Base) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	newest := s.recordPath(b.OS, b.Platform)
	if err := files.Write(keptPath(newest, b.Root.String(), b.Lists.String()), data); err != nil || s.Lock != nil {
		return err
	}
	return files.Write(newest, data)
}

// whole reports whether every blob of a base is still in the store.
func (s *Store) whole(ctx context.Context, b Base) bool {
	for _, d := range []digest.Digest{b.Root, b.Lists} {
		var manifest ocispec.Manifest
		if s.readJSON(ctx, d, &manifest) != nil {
			return false
		}
		blobs := append(manifest.Layers, manifest.Config)
		if d == b.Root && b.Image != "" {
			blobs = blobs[len(manifest.Layers):]
		}
		for _, blob := range blobs {
			info, err := s.content.Info(ctx, blob.Digest)
			if err == nil && info.Size != blob.Size { // damaged: in the way of a whole one
				_ = s.content.Delete(ctx, blob.Digest)
			}
			if err != nil || info.Size != blob.Size {
				return false
			}
		}
	}
	return true
}

func (s *Store) readJSON(ctx context.Context, d digest.Digest, value any) error {
	info, err := s.content.Info(ctx, d)
	if err != nil {
		return err
	}
	data, err := content.ReadBlob(ctx, s.content, ocispec.Descriptor{Digest: d, Size: info.Size})
	if err != nil {
		return err
	}
	return json.Unmarshal(data, value)
}
