// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	outs     []string
	out      string // the one of outs, "" if there is none
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

OLD and NEW are images as verify takes them, or both the run.json of a run, or a folder with
some, whose images lie beside them. Of images in an --out folder the record there tells more
causes. Of an index each platform is compared with its own.

Exit code: 0 the same, 1 they differ, 2 usage, 3 something could not be read.`,
		Args: cobra.ExactArgs(2),
		Example: `  cudabuild diff oci:last/images:12.4-devel-debian13 oci:out/images:12.4-devel-debian13
  cudabuild diff registry.example.com/team/cuda:12.4-base registry.example.com/team/cuda:12.4.1-base --json
  cudabuild diff last/run.json out/run.json -o changes.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	cmd.Flags().StringArrayVarP(&f.outs, "output", "o", nil, "`FILE` to write, .html, .json or .txt, in place of stdout (-)")
	cmd.Flags().StringVar(&f.platform, "platform", "", "compare this `PLATFORM` of images of several alone, such as linux/arm64 (default: all)")
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
	switch len(f.outs) {
	case 0:
	case 1:
		f.out = f.outs[0]
	default:
		return hint.Usage(fmt.Sprintf("-o is given %d times, and differences are written once", len(f.outs)), "name one file")
	}
	write, err := f.form()
	if err != nil {
		return unknown(err)
	}
	if f.platform != "" {
		if err := image.CheckPlatform(f.platform); err != nil {
			return err
		}
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
	if f.toFile() {
		if err = files.Write(f.out, text.Bytes()); err != nil {
			err = output{file: f.out}.failed(err)
		}
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

// toFile reports whether the result is not for stdout.
func (f *diffFlags) toFile() bool { return f.out != "" && f.out != "-" }

// form is how the result is printed: by the name of the file, else for people.
func (f *diffFlags) form() (func(io.Writer, *diff.Result) error, error) {
	form := filepath.Ext(f.out)
	switch {
	case f.toFile() && diffForms[form] == nil:
		return nil, hint.Usage(fmt.Sprintf("-o %s: no form of differences", f.out), "name a file that ends in .html, .json or .txt")
	case f.asJSON && f.toFile() && form != ".json":
		return nil, hint.Usage(fmt.Sprintf("--json prints the document, and -o %s is another form", f.out), "name a file that ends in .json, or leave --json out")
	case f.asJSON:
		form = ".json"
	case !f.toFile():
		form = ".txt"
	}
	return diffForms[form], nil
}

// diffSide is what an argument names: the records of a run, or, without any, an image.
type diffSide struct {
	name    string
	records []string
}

// sideOf takes an argument for what it is. A record that is not there is not looked for in a registry.
func sideOf(name string) (diffSide, error) {
	info, err := os.Stat(name)
	switch {
	case image.OnDisk(name):
		return diffSide{name: name}, nil
	case err == nil && info.IsDir():
		records, err := recordFiles([]string{name})
		if err != nil {
			return diffSide{}, hint.Usage(name+": no record of a run is in that folder", "an image of a layout is oci:"+name+":TAG")
		}
		return diffSide{name, records}, nil
	case err == nil || filepath.Ext(name) == ".json":
		return diffSide{name, []string{name}}, nil
	}
	return diffSide{name: name}, nil
}

// read are the files and folders on this machine that the side is read from.
func (s diffSide) read() []string {
	if path, _ := image.Split(s.name); path != "" {
		return []string{path}
	}
	return withImages(s.records)
}

func (f *diffFlags) compare(ctx context.Context, oldName, nowName string) (*diff.Result, error) {
	old, err := sideOf(oldName)
	if err != nil {
		return nil, err
	}
	now, err := sideOf(nowName)
	if err != nil {
		return nil, err
	}
	if f.toFile() {
		if err := spares(f.out, slices.Concat(old.read(), now.read())); err != nil {
			return nil, err
		}
	}
	switch {
	case (old.records == nil) != (now.records == nil):
		record, other := old.name, now.name
		if old.records == nil {
			record, other = other, record
		}
		if _, err := os.Stat(other); err != nil && !image.OnDisk(other) && !strings.ContainsAny(other, ":@") {
			return nil, hint.Usage(fmt.Sprintf("%s: no such file or folder, and %s is a run record", other, record), "name two images, or two files run.json")
		}
		return nil, hint.Usage(fmt.Sprintf("a run record and an image cannot be compared: %s is one, and %s is not", record, other), "name two images, or two files run.json")
	case old.records == nil:
		return f.images(ctx, old.name, now.name)
	case f.platform != "":
		return nil, hint.Usage("--platform is for images, and these are records of runs", "leave it out: all platforms are compared")
	}
	was, err := readRunFiles(old.name, old.records)
	if err != nil {
		return nil, err
	}
	is, err := readRunFiles(now.name, now.records)
	if err != nil {
		return nil, err
	}
	return diff.Runs(ctx, was.side(f.where), is.side(f.where))
}

func (f *diffFlags) images(ctx context.Context, old, now string) (*diff.Result, error) {
	was, closeOld, err := f.reference(ctx, old)
	if err != nil {
		return nil, err
	}
	defer closeOld.Close()
	is, closeNow, err := f.reference(ctx, now)
	if err != nil {
		return nil, err
	}
	defer closeNow.Close()
	return diff.Images(ctx, was, is)
}

// reference opens an image, or all of an index, or that of --platform, with what the record beside it notes of how they were made.
func (f *diffFlags) reference(ctx context.Context, ref string) (diff.Reference, io.Closer, error) {
	all := f.platform == ""
	sources, closer, err := image.Open(ctx, ref, image.OpenOptions{Platform: f.platform, AllPlatforms: all, Partial: all, Registry: f.registry()})
	if err != nil {
		return diff.Reference{}, nil, err
	}
	r := diff.Reference{Name: ref}
	if all {
		r.Index = sources[0].Index
	}
	path, tag := image.Split(ref)
	another := func(s image.Source) bool { return s.Index == nil || s.Index != sources[0].Index }
	if path != "" && tag == "" && slices.ContainsFunc(sources[1:], another) {
		_ = closer.Close()
		return diff.Reference{}, nil, hint.Usage(fmt.Sprintf("%s: %d images", ref, len(sources)), "name one of them: "+ref+":TAG")
	}
	for _, s := range sources {
		v := diff.Version{Image: s.Image, Err: s.Err, Digest: s.Digest.String(), Platform: s.Platform, Where: f.where}
		if strings.HasPrefix(ref, "oci:") {
			v.Made, v.MadeErr = noted(filepath.Join(filepath.Dir(path), "run.json"), v.Digest)
		}
		r.Images = append(r.Images, v)
	}
	return r, closer, nil
}

// noted is what the record of a run says of how an image was made, nil if that is not known.
func noted(file, digest string) (*record.Made, error) {
	run, err := record.Read(file)
	if err != nil || run == nil {
		return nil, err
	}
	for _, c := range run.Cells {
		for _, made := range c.MadeOf(digest) {
			if made.Digest == digest {
				return &made, nil
			}
		}
	}
	return nil, nil
}
