// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/recipes"
)

// mmdebstrapArgs are common to every call for an OS. Documentation is left out of
// the root, and of everything installed on it later, but licences stay.
func mmdebstrapArgs(o recipes.OS, platform string) []string {
	return []string{
		"--variant=minbase", "--format=tar", // with --quiet it would not tell what apt says
		"--architectures=" + strings.TrimPrefix(platform, "linux/"),
		"--components=" + strings.Join(o.Bootstrap.Components, ","),
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-include=/usr/share/locale/locale.alias",
	}
}

// Hooks of mmdebstrap, run by a shell with the root as $1. They find the build's folder
// in the environment: in its path no character means anything to them.
const (
	copySources = `cp "$1/etc/apt/sources.list" "$CUDABUILD_DIR/sources.list"; exit 1`
	copyLists   = `cp -R "$1/var/lib/apt/lists" "$CUDABUILD_DIR"`
	putAuth     = `if [ -s "$CUDABUILD_DIR/auth.conf" ]; then mkdir -p "$1/etc/apt"; cp "$CUDABUILD_DIR/auth.conf" "$1/etc/apt/auth.conf"; fi`
	dropAuth    = `if [ -s "$CUDABUILD_DIR/auth.conf" ]; then rm "$1/etc/apt/auth.conf"; fi`
	putSources  = `cat "$CUDABUILD_DIR/sources.list" >"$1/etc/apt/sources.list"`
)

// surroundings are the environment of mmdebstrap and its hooks: where dir is, and the
// programs of the system alone. It starts a Python program for each package that it unpacks,
// which a user's own Python on PATH makes slow, or other.
func surroundings(dir string) []string {
	return []string{"TMPDIR=" + dir, "CUDABUILD_DIR=" + dir, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

// make runs mmdebstrap and puts the root and the index into the store.
func (s *Store) make(ctx context.Context, o recipes.OS, platform string, src sources) (Base, error) {
	s.Log.Info("bootstrapping", "os", o.Name, "suite", o.Bootstrap.Suite, "date", src.epoch())
	dir, err := os.MkdirTemp(s.dir, "make-")
	if err != nil {
		return Base{}, err
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(src.own), 0o644),
		os.WriteFile(filepath.Join(dir, "auth.conf"), []byte(src.auth), 0o600),
		os.Mkdir(filepath.Join(dir, "lists"), 0o755),
	); err != nil {
		return Base{}, err
	}
	b := Base{OS: o.Name, Platform: platform, Dates: src.dates, Epoch: src.epoch(), Tools: tools(ctx)}
	createdBy := fmt.Sprintf("mmdebstrap --variant=minbase %s # %s", o.Bootstrap.Suite, strings.Join(o.Bootstrap.Components, " "))
	b.Root, err = s.image(ctx, b, createdBy, func(w io.Writer) error {
		return mmdebstrap(ctx, o, b, src.used, dir, w)
	})
	if err != nil {
		return Base{}, err
	}
	if err := src.unmirror(filepath.Join(dir, "lists")); err != nil {
		return Base{}, err
	}
	b.Lists, err = s.image(ctx, b, "package lists of "+o.Name, func(w io.Writer) error {
		return writeIndex(w, dir, b.Epoch)
	})
	return b, err
}

// mmdebstrap writes the root's tar to w and copies its package lists to dir/lists.
// The hooks use the build's own sources.list and put the distribution's back.
func mmdebstrap(ctx context.Context, o recipes.OS, b Base, used, dir string, w io.Writer) error {
	args := append(mmdebstrapArgs(o, b.Platform), "--setup-hook="+putAuth, // there is no other way past the command line
		"--customize-hook="+copyLists, "--customize-hook="+putSources, "--customize-hook="+dropAuth, "--", o.Bootstrap.Suite, "-")
	args = append(args, strings.Split(strings.TrimSpace(used), "\n")...)
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return err
	}
	cmd := contain.Command(program, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.Epoch.Unix()), "LC_ALL=C.UTF-8")
	cmd.Env = append(cmd.Env, surroundings(dir)...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := contain.Run(ctx, cmd, nil); err != nil {
		return mmdebstrapError(err, stderr.String())
	}
	return nil
}

// mmdebstrapError is its failure with the cause that it tells, or else its last lines.
func mmdebstrapError(err error, output string) error {
	why := cause.Find(output)
	switch {
	case why == nil:
		return fmt.Errorf("mmdebstrap: %w\n%s", err, lastLines(output, 12))
	case why.Outage() && !errors.Is(why, unix.ENOSPC):
		return fmt.Errorf("mmdebstrap: %w (%w)", &UnreachableError{What: "the package repositories", Err: why}, err)
	}
	return fmt.Errorf("mmdebstrap: %w (%w)", why, err)
}

// image stores a one-layer image of the tar that write makes and returns its manifest's digest.
func (s *Store) image(ctx context.Context, b Base, createdBy string, write func(io.Writer) error) (digest.Digest, error) {
	layer, diffID, err := s.layer(ctx, b.Platform+" "+createdBy, write)
	if err != nil {
		return "", err
	}
	config := ocispec.Image{
		Created:  &b.Epoch,
		Platform: platforms.MustParse(b.Platform),
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []ocispec.History{{Created: &b.Epoch, CreatedBy: createdBy}},
	}
	configDesc, err := s.writeJSON(ctx, ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return "", err
	}
	manifest, err := s.writeJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    configDesc,
		Layers:    []ocispec.Descriptor{layer},
	})
	return manifest.Digest, err
}

// layer compresses what write makes straight into the store. Two layers that are
// written at the same time need two names.
func (s *Store) layer(ctx context.Context, name string, write func(io.Writer) error) (desc ocispec.Descriptor, diffID digest.Digest, err error) {
	blob, err := content.OpenWriter(ctx, s.content, content.WithRef("layer "+name))
	if err != nil {
		return desc, "", err
	}
	defer blob.Close()
	if err := blob.Truncate(0); err != nil {
		return desc, "", err
	}
	counted := &countingWriter{w: blob}
	// One goroutine: the bytes must not depend on the number of processors.
	zw, err := zstd.NewWriter(counted, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return desc, "", err
	}
	raw := digest.Canonical.Digester()
	if err := write(io.MultiWriter(zw, raw.Hash())); err != nil {
		return desc, "", err
	}
	if err := zw.Close(); err != nil {
		return desc, "", err
	}
	desc = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerZstd, Digest: blob.Digest(), Size: counted.n}
	return desc, raw.Digest(), commit(ctx, blob, desc)
}

func (s *Store) writeJSON(ctx context.Context, mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return desc, content.WriteBlob(ctx, s.content, desc.Digest.String(), bytes.NewReader(data), desc)
}

func lastLines(out string, n int) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
