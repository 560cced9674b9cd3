// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// judge lets an image through to its tags, or keeps it aside.
func (r *run) judge(ctx context.Context, t *task, b built) error {
	t.result.Digest = b.desc.Digest.String()
	size, err := r.Images.Size(ctx, b.desc)
	if err != nil {
		return err
	}
	t.result.SizeBytes = size
	report, err := r.verify(ctx, t, b)
	if err != nil {
		return &stageError{record.StageVerify, err}
	}
	t.result.Images = []verify.Report{report}
	if reason := refusal(report); reason != "" {
		if err := r.keepFailed(ctx, b); err != nil {
			return err
		}
		return &stageError{record.StageVerify, errors.New(reason)}
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	return r.tag(t.cell.Tags, b)
}

func (r *run) verify(ctx context.Context, t *task, b built) (report verify.Report, err error) {
	done := func(error) {}
	if !b.cached {
		done = r.Display.Step("[" + t.cell.ID + "] verify")
	}
	defer func() { done(err) }()
	img, err := r.Images.Image(b.desc)
	if err != nil {
		return report, err
	}
	return r.Gate.Image(ctx, t.cell.Tags[0], img)
}

// refusal says in one line why an image may not pass, "" if it may.
func refusal(report verify.Report) string {
	switch report.Verdict {
	case verify.Pass, verify.Warn:
		return ""
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
	return text
}

// tag moves all tags of an image at once.
func (r *run) tag(fullNames []string, b built) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Images.Tag(b.desc, fullNames...)
}

// keepFailed puts a refused image into the layout of failed images, by digest.
func (r *run) keepFailed(ctx context.Context, b built) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		failed, err := image.OpenStore(r.Failed)
		if err != nil {
			return err
		}
		r.failed = failed
	}
	if err := r.Images.CopyTo(ctx, r.failed, b.desc); err != nil {
		return err
	}
	return r.failed.Keep(b.desc)
}

func (r *run) closeFailed() error {
	if r.failed == nil {
		return nil
	}
	return r.failed.Close()
}
