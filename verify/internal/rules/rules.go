// SPDX-License-Identifier: Apache-2.0

// Package rules knows what a file is by its path and by what it says of itself: the rules are
// data in the YAML files beside this one, and [Set.Classify] applies them to one file.
package rules

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed *.yaml
var files embed.FS

// Severity is what one finding means for the verdict; SeverityInfo means nothing for it.
type Severity string

// The severities.
const (
	SeverityFail Severity = "fail"
	SeverityWarn Severity = "warn"
	SeverityInfo Severity = "info"
)

// Rules that code refers to, because a file can break them by more than a row that names it, or because
// they are about a layer as a whole.
const (
	Unreadable    = "unreadable"
	DriverLibrary = "driver-library"
	DriverProgram = "driver-program"
	DriverPackage = "driver-package"
	LinkerCache   = "ld-cache-residue"
	MountPoint    = "mount-point"
	StubMisplaced = "stub-misplaced"
	Provider      = "driver-api-provider"
	ForwardCompat = "forward-compat"
	CondaCompat   = "conda-compat"
	DeviceNode    = "device-node"
)

// Rule is one kind of finding.
type Rule struct {
	ID       string    `yaml:"id"`
	Kind     string    `yaml:"-"` // Library, path, package or class: what Match is compared with
	Severity Severity  `yaml:"severity"`
	Reason   string    `yaml:"reason"` // why it matters
	Fix      string    `yaml:"fix"`    // what to do about it
	Since    string    `yaml:"since"`  // release of cudabuild that introduced it
	Match    []Pattern `yaml:"match"`  // any one is enough; none for kind class
}

// Pattern is one way to recognise what a rule is about. The comments in
// rules/*.yaml say what each field means for each kind.
type Pattern struct {
	Stem       string   `yaml:"stem"`
	Name       string   `yaml:"name"`
	Source     string   `yaml:"source"` // where the fact comes from
	Stub       bool     `yaml:"stub"`
	Code       uint64   `yaml:"code"`
	Compat     bool     `yaml:"compat"`
	CUDA       bool     `yaml:"cuda"`
	Capability string   `yaml:"capability"`
	Target     string   `yaml:"target"`
	Exports    []string `yaml:"exports"`
	Proof      []string `yaml:"proof"`
	Needed     string   `yaml:"needed"`
	Pattern    string   `yaml:"pattern"`
	Except     string   `yaml:"except"`
	NotIn      []string `yaml:"not_in"`
	Text       []string `yaml:"text"`
	Word       string   `yaml:"word"`
	Type       string   `yaml:"type"`
	Example    string   `yaml:"example"` // a path or package name that must match
}

// Set is the rules, indexed for speed.
type Set struct {
	List      []Rule
	Version   string // a hash over the files
	byID      map[string]*Rule
	stems     map[string]*Library
	libraries []*Library
	families  []family
	Symbols   map[string]bool // every symbol that some library row names
	words     []wordGroup
	packages  []packagePattern
	texts     []textRow            // of libraries and programs
	streamed  map[string][]textRow // of other files, by the type of the row
}

// Library is a row of the rules about libraries.
type Library struct {
	Pattern
	Rule *Rule
}

// label is what messages call the library.
func (l *Library) label() string {
	if l.Stem != "" {
		return l.Stem
	}
	return l.Name
}

// family is libraries that no row names one by one.
type family struct {
	re     *regexp.Regexp // of the whole file name
	except *regexp.Regexp // nil if there is none
	row    *Library
}

// wordGroup holds the path patterns that need not be tried on paths without word.
type wordGroup struct {
	word     string
	patterns []PathPattern
}

// PathPattern is a row of the rules about paths.
type PathPattern struct {
	rule *Rule
	re   *regexp.Regexp
	at   int // number of the group "at", -1 if there is none
	kind string
}

type packagePattern struct {
	rule   *Rule
	re     *regexp.Regexp
	except *regexp.Regexp // nil if there is none
	notIn  []string
}

// Load parses the embedded rules. They are part of the program and tested,
// so a mistake in them is a panic.
var Load = sync.OnceValue(func() *Set {
	set := &Set{byID: map[string]*Rule{}, stems: map[string]*Library{}, Symbols: map[string]bool{}, streamed: map[string][]textRow{}}
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic(err)
	}
	sum := sha256.New()
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		if err := set.parse(data); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
	}
	set.Version = hex.EncodeToString(sum.Sum(nil)[:8])
	set.index()
	return set
})

func (s *Set) parse(data []byte) error {
	var file struct {
		Kind  string `yaml:"kind"`
		Rules []Rule `yaml:"rules"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return err
	}
	for _, r := range file.Rules {
		r.Kind = file.Kind
		s.List = append(s.List, r)
	}
	return nil
}

func (s *Set) index() {
	groups := map[string]int{}
	for i := range s.List {
		r := &s.List[i]
		s.byID[r.ID] = r
		for _, p := range r.Match {
			switch r.Kind {
			case "library":
				s.addLibrary(&Library{Pattern: p, Rule: r})
			case "package":
				s.packages = append(s.packages, packagePattern{r, whole(p.Pattern), whole(p.Except), p.NotIn})
			case "path":
				s.addPath(r, p, groups)
			}
		}
	}
}

// whole is a pattern that must match all of a name, nil for none.
func whole(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	return regexp.MustCompile(`^(?:` + pattern + `)$`)
}

// addPath adds a row that tells by the path, by texts in the file, or by either.
func (s *Set) addPath(r *Rule, p Pattern, groups map[string]int) {
	pattern := PathPattern{rule: r, kind: p.Type, at: -1}
	if p.Pattern == "" {
		s.streamed[p.Type] = append(s.streamed[p.Type], textRow{texts: p.Text, path: &pattern})
		return
	}
	word := cmp.Or(p.Word, "nvidia")
	at, ok := groups[word]
	if !ok {
		at = len(s.words)
		groups[word] = at
		s.words = append(s.words, wordGroup{word: word})
	}
	pattern.re = regexp.MustCompile(p.Pattern)
	pattern.at = pattern.re.SubexpIndex("at")
	s.words[at].patterns = append(s.words[at].patterns, pattern)
	if len(p.Text) > 0 {
		s.texts = append(s.texts, textRow{texts: p.Text, path: &pattern})
	}
}

func (s *Set) addLibrary(l *Library) {
	s.libraries = append(s.libraries, l)
	if l.Stem != "" {
		s.stems[l.Stem] = l
	}
	if l.Pattern.Pattern != "" {
		s.families = append(s.families, family{whole(l.Pattern.Pattern), whole(l.Except), l})
	}
	if len(l.Text) > 0 {
		s.texts = append(s.texts, textRow{texts: l.Text, lib: l})
	}
	for _, names := range [][]string{l.Exports, l.Proof} {
		for _, n := range names {
			s.Symbols[n] = true
		}
	}
}

// Find returns a rule, nil if there is none of that name.
func (s *Set) Find(id string) *Rule { return s.byID[id] }

// Severity returns the severity of a rule, fail for one that is not known.
func (s *Set) Severity(id string) Severity {
	if r := s.byID[id]; r != nil {
		return r.Severity
	}
	return SeverityFail
}

// DriverPackage returns the rule that a package of this name breaks, nil if none. of is
// the package manager, as far as rows ask for it.
func (s *Set) DriverPackage(name, of string) *Rule {
	for _, p := range s.packages {
		if p.re.MatchString(name) && (p.except == nil || !p.except.MatchString(name)) && !slices.Contains(p.notIn, of) {
			return p.rule
		}
	}
	return nil
}

// splitLibrary cuts "libcuda.so.550.54" into "libcuda" and ".550.54". It is asked about every file
// of an image, and takes a fifth of the time of a regular expression.
func splitLibrary(base string) (stem, version string, ok bool) {
	for at := 0; ; at++ {
		next := strings.Index(base[at:], ".so")
		if next < 0 {
			return "", "", false
		}
		at += next
		if version = base[at+len(".so"):]; at > 0 && areNumbers(version) {
			return base[:at], version, true
		}
	}
}

// areNumbers reports whether s is numbers with a dot in front of each, or "".
func areNumbers(s string) bool {
	for i, c := range []byte(s) {
		last := i+1 == len(s)
		switch {
		case c == '.' && !last && s[i+1] != '.':
		case i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return true
}

// wheelInfix is what auditwheel puts behind the stem.
var wheelInfix = regexp.MustCompile(`^.+-[0-9a-f]{8}$`)

// LibraryNamed returns the Library that a file name or SONAME belongs to and the
// version behind ".so", without the dot. It returns nil for any other name.
func (s *Set) LibraryNamed(base string) (l *Library, version string) {
	stem, suffix, ok := splitLibrary(base)
	if !ok {
		return nil, ""
	}
	version = strings.TrimPrefix(suffix, ".")
	if l := s.stems[stem]; l != nil {
		return l, version
	}
	if strings.Contains(stem, "-") && wheelInfix.MatchString(stem) {
		stem = stem[:len(stem)-len("-1a2b3c4d")]
		if l := s.stems[stem]; l != nil {
			return l, version
		}
	}
	return s.family(stem, suffix), version
}

// family returns the Library of a name that no row has but a pattern fits, nil for others.
func (s *Set) family(stem, version string) *Library {
	name := stem + ".so" + version
	for _, f := range s.families {
		if f.re.MatchString(name) && (f.except == nil || !f.except.MatchString(name)) {
			l := *f.row
			l.Stem = stem
			return &l
		}
	}
	return nil
}
