// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/usertest"
)

// file is matrix.yaml as it stands: every word known, nothing multiplied out.
type file struct {
	Version  int                       `yaml:"version,required" const:"1" doc:"Version of the format."`
	Image    string                    `yaml:"image,required" form:"image" doc:"Repository of every tag: cuda, ghcr.io/acme/cuda, registry:5000/acme/cuda."`
	Compat   string                    `yaml:"compat" form:"compat" doc:"Whether images may ship cuda-compat; forbid is the default."`
	Defaults lists                     `yaml:"defaults" doc:"What holds where an entry does not say otherwise."`
	Groups   map[spec.Word][]entry     `yaml:"groups,required,some" keys:"group" each:"group" hint:"a group is a list of entries and of names of other groups: default: [{os: [...], cuda: [\"...\"]}]" doc:"Named lists of what to make; --group picks one."`
	Tags     map[spec.Word][]spec.Word `yaml:"tags,one" keys:"tag" each:"tag" form:"glob" doc:"Other names of images, with {cuda}, {version}, {kind}, {os}, {yy} and {mm} filled in: the cells that have them."`

	config
	Cells []some `yaml:"cells,some" hint:"write cells: [{only: '*-devel-*', labels: {...}, env: {...}}]" doc:"Labels and variables of some images, beside those of all."`

	Compression string           `yaml:"compression" form:"compression" doc:"How layers are compressed, from the build to the registry: zstd, the default, or gzip, which docker before 23 and containerd before 1.5 need."`
	Builders    []spec.Word      `yaml:"builders,some" form:"builder" hint:"write builders: [tcp://10.0.0.5:1234, docker-container://NAME]" doc:"BuildKits that are running and share the work, where neither --builder nor BUILDKIT_HOST names one: addresses, or buildx://NAME for the nodes of a builder of docker buildx."`
	Tests       usertest.Written `yaml:"tests,some" hint:"write tests: [{name: matmul, run: [python3, /tests/matmul.py]}]" doc:"Tests of one's own, for cudabuild gpu --tests: what to run in which images, and what is expected of it."`
	Publish     publish          `yaml:"publish" doc:"Where images go, and what must hold before a tag moves to one."`
}

// lists is what an entry has or takes from defaults; nil where it is not said.
type lists struct {
	Platforms []spec.Word `yaml:"platforms,some" form:"platform" doc:"Platforms of each image."`
	Flavors   []spec.Word `yaml:"flavors" form:"flavor" doc:"Layers to make images of; none makes samples alone."`
	Samples   []spec.Word `yaml:"samples" form:"sample" doc:"Sample programs, each an image on base, or on runtime if it needs libraries."`
	Partial   spec.Partial
}

// entry of a group makes every pair of its lists, less the excluded ones, or is another group
// by its name.
type entry struct {
	At      spec.Place  `doc:"Every pair of os and cuda, less those under exclude."`
	Include spec.Word   `yaml:",alone" doc:"Another group, all of it."`
	OS      []spec.Word `yaml:"os,required,some" form:"os" doc:"Operating systems."`
	CUDA    []spec.Word `yaml:"cuda,required,some" form:"cuda" doc:"CUDA releases, quoted: YAML reads 12.10 as the number 12.1."`
	Exclude []exclude   `yaml:"exclude" hint:"write exclude: [{os: ..., cuda: ..., reason: ...}]" doc:"Pairs of the two lists that are not wanted, or do not exist."`
	lists
}

// exclude is a pair that an entry does not make. A problem leaves its words empty.
type exclude struct {
	At     spec.Place
	OS     spec.Word `yaml:"os,required" form:"os"`
	CUDA   spec.Word `yaml:"cuda,required" form:"cuda"`
	Reason string    `yaml:"reason,required" form:"reason" doc:"Why, for whoever wonders later."`
}

const allow = "allow" // cuda-compat

// ran is a name of a sample or a test.
var ran = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// groupName keeps names usable in file names, flags and job names.
var groupName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// own is what to add to the hint for a word that a recipe of the user's may bring.
const own = " (one of your own: name the folder of recipes that has it with --recipes)"

// format is what words a matrix file may have: those of the catalog, and the names of the
// file's own tests.
func format(c *recipes.Catalog, tests ...string) spec.Format {
	var flavors []string
	for _, f := range c.Flavors() {
		flavors = append(flavors, string(f))
	}
	forms := map[string]spec.Form{
		"image":       {Pattern: repository, Max: maxImage, Check: checkImage},
		"compat":      {Noun: "word for compat", Words: []string{"forbid", allow}},
		"compression": {Noun: "compression", Words: []string{Zstd, Gzip}},
		"builder":     {Pattern: address.Pattern(), Check: checkBuilder},
		"verdict":     {Noun: "verdict to ask for", Words: []string{"pass", "warn"}},
		"names":       {Doc: "Glob on tags: *, ?, [a-z].", Pattern: names, Check: checkNames},
		"platform":    {Noun: "platform", Words: c.Platforms(), Globs: true},
		"flavor":      {Noun: "flavor", Words: flavors, Globs: true, Else: own},
		"ran":         {Noun: "sample or test", Words: append(recipes.SampleNames(), tests...), Globs: true},
		"sample":      {Noun: "sample", Words: recipes.SampleNames(), Globs: true},
		"os":          {Noun: "OS", Words: c.OSNames(), Globs: true, Else: own},
		"cuda":        {Noun: "CUDA release", Words: c.CUDAVersions(), Globs: true, Else: own, Number: " (YAML reads 12.10 as the number 12.1)"},
		"reason":      {Min: 1, Hint: "say why, for whoever wonders later"},
		"group":       {Pattern: groupName, Want: "a name for a group: lower-case letters, digits and . _ -, 64 at most"},
		"tag":         {Pattern: tagPattern, Check: checkPattern},
		"glob":        {Doc: "Glob on cell IDs: *, ?, [a-z].", Check: checkGlob},
	}
	maps.Copy(forms, configForms())
	maps.Copy(forms, usertest.Forms())
	return spec.Format{
		What:  "the matrix",
		Start: `a matrix starts with "version: 1" and needs image and groups`,
		Write: "write the value out; defaults and the inclusion of a group by its name save repetition",
		Forms: forms,
	}
}

// Schema returns the JSON Schema of matrix.yaml for editors, with the words of the
// catalog; without one, nil, it takes any OS, release, platform and flavor. It sees less than
// [Parse]: not that a pair was never packaged, a group is not there, or two images claim a tag.
func Schema(catalog *recipes.Catalog) *schema.Schema {
	words := format(cmp.Or(catalog, &recipes.Catalog{}))
	words.Forms["ran"] = spec.Form{Pattern: ran, Globs: true}
	for _, name := range []string{"os", "cuda", "platform", "flavor"} {
		if catalog == nil {
			words.Forms[name] = spec.Form{Pattern: anyWord}
		}
	}
	return words.Schema(file{}).Document("cudabuild matrix", "matrix.yaml: which CUDA images are wanted.")
}

func checkBuilder(text, what string) (message, next string) {
	if _, _, err := address.Parse(text); err != nil {
		return fmt.Sprintf("%s: %q: %v", what, text, err), hint.Of(err)
	}
	return "", ""
}

func checkGlob(text, what string) (message, hint string) {
	if _, err := path.Match(text, ""); err != nil {
		return fmt.Sprintf("%s: glob %q: %v", what, text, err), globForm
	}
	return "", ""
}

// anyWord is what the name of an OS, a release, a platform or a flavor may be, or a glob on them.
var anyWord = regexp.MustCompile(`^[A-Za-z0-9*?\[][A-Za-z0-9*?\[\]^._/-]*$`)

// names is what a glob on tags may be: no tag has a colon or a slash.
var names = regexp.MustCompile(`^[^:/]+$`)

func checkNames(text, what string) (message, hint string) {
	if !names.MatchString(text) {
		return fmt.Sprintf("%s: glob %q matches no tag", what, text), "a tag is what stands behind the colon of a name: *-[0-9][0-9].[0-9][0-9]"
	}
	return checkGlob(text, what)
}

// builtin is what holds where neither an entry nor defaults says otherwise.
func builtin() lists {
	l := lists{Platforms: []spec.Word{{Text: "linux/amd64"}}, Samples: []spec.Word{}}
	for _, f := range recipes.Flavors() {
		l.Flavors = append(l.Flavors, spec.Word{Text: string(f)})
	}
	return l
}

// or returns l with what it does not say taken from other.
func (l lists) or(other lists) lists {
	l.Partial = l.Partial || other.Partial
	if l.Platforms == nil {
		l.Platforms = other.Platforms
	}
	if l.Flavors == nil {
		l.Flavors = other.Flavors
	}
	if l.Samples == nil {
		l.Samples = other.Samples
	}
	return l
}

// ordered returns the keys of a mapping as they stand in the file.
func ordered[T any](m map[spec.Word]T) []spec.Word {
	keys := make([]spec.Word, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b spec.Word) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return keys
}

func contains(words []spec.Word, text string) bool {
	return slices.ContainsFunc(words, func(w spec.Word) bool { return w.Text == text })
}

func texts(words []spec.Word) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.Text
	}
	return list
}

// pair is an OS and a CUDA release by their words in the file.
type pair struct{ os, cuda spec.Word }

func (p pair) is(os, cuda string) bool { return p.os.Text == os && p.cuda.Text == cuda }

// glob reports whether the file does not say the pair in so many words.
func (p pair) glob() bool { return p.os.Glob || p.cuda.Glob }

// excludes reports whether the entry does not make a pair.
func (e *entry) excludes(p pair) bool {
	return slices.ContainsFunc(e.Exclude, func(x exclude) bool { return p.is(x.OS.Text, x.CUDA.Text) })
}

// checkExcludes reports what an entry excludes twice, or does not make, and leaves it out.
func checkExcludes(f *spec.File, e *entry) {
	all := e.Exclude
	e.Exclude = nil
	for _, x := range all {
		p := pair{x.OS, x.CUDA}
		switch {
		case x.OS.Text == "" || x.CUDA.Text == "": // reported
		case e.excludes(p):
			f.At(x.At, "remove one of the two", "exclude: CUDA %s on %s is excluded twice", x.CUDA.Text, x.OS.Text)
		case !contains(e.OS, x.OS.Text) || !contains(e.CUDA, x.CUDA.Text):
			f.At(x.At, "remove it", "exclude: the entry makes no CUDA %s on %s", x.CUDA.Text, x.OS.Text)
		default:
			e.Exclude = append(e.Exclude, x)
		}
	}
}
