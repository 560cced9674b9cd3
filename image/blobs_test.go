// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

func TestBlobs(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	top := layer(imagetest.Zstd, "top")
	desc := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "bottom"), top))
	blobs, err := s.Blobs(t.Context(), desc)
	if err != nil || len(blobs) != 4 {
		t.Fatalf("Blobs = %v, %v, want manifest, config and two layers", blobs, err)
	}
	var sum int64
	for _, blob := range blobs {
		sum += blob.Size
	}
	if size, err := s.Size(t.Context(), desc); err != nil || size != sum {
		t.Errorf("Size = %d, %v, want %d", size, err, sum)
	}
	path := blobFile(s, digest.Digest(top.Want.String()))
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs(t.Context(), desc); err == nil || !strings.Contains(err.Error(), top.Want.String()) || !strings.Contains(err.Error(), "3 bytes") {
		t.Errorf("Blobs with a cut layer: %v, want its digest and size", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs(t.Context(), desc); err == nil || !strings.Contains(err.Error(), top.Want.String()) {
		t.Errorf("Blobs without a layer: %v, want its digest", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	shared, own := layer(imagetest.Gzip, "shared"), layer(imagetest.Gzip, "own")
	kept := put(t, s.Content(), imagetest.New(shared))
	dropped := put(t, s.Content(), imagetest.New(shared, own))
	mustTag(t, s, "cuda:kept", kept)

	would, err := s.Prune(t.Context(), true)
	if err != nil || would.Blobs != 3 || would.Bytes <= 0 {
		t.Errorf("Prune(dry) = %+v, %v, want manifest, config and one layer", would, err)
	}
	if _, err := s.Blobs(t.Context(), dropped); err != nil {
		t.Errorf("a dry run removed something: %v", err)
	}
	did, err := s.Prune(t.Context(), false)
	if err != nil || did != would {
		t.Errorf("Prune = %+v, %v, want %+v", did, err, would)
	}
	if _, err := s.Blobs(t.Context(), kept); err != nil {
		t.Errorf("the tagged image: %v", err)
	}
	if _, err := os.Stat(blobFile(s, digest.Digest(own.Want.String()))); err == nil {
		t.Error("the layer of no image is still there")
	}
	if again, err := s.Prune(t.Context(), false); err != nil || again != (image.Pruned{}) {
		t.Errorf("Prune again = %+v, %v, want nothing", again, err)
	}
}

// TestPruneKeepsAll where it cannot tell what an image needs.
func TestPruneKeepsAll(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	tagged := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "tagged")))
	loose := put(t, s.Content(), imagetest.New(layer(imagetest.Gzip, "loose")))
	mustTag(t, s, "cuda:x", tagged)
	if err := os.Remove(blobFile(s, tagged.Digest)); err != nil {
		t.Fatal(err)
	}
	pruned, err := s.Prune(t.Context(), false)
	if err != nil || pruned.Unknown == nil || pruned.Blobs != 0 {
		t.Errorf("Prune = %+v, %v, want it to name the image", pruned, err)
	}
	if _, err := s.Blobs(t.Context(), loose); err != nil {
		t.Errorf("something was removed: %v", err)
	}
}

func TestAdopting(t *testing.T) {
	t.Parallel()
	engine, s := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	img := imagetest.New(layer(imagetest.Zstd, "adopted"))
	desc := put(t, engine.Content(), img)
	adopting := s.Adopting(engine.Dir())
	put(t, adopting, img)
	blobs, err := s.Blobs(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if !sameFile(t, blobFile(engine, blob.Digest), blobFile(s, blob.Digest)) {
			t.Errorf("blob %s was copied, want a hard link", blob.Digest)
		}
	}
	// What is not there to be linked is written.
	alone := put(t, adopting, imagetest.New(layer(imagetest.Zstd, "alone")))
	if _, err := s.Blobs(t.Context(), alone); err != nil {
		t.Error(err)
	}
	for _, from := range []string{"", "/proc"} { // a given daemon; another file system
		fresh := openStore(t, t.TempDir())
		put(t, fresh.Adopting(from), img)
		if _, err := fresh.Blobs(t.Context(), desc); err != nil {
			t.Errorf("Adopting(%q): %v", from, err)
		}
	}
}

// TestAdoptingHeals: a blob that was cut short must not count as being there.
func TestAdoptingHeals(t *testing.T) {
	t.Parallel()
	engine, s := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	img := imagetest.New(layer(imagetest.Zstd, "cut"))
	desc := put(t, engine.Content(), img)
	for _, from := range []string{engine.Dir(), ""} {
		put(t, s.Adopting(from), img)
		if err := os.Remove(blobFile(s, desc.Digest)); err != nil { // it is linked to the engine's
			t.Fatal(err)
		}
		if err := os.WriteFile(blobFile(s, desc.Digest), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		put(t, s.Adopting(from), img)
		if _, err := s.Blobs(t.Context(), desc); err != nil {
			t.Errorf("Adopting(%q): %v", from, err)
		}
	}
}

func TestCopyTo(t *testing.T) {
	t.Parallel()
	from, to := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	desc := put(t, from.Content(), imagetest.New(layer(imagetest.Zstd, "x"), layer(imagetest.Gzip, "y")))
	for range 2 {
		if err := from.CopyTo(t.Context(), to, desc); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Blobs(t.Context(), desc); err != nil {
		t.Error(err)
	}
	if !sameFile(t, blobFile(from, desc.Digest), blobFile(to, desc.Digest)) {
		t.Error("the manifest was copied, want a hard link")
	}
	if err := os.Remove(blobFile(from, desc.Digest)); err != nil {
		t.Fatal(err)
	}
	if err := from.CopyTo(t.Context(), openStore(t, t.TempDir()), desc); err == nil {
		t.Error("CopyTo of an image that is not whole succeeded")
	}
}

func sameFile(t testing.TB, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}
