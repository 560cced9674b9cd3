// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report/page"
)

// diffFlags are the flags of `cudabuild diff`.
type diffFlags struct {
	registryFlags

	asJSON   bool
	out      string
	layers   []string
	where    func(cell string) map[string]string
	platform string
}

func newDiff() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say why an image, or what a run made, has another digest",
		Long: `Diff compares two images, or two run records, and names one cause for each change: a
package, a file, permissions, the environment, a recipe, a sample's source, the date of the
package lists, a tool, the root. What nothing explains it calls unexplained.

OLD and NEW are images as verify takes them, or both the run.json of a run, whose images lie
beside it. Of images in an --out folder the record there tells more causes.

Exit code: 0 the same, 1 they differ, 2 usage, 3 something could not be read.`,
		Args: cobra.ExactArgs(2),
		Example: `  cudabuild diff oci:last/images:12.4-devel-debian13 oci:out/images:12.4-devel-debian13
  cudabuild diff registry.example.com/team/cuda:12.4-base registry.example.com/team/cuda:12.4.1-base --json
  cudabuild diff last/run.json out/run.json -o changes.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "`FILE` to write, .html, .json or .txt, in place of stdout")
	cmd.Flags().StringVar(&f.platform, "platform", "", "`PLATFORM` of images of several, such as linux/arm64 (default: this machine's)")
	cmd.Flags().StringArrayVar(&f.layers, "recipes", nil, "`DIR` with recipes of the new side, for the lines that ask for its steps (repeatable)")
	f.addRegistry(cmd)
	return cmd
}

// diffForms print a result, by the end of the file's name.
var diffForms = map[string]func(io.Writer, *diff.Result) error{
	".html": page.WriteDiff,
	".json": func(w io.Writer, r *diff.Result) error { return plain.JSON(w, r) },
	".txt":  diffPage,
}

func (f *diffFlags) run(cmd *cobra.Command, old, now string) error {
	form := ".txt"
	switch {
	case f.out != "":
		form = filepath.Ext(f.out)
	case f.asJSON:
		form = ".json"
	}
	write, known := diffForms[form]
	if !known || f.out != "" && f.asJSON && form != ".json" {
		return hint.Usage(fmt.Sprintf("-o %s: no form of differences", f.out), "name a file that ends in .html, .json or .txt")
	}
	if err := writesElsewhere(f.out, old, now); err != nil {
		return err
	}
	catalog, err := recipes.Load(f.layers...)
	if err != nil {
		return tell(cmd, err, false)
	}
	f.where = askedAt(catalog)
	result, err := f.compare(cmd.Context(), old, now)
	if err != nil {
		return unknown(err)
	}
	var text bytes.Buffer
	if err := write(&text, result); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	if f.out != "" {
		err = files.Write(f.out, text.Bytes())
	} else {
		_, err = cmd.OutOrStdout().Write(text.Bytes())
	}
	switch {
	case err != nil:
		return &exitError{code: exitUnknown, err: err}
	case result.Unread():
		return &exitError{code: exitUnknown}
	case !result.Same():
		return &exitError{code: exitFailed}
	}
	return nil
}

// writesElsewhere refuses to write over what is compared: a record, an archive, or a file of a layout.
func writesElsewhere(out string, sides ...string) error {
	if out == "" {
		return nil
	}
	here, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	for _, side := range sides {
		path := side
		if image.OnDisk(side) {
			_, path, _ = strings.Cut(side, ":")
		}
		for ; path != ""; path = withoutTag(path) { // a tag may stand behind
			there, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			info, err := os.Stat(there)
			if err != nil {
				continue
			}
			below, err := filepath.Rel(there, here)
			if is, gone := os.Stat(here); gone == nil && os.SameFile(is, info) || info.IsDir() && err == nil && filepath.IsLocal(below) {
				return hint.Usage(fmt.Sprintf("-o %s is of what is compared, %s", out, side), "name a file elsewhere")
			}
			break
		}
	}
	return nil
}

// withoutTag is a path up to its last colon, "" without one.
func withoutTag(path string) string { return path[:max(0, strings.LastIndex(path, ":"))] }

func (f *diffFlags) compare(ctx context.Context, old, now string) (*diff.Result, error) {
	was, err := readRun(old)
	if err != nil {
		return nil, err
	}
	is, err := readRun(now)
	if err != nil {
		return nil, err
	}
	switch {
	case was != nil && is != nil:
		return diff.Runs(ctx, was.side(f.where), is.side(f.where))
	case was != nil || is != nil:
		return nil, hint.Usage("a run record and an image cannot be compared", "name two images, or two files run.json")
	}
	oldImage, closeOld, err := f.version(ctx, old)
	if err != nil {
		return nil, err
	}
	defer closeOld.Close()
	nowImage, closeNow, err := f.version(ctx, now)
	if err != nil {
		return nil, err
	}
	defer closeNow.Close()
	return diff.Images(ctx, oldImage, nowImage)
}

// readRun reads a record of a run, nil if name is that of no regular file, and then of an image.
func readRun(name string) (*runFiles, error) {
	if info, err := os.Stat(name); image.OnDisk(name) || err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	return readRunFiles(name, []string{name})
}

// version opens one image, with what the record beside it notes of how it was made.
func (f *diffFlags) version(ctx context.Context, ref string) (diff.Version, io.Closer, error) {
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{Platform: f.platform, Registry: f.registry()})
	if err != nil {
		return diff.Version{}, nil, err
	}
	if len(sources) > 1 {
		_ = closer.Close()
		return diff.Version{}, nil, hint.Usage(fmt.Sprintf("%s: %d images", ref, len(sources)), "name one of them: "+ref+":TAG")
	}
	v := diff.Version{Name: ref, Image: sources[0].Image, Where: f.where}
	if folder, ok := strings.CutPrefix(sources[0].Ref, "oci:"); ok {
		folder, _, _ = strings.Cut(folder, "@")
		v.Made = noted(filepath.Join(filepath.Dir(folder), "run.json"), sources[0].Digest.String())
	}
	return v, closer, nil
}

// noted is what the record of a run says of how an image was made, nil if that is not known.
func noted(file, digest string) *record.Made {
	run, err := record.Read(file)
	if err != nil || run == nil {
		return nil
	}
	for _, c := range run.Cells {
		for _, made := range c.MadeOf(digest) {
			if made.Digest == digest {
				return &made
			}
		}
	}
	return nil
}
