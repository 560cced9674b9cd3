// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/verify"
)

// builtImages are the images that runs have left beside their records.
type builtImages struct {
	layouts []*image.Layout
	problem error // of a folder that is there and cannot be read
}

// imageDirs are the folders beside a record that hold its images, and those that failed.
var imageDirs = []string{"images", "failed"}

// openBuilt opens the folders beside records that have images, of failed ones as well.
func openBuilt(records []string) (b builtImages) {
	for _, file := range records {
		for _, dir := range imageDirs {
			layout, err := image.OpenLayout(filepath.Join(filepath.Dir(file), dir))
			switch {
			case err == nil:
				b.layouts = append(b.layouts, layout)
			case !errors.Is(err, fs.ErrNotExist):
				b.problem = errors.Join(b.problem, err)
			}
		}
	}
	return b
}

// find returns the image of one platform that has a digest; the error is fs.ErrNotExist if none has.
func (b builtImages) find(hash string) (v1.Image, string, error) {
	for _, layout := range b.layouts {
		img, err := layout.Image(ocispec.Descriptor{Digest: digest.Digest(hash)})
		if !errors.Is(err, fs.ErrNotExist) {
			return img, "oci:" + layout.Dir() + "@" + hash, err
		}
	}
	return nil, "", fs.ErrNotExist
}

// readBuilt reads what is in the images of a record and what they need, as far as they lie beside it. That they do not is no
// problem: a record may be of another machine. The error is the end of ctx.
func readBuilt(ctx context.Context, run *runFiles, verifier *verify.Verifier, show publish.Show, in *report.Input) error {
	built := run.built
	var all []string
	for _, cell := range run.Cells {
		for _, img := range cell.Images {
			if img.Digest != "" {
				all = append(all, img.Digest)
			}
		}
	}
	gone := "the image is not beside the record any more"
	switch {
	case built.problem != nil:
		gone = "images beside the record could not be read"
	case len(built.layouts) == 0:
		gone = "no images lie beside the record"
	}
	source := report.Source{Kind: "images", Name: filepath.Join(filepath.Dir(run.files[0]), "images")}
	in.Contents, in.Reports, in.Unread = map[string]contents.Image{}, map[string]verify.Report{}, map[string]string{}
	var one sync.Mutex
	problems := make([]error, len(all))
	m := show.Begin("images", len(all), 0)
	each(len(all), func(i int) {
		defer m.Add(1, 0)
		held, judged, err := built.read(ctx, verifier, all[i])
		one.Lock()
		defer one.Unlock()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			in.Unread[all[i]] = gone
		case err != nil: // it is there, and not whole: what the record says of it holds no longer
			in.Unread[all[i]], in.Reports[all[i]] = err.Error(), verify.Unread(all[i], err)
			problems[i] = fmt.Errorf("%s: %w", all[i], err)
		default:
			in.Contents[all[i]], in.Reports[all[i]] = held, judged
			if judged.Error != "" {
				problems[i] = fmt.Errorf("%s: %s", all[i], judged.Error)
			}
		}
	})
	m.End(ctx.Err())
	source.Says = "there is none to read"
	if len(all) > 0 {
		source.Says = fmt.Sprintf("%d of %s read", len(in.Contents), counted(len(all), "image"))
	}
	problems = slices.DeleteFunc(append(problems, built.problem), func(err error) bool { return err == nil })
	if len(problems) > 0 {
		source.Problem, source.Do = problems[0].Error(), hint.Of(problems[0])
	}
	if more := len(problems) - 1; more > 0 {
		source.Problem += fmt.Sprintf(", and %d more", more)
	}
	in.Sources = append(in.Sources, source)
	return ctx.Err()
}

// read reads an image. The error is fs.ErrNotExist if it is not there; another one, or one in what is judged, if it is not whole.
func (b builtImages) read(ctx context.Context, verifier *verify.Verifier, hash string) (held contents.Image, judged verify.Report, err error) {
	img, ref, err := b.find(hash)
	if err != nil {
		return held, judged, err
	}
	if held, err = contents.Read(ctx, verifier, ref, img); err == nil {
		judged, err = verifier.Image(ctx, ref, img)
	}
	if err == nil && judged.Verdict == verify.Unknown {
		err = errors.New(whyUnknown(judged))
	}
	if err != nil { // also of a blob that is not there, as the image is. Without its name: images that lack one layer have one reason
		err = errors.New("it is not whole: " + strings.ReplaceAll(err.Error(), ref+": ", ""))
	}
	return held, judged, err
}

// whyUnknown says what of an image could not be read.
func whyUnknown(r verify.Report) string {
	if i := slices.IndexFunc(r.Findings, func(f verify.Finding) bool { return f.Rule == "unreadable" && f.Layer != nil }); r.Error == "" && i >= 0 {
		return fmt.Sprintf("layer %d: %s", r.Findings[i].Layer.Index, r.Findings[i].Detail)
	}
	return r.Error
}
