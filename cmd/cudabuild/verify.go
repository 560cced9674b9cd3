// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify"
)

// verifyFlags are the flags of `cudabuild verify`.
type verifyFlags struct {
	asJSON       bool
	allPlatforms bool
	platform     string
	cacheDir     string
	question     question
}

func newVerify() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE...",
		Short: "Judge images: is any piece of the NVIDIA driver in any layer?",
		Long: `Judge images: is any piece of the NVIDIA driver in any layer?

IMAGE is registry/repo:tag, registry/repo@sha256:..., oci:DIR[:TAG], oci-archive:FILE[:TAG]
or docker-archive:FILE[:REF]. oci:DIR without TAG is every image of the layout.

An image that cannot be read has the verdict unknown.
With --driver and --gpu it answers one question instead: will the image run there?

Exit code: 0 pass or warn, 1 fail, 2 usage, 3 unknown or could not check.
For the question: 0 it runs, 1 it does not, 3 it could not tell.`,
		Example: `  cudabuild verify oci:out/images:12.4-base-debian13
  cudabuild verify --driver 535.161.07 --gpu sm_90 oci:out/images:12.4-nbody-debian13
  cudabuild verify --json --all-platforms registry.example.com/team/cuda:12.4-devel`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	flags.BoolVar(&f.allPlatforms, "all-platforms", false, "judge every platform of an index")
	flags.StringVar(&f.platform, "platform", "", "the `OS/ARCH[/VARIANT]` to judge (default: of an index, linux on this machine's architecture)")
	flags.StringVar(&f.cacheDir, "cache-dir", "", "`DIR` that keeps what is known about layers between runs (default: none)")
	cmd.MarkFlagsMutuallyExclusive("platform", "all-platforms")
	f.question.addFlags(cmd)
	return cmd
}

// run judges every image, prints what it learned, and returns what the exit code
// needs: an error for an image that could not be read, else the worst verdict.
func (f *verifyFlags) run(cmd *cobra.Command, refs []string) error {
	if f.platform != "" {
		if err := image.CheckPlatform(f.platform); err != nil {
			return err
		}
	}
	if _, err := f.question.host(); f.question.asked() && err != nil {
		return err
	}
	opts := verify.Options{}
	if f.cacheDir != "" {
		opts.CacheDir = filepath.Clean(f.cacheDir)
	}
	verifier := verify.New(opts)
	reports := []verify.Report{}
	var problems []error
	for _, ref := range refs {
		found, err := f.judge(cmd.Context(), verifier, ref)
		reports = append(reports, found...)
		if err != nil {
			problems = append(problems, err)
		}
	}
	if f.question.asked() {
		return f.question.answer(cmd, f.asJSON, reports, errors.Join(problems...))
	}
	if err := f.print(cmd, reports); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return verifyError(reports, errors.Join(problems...))
}

// judge returns the reports of all images behind one reference, never none: an image
// that could not be read has one too.
func (f *verifyFlags) judge(ctx context.Context, verifier *verify.Verifier, ref string) ([]verify.Report, error) {
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{Platform: f.platform, AllPlatforms: f.allPlatforms})
	if err != nil {
		return []verify.Report{verify.Unread(ref, err)}, err
	}
	defer closer.Close()
	var reports []verify.Report
	var problems []error
	for _, s := range sources {
		report, err := verifier.Image(ctx, s.Ref, s.Image)
		if err != nil {
			report = verify.Unread(s.Ref, err)
			problems = append(problems, err)
		}
		reports = append(reports, report)
	}
	return reports, errors.Join(problems...)
}

// verifyError maps verdicts and problems to an exit code: a leak that was seen
// counts more than an image that could not be.
func verifyError(reports []verify.Report, problem error) error {
	worst := &exitError{}
	if problem != nil {
		worst = &exitError{code: exitUnknown, err: problem, hint: openHint(problem)}
	}
	for _, r := range reports {
		switch {
		case r.Verdict == verify.Fail:
			worst.code = exitFailed
		case r.Verdict == verify.Unknown && worst.code == 0:
			worst.code = exitUnknown
		}
	}
	if errors.Is(problem, image.ErrBadReference) && worst.code != exitFailed {
		worst.code = exitUsage
	}
	if worst.code == 0 {
		return nil
	}
	return worst
}

func openHint(err error) string {
	var spelling *image.SpellingError
	var platform *image.PlatformError
	switch {
	case errors.As(err, &platform):
		return "name one of these with --platform, or judge all with --all-platforms"
	case errors.As(err, &spelling):
		return "write " + strings.Join(spelling.Try, ", or ")
	case errors.Is(err, image.ErrBadReference):
		return "an image is registry/repo:tag, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE"
	case errors.Is(err, image.ErrNoImage):
		return "name one of these, or leave the tag out to judge all of a layout"
	}
	return ""
}

func (f *verifyFlags) print(cmd *cobra.Command, reports []verify.Report) error {
	if !f.asJSON {
		return verifyPage(cmd.OutOrStdout(), reports)
	}
	data, err := json.MarshalIndent(map[string]any{"version": 1, "images": reports}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(data))
	return err
}
