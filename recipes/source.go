// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// Source is a vendor's package repositories, recipes/repository/NAME.yaml: where they
// are, who signs them, and what its releases have in common.
type Source struct {
	Name string `yaml:"source" form:"word"`
	// Roots are the addresses above the directories of the OSes, by name. The root
	// named like the source itself has the CUDA packages.
	Roots map[string]string `yaml:"roots" keys:"word" form:"address"`
	// Keys are all that ever signed, those that no longer do too.
	Keys []Key `yaml:"keys"`
	// Documents are where pins come from, by the short names that toolkits use. What one is must
	// not be changed by a later folder: pins would be said to be from what nobody has read there.
	Documents map[string]Document `yaml:"documents,fixed" keys:"word" each:"document"`
	// Policy names the document by which images of a release end when a newer point release is
	// there, and with the driver branch that it shipped with; "" if no such thing is said.
	Policy string `yaml:"policy"`
	// Brands are lists of GPU brands, by the names that requirements use for them.
	Brands map[string][]string `yaml:"brands" keys:"word" form:"word"`
	// Compilers says what nvcc compiles for, from a CUDA release on.
	Compilers []Compiler `yaml:"compilers"`

	path string // of the file, with the directory that it was read from
	keys string // the file of a folder that says Keys, "" if it is cudabuild's own
}

// Key is one that repositories are signed with.
type Key struct {
	ID          string `yaml:"id"`               // "3bf863cc"
	Fingerprint string `yaml:"fingerprint"`      // 40 hexadecimal digits, "" if no source gives it
	File        string `yaml:"file" form:"word"` // beside the packages, "3bf863cc.pub"
	// SHA256 is of the file's text without its Version line.
	SHA256 string `yaml:"sha256"`
	Since  string `yaml:"since"` // 2022-04-27
	// Serves names what it signs: "deb" or "rpm" for all repositories of these packages,
	// the directory of one OS ("rhel10"), or a root ("nvidia-ml").
	Serves []string `yaml:"serves" form:"word"`
	// StandIn marks a key that is not the vendor's: what it signs is source of no pin.
	StandIn string `yaml:"stand_in" form:"truth" json:",omitempty"` // addresses are hashed as JSON
}

// Document is something public that says which packages an image has.
type Document struct {
	Title string `yaml:"title" form:"line"`
	Date  string `yaml:"date"`
	// Newest is the last CUDA release that it has: nothing newer can have been read in it.
	Newest string `yaml:"newest"`
	// OS is which operating systems it has, none for any.
	OS []string `yaml:"os" form:"word"`
	// Kind is "copy" of what somebody else made after the vendor's own: it can be a witness only.
	Kind string `yaml:"kind"`

	by string // as in [Pin]
}

// Compiler is what a release's nvcc compiles samples for.
type Compiler struct {
	Since string `yaml:"since"` // CUDA release, "11.8"
	SASS  []int  `yaml:"sass"`
	PTX   int    `yaml:"ptx"`
}

// Address is one repository of an OS, ready for its package manager.
type Address struct {
	Name string // "nvidia", "nvidia-ml": of the list file
	URL  string // without a slash at the end
	Key  Key
}

// addresses are the repositories of an OS for a platform, the one with the CUDA packages
// first. There are none for an OS whose source has no roots of its own.
func (s Source) addresses(o OS, platform string) []Address {
	arch, packaged := o.Repository.Arch[platform]
	if len(s.Roots) == 0 || !packaged {
		return nil
	}
	var all []Address
	for _, root := range append([]string{s.Name}, o.Repository.Also...) {
		key, _ := s.key(root, o.Repository)
		url := s.Roots[root]
		if scheme := o.Repository.Scheme; scheme != "" {
			_, rest, _ := strings.Cut(url, "://")
			url = scheme + "://" + rest
		}
		all = append(all, Address{root, strings.TrimSuffix(url, "/") + "/" + path.Join(o.Repository.Dir, arch), key})
	}
	return all
}

// key returns the newest key that serves the root itself, else the directory, else
// the kind of packages.
func (s Source) key(root string, r Repository) (key Key, ok bool) {
	for _, what := range []string{root, r.Dir, r.Packages} {
		for _, k := range s.Keys {
			if slices.Contains(k.Serves, what) && (!ok || k.Since > key.Since) {
				key, ok = k, true
			}
		}
		if ok {
			return key, true
		}
	}
	return Key{}, false
}

var (
	keyID       = regexp.MustCompile(`^[0-9A-Fa-f]{8}$`)
	fingerprint = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)
	sha256Form  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func (s Source) check(f *spec.File) {
	if s.Roots[s.Name] == "" {
		f.At(f.Find("roots"), "", "roots: none is named %q, for the CUDA packages", s.Name)
	}
	for i, k := range s.Keys {
		k.check(f, strconv.Itoa(i))
	}
	for _, name := range sortedKeys(s.Documents) {
		s.Documents[name].check(f, name)
	}
	if _, ok := s.Documents[s.Policy]; s.Policy != "" && !ok {
		f.At(f.Find("policy"), suggest.Hint(s.Policy, sortedKeys(s.Documents)), "policy: no document is named %q", s.Policy)
	}
	for i, c := range s.Compilers {
		if len(c.SASS) == 0 || c.PTX == 0 || !slices.IsSorted(c.SASS) {
			f.At(f.Find("compilers", strconv.Itoa(i)), "", "compilers since %q: samples need sass, ascending, and ptx", c.Since)
		}
		if i > 0 && compat.Compare(s.Compilers[i-1].Since, c.Since) >= 0 {
			f.At(f.Find("compilers", strconv.Itoa(i), "since"), "", "compilers: %q is not after %q", c.Since, s.Compilers[i-1].Since)
		}
	}
}

// check reports what is wrong with the source's key i.
func (k Key) check(f *spec.File, i string) {
	bad := func(key, format string, args ...any) { f.At(f.Find("keys", i, key), "", format, args...) }
	switch {
	case !keyID.MatchString(k.ID):
		bad("id", "key %q: want an id of 8 hexadecimal digits", k.ID)
	case k.Fingerprint != "" && !fingerprint.MatchString(k.Fingerprint):
		bad("fingerprint", "key %s: want a fingerprint of 40 hexadecimal digits, got %q", k.ID, k.Fingerprint)
	case k.Fingerprint != "" && !strings.EqualFold(k.Fingerprint[32:], k.ID):
		bad("fingerprint", "key %q: its fingerprint ends in %s", k.ID, k.Fingerprint[32:])
	case !sha256Form.MatchString(k.SHA256):
		bad("sha256", "key %s: sha256 %q is not one", k.ID, k.SHA256)
	case k.File == "":
		bad("file", "key %s: want the name of its file, got %q", k.ID, k.File)
	case !isDate(k.Since) || len(k.Serves) == 0:
		bad("since", "key %s: want since, a date such as 2022-04-27, and what it serves", k.ID)
	}
}

// samples returns what the nvcc of a CUDA release compiles for.
func (s Source) samples(cuda string) Samples {
	var found Samples
	for _, c := range s.Compilers {
		if compat.Compare(c.Since, cuda) <= 0 {
			found = Samples{SASS: c.SASS, PTX: c.PTX}
		}
	}
	return found
}
