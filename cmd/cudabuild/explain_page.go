// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/support"
)

// cellReasons is what explain --json prints: a cell, and for each part of it what
// says so. Lists are never null.
type cellReasons struct {
	Version      int                 `json:"version"`
	Cell         matrix.Cell         `json:"cell"`
	Root         rootReasons         `json:"root"`
	Ends         []*support.End      `json:"ends"` // of the CUDA release and the OS, where they are known
	Repositories []repositoryReasons `json:"repositories"`
	Requirements []requirement       `json:"requirements"`
	Guard        guardReasons        `json:"guard"`
	Layers       []layerReasons      `json:"layers"` // lowest first
	Samples      *sampleReasons      `json:"samples,omitempty"`
}

// rootReasons is what the image starts from: a bootstrap or an image.
type rootReasons struct {
	OS        string   `json:"os"`
	Bootstrap string   `json:"bootstrap,omitempty"` // suite and components
	Image     string   `json:"image,omitempty"`
	Where     string   `json:"where"`
	Changes   []change `json:"changes"`
}

// change is what has changed about the OS since the vendor's files were written.
type change struct {
	Since string `json:"since"`
	Why   string `json:"why"`
}

// repositoryReasons is a repository of the vendor.
type repositoryReasons struct {
	Platform    string `json:"platform"`
	Where       string `json:"where"`
	URL         string `json:"url"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	KeySHA256   string `json:"key_sha256"`
	KeySince    string `json:"key_since"`
}

type requirement struct {
	Platform string `json:"platform"`
	Value    string `json:"value"`
	Why      string `json:"why"`
}

type guardReasons struct {
	Provides []string `json:"provides"`
	Refuses  int      `json:"refuses"` // names and patterns of driver packages; 0: there is no guard
	Manager  string   `json:"manager"`
	Where    string   `json:"where"`
}

type layerReasons struct {
	Flavor   recipes.Flavor    `json:"flavor"`
	Platform string            `json:"platform,omitempty"` // only where it is another on the others
	Where    string            `json:"where"`
	Packages []packageReasons  `json:"packages"`
	Env      map[string]string `json:"env"`
	Hold     []string          `json:"hold"`
	Files    []string          `json:"files"`
	Links    map[string]string `json:"links"`
}

// packageReasons is a package with its version and who says so. Without a version it is
// either unsourced, or what the repositories of the distribution have.
type packageReasons struct {
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Source    string `json:"source,omitempty"`
	Date      string `json:"date,omitempty"`
	Where     string `json:"where,omitempty"`
	By        string `json:"by,omitempty"` // a folder's file, if that says that the source has it
	Unsourced bool   `json:"unsourced,omitempty"`
	// Witness is who says a version of what is unsourced.
	Witness *witnessReasons `json:"witness,omitempty"`
	Locked  []string        `json:"locked,omitempty"` // versions that matrix.lock has
}

type witnessReasons struct {
	Version string `json:"version"`
	Source  string `json:"source"`
	Date    string `json:"date"`
	Where   string `json:"where"`
	By      string `json:"by,omitempty"` // as above
}

type sampleReasons struct {
	Builder string `json:"builder"`
	SASS    []int  `json:"sass"` // empty, and PTX 0, of one without code for GPUs
	PTX     int    `json:"ptx"`
	Where   string `json:"where"`

	Libraries []string `json:"libraries,omitempty"`
}

// page is the reasons for people.
func (e *cellReasons) page() []byte {
	var w bytes.Buffer
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(&w, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&w, e.Cell.ID)
	fact("tags", "%s", strings.Join(e.Cell.Tags, ", "))
	fact("groups", "%s", strings.Join(e.Cell.Groups, ", "))
	fact("platforms", "%s", strings.Join(e.Cell.Platforms, ", "))
	fact("root", "%s, from %s, %s", e.Root.OS, cmp.Or(e.Root.Image, "its own packages: "+e.Root.Bootstrap), e.Root.Where)
	for _, c := range e.Root.Changes {
		fact("", "since %s: %s", c.Since, c.Why)
	}
	for _, set := range []struct {
		name   string
		values map[string]string
	}{{"label", e.Cell.Labels}, {"env", e.Cell.Env}} {
		for _, name := range slices.Sorted(maps.Keys(set.values)) {
			fact(set.name, "%s=%s, from the matrix", name, set.values[name])
		}
	}
	for _, end := range e.Ends {
		fact("maintained", "%s: %s", end.Until(), end.What)
		fact("", "%s", end.Source)
	}
	if len(e.Ends) == 0 {
		fact("maintained", "no end known")
	}
	for _, r := range e.Repositories {
		fact("repository", "%s (%s)", r.URL, r.Platform)
		fact("", "key %s since %s, fingerprint %s, %s", r.Key, r.KeySince, cmp.Or(r.Fingerprint, "in no document"), r.Where)
		fact("", "sha256 %s without its Version line", r.KeySHA256)
	}
	for _, r := range e.Requirements {
		fact("requires", "%s (%s)", r.Value, r.Platform)
		fact("", "%s", r.Why)
	}
	if e.Guard.Refuses == 0 {
		fact("guard", "none: the recipe provides nothing in place of the driver")
	} else {
		fact("guard", "%s refuses the driver: %s, %s", e.Guard.Manager, counted(e.Guard.Refuses, "name"), e.Guard.Where)
	}
	if len(e.Guard.Provides) > 0 {
		fact("", "provides %s", strings.Join(e.Guard.Provides, ", "))
	}
	for _, l := range e.Layers {
		l.write(&w, fact)
	}
	if s := e.Samples; s != nil {
		targets := "without code for GPUs"
		if len(s.SASS) > 0 {
			targets = fmt.Sprintf("for %v and PTX %d", s.SASS, s.PTX)
		}
		fact("sample", "compiled in %s %s, %s", s.Builder, targets, s.Where)
		if len(s.Libraries) > 0 {
			fact("", "linked to %s, so it stands on %s", strings.Join(s.Libraries, ", "), e.Cell.Parent)
		}
	}
	return w.Bytes()
}

func (l layerReasons) write(w *bytes.Buffer, fact func(name, format string, args ...any)) {
	where := l.Where
	if l.Platform != "" {
		where += " (" + l.Platform + ")"
	}
	fact(string(l.Flavor), "%s", where)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range l.Packages {
		fmt.Fprintf(table, "    %s\t%s\n", p.Name, p.why())
	}
	_ = table.Flush() // a buffer takes everything
	for _, set := range []struct {
		name, sign string
		values     map[string]string
	}{{"env", "=", l.Env}, {"link", " -> ", l.Links}} {
		for _, name := range slices.Sorted(maps.Keys(set.values)) {
			fmt.Fprintf(w, "    %s %s%s%s\n", set.name, name, set.sign, set.values[name])
		}
	}
	for _, path := range l.Files {
		fmt.Fprintf(w, "    file %s\n", path)
	}
	if len(l.Hold) > 0 {
		fmt.Fprintf(w, "    held %s\n", strings.Join(l.Hold, " "))
	}
}

// why says where the version of a package is from.
func (p packageReasons) why() string {
	locked := ""
	if len(p.Locked) > 0 {
		locked = "; the lock has " + strings.Join(p.Locked, ", ")
	}
	switch {
	case p.Version != "" && p.Date == "": // a folder's own
		return fmt.Sprintf("%s\t%s\t%s%s", p.Version, p.Source, p.Where, locked)
	case p.Version != "":
		return fmt.Sprintf("%s\t%s, %s%s\t%s%s", p.Version, p.Source, p.Date, says(p.By), p.Where, locked)
	case p.Witness != nil:
		w := p.Witness
		return fmt.Sprintf("unsourced\tno document gives its version; %s in %s, %s%s\t%s%s", w.Version, w.Source, w.Date, says(w.By), w.Where, locked)
	case p.Unsourced:
		return "unsourced\tno document gives its version" + locked
	}
	return "-\twhat the distribution's package lists have" + locked
}

// says names the file of a folder on whose word a source has something.
func says(file string) string {
	if file == "" {
		return ""
	}
	return ", says " + file
}
