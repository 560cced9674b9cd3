// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/transfer"
)

// copyFlags are the flags of `cudabuild copy`.
type copyFlags struct {
	registryFlags

	dryRun, asJSON, silent bool
}

func newCopy() *cobra.Command {
	var f copyFlags
	cmd := &cobra.Command{
		Use:   "copy REF DEST",
		Short: "Copy an image with all that is attached to it",
		Long: `Copy brings an image, or an index with all its platforms, from one repository of a registry
to another, with what is attached to each of them: signatures, SBOMs, provenance, whatever
others attached too. All digests stay as they are, and the tag moves last.

REF is registry/repo:tag or registry/repo@sha256:... DEST is registry/repo[:tag]; without
a tag it gets that of REF, or none if REF is a digest. What is there is not sent
again: a copy that was interrupted goes on when it is repeated.

Exit code: 0 all is there, 1 it cannot be copied, 3 could not check: no registry.`,
		Args: cobra.ExactArgs(2),
		Example: `  cudabuild copy ghcr.io/acme/cuda:12.4-base-debian13 registry.example.com/prod/cuda
  cudabuild copy ghcr.io/acme/cuda@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae registry.example.com/prod/cuda:stable
  cudabuild copy --dry-run --json ghcr.io/acme/cuda:latest registry.example.com/prod/cuda`,
		RunE: f.run,
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be copied and copy nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	cmd.Flags().BoolVarP(&f.silent, "quiet", "q", false, "show no progress")
	f.addRegistry(cmd)
	return cmd
}

// copyDocument is what copy --json prints.
type copyDocument struct {
	Version int              `json:"version"` // 1
	Plan    *transfer.Plan   `json:"plan"`    // what there was to do; null if that is not known
	Phases  []transfer.Phase `json:"phases"`  // those that began; never null
	Error   string           `json:"error"`   // why not all was done, "" if it was
}

func (f *copyFlags) run(cmd *cobra.Command, args []string) error {
	o, err := copyOptions(args[0], args[1])
	if err != nil {
		return unknown(err)
	}
	o.Registry = f.registry()
	if !f.silent {
		o.Show = progressOn(cmd.ErrOrStderr())
	}
	copier, err := transfer.New(cmd.Context(), o)
	if err != nil {
		return unknown(err)
	}
	do := copier.Run
	if f.dryRun {
		do = copier.Look
	}
	result, failure := do(cmd.Context())
	switch {
	case f.asJSON:
		doc := copyDocument{Version: 1, Plan: result.Plan, Phases: result.Phases}
		if failure != nil {
			doc.Error = failure.Error()
		}
		err = plain.JSON(cmd.OutOrStdout(), doc)
	case failure == nil:
		f.page(cmd.OutOrStdout(), result.Plan)
	}
	return unknown(errors.Join(failure, err))
}

// copyOptions reads what is to be copied, and where to.
func copyOptions(from, to string) (o transfer.Options, err error) {
	if image.OnDisk(from) {
		return o, hint.Usage(fmt.Sprintf("%s is on this machine, and copy takes images from registries", from), "'cudabuild push' publishes what matrix built; 'skopeo copy --all' brings any layout into a registry")
	}
	if o.From, err = name.ParseReference(from); err != nil {
		return o, hint.Usage(fmt.Sprintf("not an image reference: %v", err), "an image is registry/repo:tag or registry/repo@sha256:...")
	}
	if tag, isTag := o.From.(name.Tag); isTag {
		o.Tag = tag.TagStr()
	}
	if strings.Contains(to, "@") {
		return o, hint.Usage(fmt.Sprintf("%q is not a repository name: it has a digest", to), "DEST is registry/repo[:tag], and the image keeps its digest")
	}
	repository := to
	if i := strings.LastIndexByte(to, ':'); i > strings.LastIndexByte(to, '/') && i > strings.IndexByte(to, '/') && strings.Contains(to, "/") {
		repository, o.Tag = to[:i], to[i+1:]
	}
	if message, next := matrix.CheckRepository(repository); message != "" {
		return o, hint.Usage(message, next)
	}
	if o.To, err = name.NewRepository(repository); err != nil {
		return o, hint.Usage(err.Error(), "")
	}
	if o.Tag != "" {
		if _, err := name.NewTag(repository + ":" + o.Tag); err != nil {
			return o, hint.Usage(fmt.Sprintf("%q cannot be a tag", o.Tag), "")
		}
	}
	if referrer.IsTag(o.Tag) {
		return o, hint.Usage(fmt.Sprintf("tag %s is for the list of what is attached to an image", o.Tag), "copy the image: what is attached to it, and such lists, come along")
	}
	return o, nil
}

// page prints what was copied, or would be.
func (f *copyFlags) page(w io.Writer, plan *transfer.Plan) {
	would, copied := "", "copied"
	if f.dryRun {
		would, copied = "would ", "would copy"
	}
	w = plain.To(w)
	for _, m := range plan.Manifests {
		if m.Subject != "" {
			fmt.Fprintf(w, "%s  attached to %s: %s (%s)\n", shortDigest(m.Digest), shortDigest(m.Subject), m.Type, m.State)
		}
	}
	for _, left := range plan.Left {
		fmt.Fprintf(w, "%sleft: %s\n", would, left)
	}
	total := plan.Totals
	fmt.Fprintf(w, "%s %s to %s: %s, %d of them attached; %d new, %s sent of %s\n", copied, plan.From+"@"+plan.Digest, plan.To,
		counted(total.Manifests, "manifest"), total.Attached, total.New, megabytes(total.UploadBytes), megabytes(total.Bytes))
	if plan.Tag != nil {
		fmt.Fprintf(w, "tag %s: %s\n", plan.Tag.Name, plan.Tag.State)
	}
}
