// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cudabuild/cudabuild/verify"
)

// result is one file under one disguise.
type result struct {
	disguise string
	renamed  bool
	release  string
	class    class
	found    bool
	evidence string // "libcuda by exports": what left-out branches are compared by
	version  string // as found, "" if the verifier named none
	wrong    string // what the finding says that is not so
}

// Score is what was found of every file under every disguise.
type Score struct {
	results []result
	judged  []Release
}

// branch is the major number of the driver.
func (r result) branch() string { return r.release[:3] }

// Judge downloads a release and judges each file of the driver in it under every
// disguise. [ErrNotThere] means that no suite has the packages it lists.
func (s *Score) Judge(ctx context.Context, r Release) error {
	files, from, err := r.download(ctx)
	if err != nil {
		return fmt.Errorf("driver %s: %w: %w", r.Version, ErrNotThere, err)
	}
	fmt.Fprintf(os.Stderr, "corpus: driver %s: %d packages of %s\n", r.Version, len(files), from.name)
	s.judged = append(s.judged, r)
	for _, file := range files {
		if err := s.judgePackage(ctx, r, file); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// ErrNotThere means that the mirror lists packages that it does not have.
var ErrNotThere = errors.New("the mirror does not have its packages")

// judgePackage judges each file of the driver in one package.
func (s *Score) judgePackage(ctx context.Context, r Release, file string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	archive := tar.NewReader(out)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, cmd.Wait())
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 {
			continue
		}
		one := sample{path: path.Clean("/" + h.Name)[1:], mode: h.Mode}
		if one.data, err = io.ReadAll(archive); err != nil {
			return errors.Join(err, cmd.Wait())
		}
		c := classOf(one)
		c.exports = c.exports && !twins[r.Branch()+" "+c.name]
		if c.name != "" {
			if err := s.judgeFile(ctx, r, one, c); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", one.path, err), cmd.Wait())
			}
		}
	}
	return cmd.Wait()
}

func (s *Score) judgeFile(ctx context.Context, r Release, one sample, c class) error {
	for _, d := range disguises {
		if d.elfOnly && c.kind != library {
			continue
		}
		img, at := d.image(one)
		report, err := verify.New(verify.Options{Nested: d.nested, TrustDigests: true}).Image(ctx, d.name, img)
		if err != nil {
			return err
		}
		res := result{disguise: d.name, renamed: d.renamed, release: r.Version, class: c}
		res.read(report, at)
		s.results = append(s.results, res)
	}
	return nil
}

var (
	saysVersion  = regexp.MustCompile(`of driver ([0-9.]+[0-9])`)
	saysEvidence = regexp.MustCompile(`(?:hard link to [^:]*: )?(?:stub of )?(.*?)(?: of driver [0-9.]+)? \(by ([^)]*)\)`)
)

// read takes from the report what it says about the file.
func (r *result) read(report verify.Report, at string) {
	for _, f := range report.Findings {
		about := f.Path == at || strings.HasPrefix(at, f.Path+"/") || at == "" && strings.Contains(f.Path, "!/")
		if !about || f.Severity == verify.SeverityInfo || f.Rule == "unreadable" || f.DeletedIn == nil && f.Rule == "mount-point" {
			continue
		}
		r.found = true
		if m := saysVersion.FindStringSubmatch(f.Detail); m != nil {
			r.version = m[1]
		}
		if m := saysEvidence.FindStringSubmatch(f.Detail); m != nil {
			r.evidence = m[1] + " by " + lastOf(m[2])
			if r.class.kind == library && m[1] != r.class.name && !r.class.sameAs(m[1]) {
				r.wrong = fmt.Sprintf("%s %s is called %s", r.release, r.class.name, m[1])
			}
		} else {
			r.evidence = f.Rule
		}
	}
	if r.version != "" && r.version != r.release {
		r.wrong = fmt.Sprintf("%s %s (%s) is called of driver %s", r.release, r.class.name, r.disguise, r.version)
	}
}

// lastOf is the strongest evidence, which messages name last.
func lastOf(list string) string {
	all := strings.Split(list, ", ")
	return all[len(all)-1]
}

// Kinds of files.
const (
	library  = "library"
	program  = "program"
	firmware = "firmware"
	kernel   = "kernel module"
)

// class is what a file of the driver is: its kind, and its name without versions.
type class struct {
	kind, name string
	exports    bool // the rules have an export class for it
}

// sameAs reports whether another label of the rules is right for the class as well.
func (c class) sameAs(label string) bool {
	if c.name == "libnvidia-compiler" && label == "libnvidia-nvvm" { // 525's has the exports of both; its names tell
		return true
	}
	return label == "GL core user" || label == "EGL core user" || label == "driver component" || strings.HasPrefix(c.name, "libnvidia-gtk") && label == "libnvidia-gtk" || label == "libGLX_nvidia" && c.name == "libGL" || label == c.name+"_nvidia"
}

var (
	soName = regexp.MustCompile(`^(.+?)\.so(\.[0-9.]+)?$`)
	// openSource are libraries that the packages carry and that are no driver content.
	openSource = regexp.MustCompile(`^(libOpenCL|libGLdispatch|libOpenGL|libXNVCtrl)$`)
)

// classOf returns the class of a file, the zero value for what is no driver content
// by itself: documentation, configuration, sources.
func classOf(s sample) class {
	base := path.Base(s.path)
	isELF := bytes.HasPrefix(s.data, []byte("\x7fELF"))
	switch m := soName.FindStringSubmatch(base); {
	case base == "gsp.bin", strings.HasPrefix(base, "gsp_"):
		return class{kind: firmware, name: strings.TrimSuffix(base, filepath.Ext(base))}
	case !isELF:
		return class{}
	case m != nil && !openSource.MatchString(m[1]):
		return class{kind: library, name: m[1], exports: exportClass(m[1])}
	case m != nil:
		return class{}
	case strings.HasSuffix(base, ".o_binary"), strings.HasSuffix(base, ".ko"), strings.HasSuffix(base, ".o"):
		return class{kind: kernel, name: base}
	case s.mode&0o111 != 0 && base != "nv-control-dpy": // a sample program
		return class{kind: program, name: base}
	}
	return class{}
}

// twins are libraries that nothing but their names tells from the toolkit's: 470's
// libnvidia-nvvm is libnvvm.so.4, with the same 14 exports and the same texts.
var twins = map[string]bool{"470 libnvidia-nvvm": true}

func exportClass(stem string) bool {
	for _, rule := range verify.Rules() {
		for _, p := range rule.Match {
			if p.Stem == stem && len(p.Exports) > 0 && rule.Severity == verify.SeverityFail {
				return true
			}
		}
	}
	return false
}
