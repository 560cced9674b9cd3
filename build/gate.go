// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// gate lets an image through to its tags, or keeps it aside.
func (r *run) gate(ctx context.Context, t *task, x index) error {
	t.result.Digest = x.desc.Digest.String()
	size, err := r.Images.Size(ctx, x.desc)
	if err != nil {
		return err
	}
	t.result.SizeBytes = size
	errs := make([]error, len(x.images))
	for _, b := range x.images {
		t.result.Made = append(t.result.Made, b.made)
	}
	for i, b := range x.images {
		report, err := r.verify(ctx, t.manifests[i], b)
		if err != nil {
			return &stageError{record.StageVerify, t.manifests[i].failure(err)}
		}
		t.result.Images = append(t.result.Images, report)
		refused := refusal(report)
		if refused == nil {
			strays, err := r.strays(ctx, t.manifests[i], b)
			if err != nil {
				return &stageError{record.StageVerify, t.manifests[i].failure(err)}
			}
			if strays != "" {
				refused = &straysError{strays, r.Failed}
			}
		}
		errs[i] = t.manifests[i].failure(refused)
	}
	if refused := failures(errs); refused != nil {
		if err := r.keepFailed(ctx, x.desc); err != nil {
			return err
		}
		return &stageError{record.StageVerify, refused}
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	return r.tag(t.cell.Tags, x.desc)
}

func (r *run) verify(ctx context.Context, m *manifest, b built) (report verify.Report, err error) {
	done := func(error) {}
	if !b.cached {
		done = r.Display.Step("[" + m.name() + "] verify")
	}
	defer func() { done(err) }()
	img, err := r.Images.Image(b.desc)
	if err != nil {
		return report, err
	}
	return r.Gate.Image(ctx, m.cell.Tags[0], img)
}

// refusal says in one line why an image may not pass, nil if it may.
func refusal(report verify.Report) error {
	switch report.Verdict {
	case verify.Pass, verify.Warn:
		return nil
	}
	text, more := string(report.Verdict), -1
	for _, f := range report.Findings {
		if f.Severity != verify.SeverityFail && report.Verdict == verify.Fail {
			continue
		}
		if more++; more == 0 {
			text = fmt.Sprintf("%s %s", f.Rule, f.Path)
			if f.Layer != nil {
				text += fmt.Sprintf(" in layer %d", f.Layer.Index)
			}
		}
	}
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return errors.New(text)
}

// tag moves all tags of a cell at once.
func (r *run) tag(fullNames []string, desc ocispec.Descriptor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Images.Tag(desc, fullNames...)
}

// keepFailed puts a refused image into the layout of failed images, by digest.
func (r *run) keepFailed(ctx context.Context, desc ocispec.Descriptor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		failed, err := image.OpenStore(r.Failed)
		if err != nil {
			return err
		}
		r.failed = failed
	}
	if err := r.Images.CopyTo(ctx, r.failed, desc); err != nil {
		return err
	}
	return r.failed.Keep(desc)
}

func (r *run) closeFailed() error {
	if r.failed == nil {
		return nil
	}
	return r.failed.Close()
}
