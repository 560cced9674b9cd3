// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/verify"
)

// emitFlags are the flags of `cudabuild emit affinity` and `cudabuild emit dra`.
type emitFlags struct {
	verifyFlags

	driver string
	asked  question // the GPU and the hook
}

func newEmit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "emit",
		Short: "Print YAML for Kubernetes: the nodes on which an image runs",
		Long: `Emit prints a part of somebody's manifest that keeps an image on the nodes of a cluster on which
it runs, as the driver, the GPU and the image's own requirement have it. Comments say why.

Exit code: 0, 1 it runs nowhere, or not where it is asked to, 2 usage, 3 nobody can tell.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newEmitForm("affinity", "Print a node affinity over the labels of NVIDIA's GPU feature discovery", affinityPage),
		newEmitForm("dra", "Print a ResourceClaimTemplate for NVIDIA's DRA driver (resource.k8s.io/v1)", claimPage),
	)
	return cmd
}

func newEmitForm(word, short string, page func(placed) []byte) *cobra.Command {
	var f emitFlags
	cmd := &cobra.Command{
		Use:     word + " IMAGE",
		Short:   short,
		Long:    short + ".\n\nIMAGE is what `cudabuild verify` takes.",
		Example: "  cudabuild emit " + word + " --driver '>=535' --gpu H100 oci:out/images:12.4-nbody-debian13",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.place(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(page(p))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.driver, "driver", "", "only drivers that are `WORDS`: \">=535 <580\", \"535\"")
	flags.StringVar(&f.asked.gpu, "gpu", "", "only this GPU: a `NAME` such as A100 or \"RTX 4090\", sm_NN or a compute capability")
	flags.StringVar(&f.asked.hook, "hook", "cdi", "what brings the driver into containers: the `MODE` cdi or legacy of NVIDIA's toolkit")
	flags.StringVar(&f.platform, "platform", "", "the `OS/ARCH[/VARIANT]` of an index (default: linux on this machine's architecture)")
	f.addRegistry(cmd)
	return cmd
}

// placed is an image with where it runs.
type placed struct {
	report  verify.Report
	hook    compat.Hook
	regions []compat.Region // at least one
}

// place reads the image and says where it runs, of what is asked for.
func (f *emitFlags) place(ctx context.Context, ref string) (p placed, err error) {
	var board compat.Board
	if f.asked.gpu != "" {
		if board, err = f.asked.board(); err != nil {
			return p, err
		}
	}
	noVersion := func(word string) bool { return !compat.IsVersion(strings.TrimLeft(word, "<>=")) }
	if f.driver != "" && (!compat.AnyDriverIs(f.driver) || slices.ContainsFunc(strings.Fields(f.driver), noVersion)) {
		return p, fmt.Errorf("--driver %q: want bounds such as \">=535 <580\", or a version or branch", f.driver)
	}
	if p.hook, err = compat.ParseHook(f.asked.hook); err != nil {
		return p, fmt.Errorf("--hook: %w", err)
	}
	if p.report, err = f.read(ctx, ref); err != nil {
		return p, err
	}
	all, why := p.report.Where(p.hook)
	if len(all) == 0 {
		code := exitFailed
		if why.Verdict == compat.Unknown {
			code = exitUnknown
		}
		return p, &exitError{code: code, err: fmt.Errorf("%s: %s: %s", oneLine(p.report.Ref), map[int]string{exitFailed: "it runs nowhere", exitUnknown: "nobody can tell where it runs"}[code], foreign(why.Why))}
	}
	if p.regions = narrowed(all, f.driver, board); len(p.regions) == 0 {
		return p, &exitError{code: exitFailed, err: fmt.Errorf("%s: it does not run there, but on %s", oneLine(p.report.Ref), strings.Join(inWordsOf(all), "; "))}
	}
	return p, nil
}

// narrowed are the regions within what is asked for.
func narrowed(all []compat.Region, driver string, board compat.Board) []compat.Region {
	var gpus []compat.Target
	if (board.GPU != compat.Target{}) {
		gpus = []compat.Target{board.GPU}
	}
	return slices.DeleteFunc(compat.Within(all, driver, gpus), func(r compat.Region) bool {
		return r.Brands != nil && board.Brand != "" && !slices.Contains(r.Brands, board.Brand)
	})
}

// read judges the one image of a reference.
func (f *emitFlags) read(ctx context.Context, ref string) (verify.Report, error) {
	if f.platform != "" {
		if err := image.CheckPlatform(f.platform); err != nil {
			return verify.Report{}, err
		}
	}
	verifier := verify.New(verify.Options{CacheDir: userCache(), TempDir: heldIn()})
	boundMemory(verifier.Memory())
	reports, problem := overImages(ctx, &f.verifyFlags, []string{ref}, verify.Unread, func(ctx context.Context, s image.Source) (verify.Report, error) {
		return verifier.Image(ctx, s.Ref, s.Image)
	})
	switch {
	case problem != nil:
		return verify.Report{}, &exitError{code: hint.Code(problem, exitUnknown), err: problem}
	case len(reports) != 1:
		return verify.Report{}, errors.New("that is " + counted(len(reports), "image") + ": name one, as oci:DIR:TAG")
	}
	return reports[0], nil
}

// inWordsOf says each region in words.
func inWordsOf(regions []compat.Region) (lines []string) {
	for _, r := range regions {
		var gpus []string
		for _, gpu := range r.GPUs {
			gpus = append(gpus, gpu.String())
		}
		line := fmt.Sprintf("%s: driver %s or newer", strings.Join(gpus, " "), r.From)
		if r.Below != "" {
			line += ", older than " + r.Below
		}
		if r.Brands != nil {
			line += ", of brand " + strings.Join(r.Brands, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// comment says in words what the image needs and why.
func (p placed) comment(w *bytes.Buffer) {
	fmt.Fprintf(w, "# Where %s runs (%s, %s), started through %s.\n# Predicted, not observed:\n", oneLine(p.report.Ref), p.report.Digest, p.report.Platform, p.hook)
	for i, line := range inWordsOf(p.regions) {
		at := p.report.PredictIn(p.regions[i], p.hook)
		fmt.Fprintf(w, "#   %s\n#     %s there: %s\n", line, at.Verdict, foreign(at.Why))
	}
	if q := p.report.Portability; q.MinDriver != "" {
		fmt.Fprintf(w, "# On drivers older than %s: %s.\n", q.MinDriver, foreign(q.MinDriverWhy))
	}
}

// slug makes a name that Kubernetes takes of a reference's last part.
func slug(ref string) string {
	last := path.Base(ref)
	if i := strings.LastIndexByte(last, ':'); i >= 0 && i < len(last)-1 {
		last = last[i+1:]
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(last))
	if name = strings.Trim(name[:min(len(name), 50)], "-"); name == "" {
		return "image"
	}
	return name
}
