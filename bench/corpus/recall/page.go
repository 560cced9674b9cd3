// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// group is one line of the first table.
func (r result) group() string {
	if r.class.kind == library && !r.class.exports {
		return "other library"
	}
	if r.class.kind == library {
		return "library with an export class"
	}
	return r.class.kind
}

// rate counts how many of how many.
type rate struct{ found, all int }

func (r rate) String() string {
	switch {
	case r.all == 0:
		return "-"
	case r.found == r.all:
		return fmt.Sprintf("100 %% (%d)", r.all)
	}
	return fmt.Sprintf("%.1f %% (%d of %d)", 100*float64(r.found)/float64(r.all), r.found, r.all)
}

func (r *rate) add(found bool) {
	r.all++
	if found {
		r.found++
	}
}

// history says what the rules were written from, so that nobody takes the tables for
// more than they are. What a run found of files before a rule knew them stays here.
const history = `## What the rules have seen

Each rule was written from files like these, so the tables below show the rules on files they were tuned on. Two runs were not:

- The first over 340, 390, 418, 450, 460, 535, 550 and 555: SONAME overwritten and no section headers 98.2 % (218 of 222) of the
  libraries with an export class, programs renamed 89.7 % (26 of 29), other libraries plain 93.3 % (28 of 30). The rules that the
  misses became moved some rows into the first group.
- The first over 470.256.02 and 525.147.05, with the rules as they were after that. It is an independent test, but for the export
  sets of the commonest libraries, which had been read off some files of these two branches too. Plain, deleted, overwritten and
  hard-linked it found all 88 files. Over all disguises:

| branch | library with an export class | other library | program | firmware | kernel module |
| --- | --- | --- | --- | --- | --- |
| 470 | 99.4 % (346 of 348) | 100 % (48) | 96.7 % (87 of 90) | 55.6 % (5 of 9) | 88.9 % (16 of 18) |
| 525 | 100 % (372) | 100 % (36) | 100 % (36) | 100 % (18) | 88.9 % (16 of 18) |

Missed were, of 470: libnvidia-nvvm once name and SONAME are gone, nvidia-cuda-mps-control renamed, gsp.bin renamed or in a wheel; of both:
hard links to kernel objects of a lower layer. The class of one file was wrong: 525's libnvidia-compiler has the exports of
libnvidia-nvvm as well. nvidia-cuda-mps-control, gsp.bin under its name, the links and the class are mended since. libnvidia-nvvm
cannot be: 470's is the toolkit's libnvvm.so.4 under another name, with the same exports and texts. It counts as another library.

`

// Page is all that was found, as tables in Markdown.
func (s *Score) Page() string {
	var b strings.Builder
	b.WriteString("# What is found of real drivers\n\n")
	b.WriteString("Made by `make corpus`: every file of the driver in Debian's packages, put into images under each disguise. ")
	b.WriteString("A number is a share of files, with the number of files behind it.\n\n")
	fmt.Fprintf(&b, "Driver releases: %s.\n\n", strings.Join(names(s.judged), ", "))
	b.WriteString(history)
	s.groups(&b)
	s.byBranch(&b)
	s.leftOut(&b)
	s.details(&b)
	s.missed(&b)
	return b.String()
}

func names(releases []Release) []string {
	var list []string
	for _, r := range releases {
		list = append(list, r.Version)
	}
	return list
}

var groups = []string{"library with an export class", "other library", program, firmware, kernel}

func (s *Score) groups(b *strings.Builder) {
	b.WriteString("## Recall by group and disguise\n\n| disguise | " + strings.Join(groups, " | ") + " |\n| --- " + strings.Repeat("| --- ", len(groups)) + "|\n")
	for _, d := range disguises {
		s.row(b, d.name, func(r result) bool { return r.disguise == d.name })
	}
	b.WriteString("\n")
}

// byBranch is recall over all disguises.
func (s *Score) byBranch(b *strings.Builder) {
	b.WriteString("## Recall by branch, over all disguises\n\n| branch | " + strings.Join(groups, " | ") + " |\n| --- " + strings.Repeat("| --- ", len(groups)) + "|\n")
	for _, branch := range s.branches() {
		s.row(b, branch, func(r result) bool { return r.branch() == branch })
	}
	b.WriteString("\n")
}

// row writes how many of some results are found, by group.
func (s *Score) row(b *strings.Builder, name string, of func(result) bool) {
	b.WriteString("| " + name)
	for _, g := range groups {
		var n rate
		for _, r := range s.results {
			if r.group() == g && of(r) {
				n.add(r.found)
			}
		}
		b.WriteString(" | " + n.String())
	}
	b.WriteString(" |\n")
}

// leftOut counts, for each branch, the renamed files that evidence of other branches finds.
func (s *Score) leftOut(b *strings.Builder) {
	b.WriteString("## One branch left out\n\nRenamed files of a branch that are found by evidence that also finds files of other branches: ")
	b.WriteString("the rules would be the same had the branch never been looked at. Classes that one branch alone has are named.\n\n")
	b.WriteString("| branch | found | only seen in this branch |\n| --- | --- | --- |\n")
	for _, branch := range s.branches() {
		var n rate
		only := map[string]bool{}
		for _, r := range s.results {
			if r.disguise != "renamed" || r.branch() != branch || !r.found {
				continue
			}
			elsewhere := s.evidenceOutside(branch, r.evidence)
			n.add(elsewhere)
			if !elsewhere {
				only[r.class.name] = true
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", branch, n, strings.Join(sortedKeys(only), ", "))
	}
	b.WriteString("\n")
}

func (s *Score) branches() []string {
	set := map[string]bool{}
	for _, r := range s.results {
		set[r.branch()] = true
	}
	return sortedKeys(set)
}

func (s *Score) evidenceOutside(branch, evidence string) bool {
	return slices.ContainsFunc(s.results, func(r result) bool {
		return r.disguise == "renamed" && r.branch() != branch && r.found && r.evidence == evidence
	})
}

// details says how often the class and the version of what was found are right.
func (s *Score) details(b *strings.Builder) {
	var named, right, renamed rate
	for _, r := range s.results {
		if !r.found {
			continue
		}
		right.add(r.wrong == "")
		if r.renamed {
			renamed.add(r.version != "")
		} else {
			named.add(r.version != "")
		}
	}
	fmt.Fprintf(b, "Class and version are right in %s of the findings. A driver version is named in %s of the findings on files "+
		"that keep their name, and in %s of those on renamed files.\n\n", right, named, renamed)
}

// missed lists the classes that are not always found.
func (s *Score) missed(b *strings.Builder) {
	type key struct{ group, class, disguise string }
	rates := map[key]*rate{}
	for _, r := range s.results {
		k := key{r.group(), r.class.name, r.disguise}
		if rates[k] == nil {
			rates[k] = &rate{}
		}
		rates[k].add(r.found)
	}
	var keys []key
	for k, n := range rates {
		if n.found < n.all {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.class, b.class), cmp.Compare(a.disguise, b.disguise))
	})
	b.WriteString("## Missed\n\n")
	if len(keys) == 0 {
		b.WriteString("Nothing.\n")
		return
	}
	b.WriteString("| group | file | disguise | found |\n| --- | --- | --- | --- |\n")
	for _, k := range keys {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", k.group, k.class, k.disguise, rates[k])
	}
}

// mustFind are the disguises under which everything has to be found.
var mustFind = []string{"plain", "deleted", "hard-linked"}

// Verdict is an error that lists what must not be missed and was, and what is wrong.
func (s *Score) Verdict() error {
	if len(s.results) == 0 {
		return errors.New("no file of a driver was judged")
	}
	problems := map[string]bool{}
	for _, r := range s.results {
		if !r.found && (r.class.exports || slices.Contains(mustFind, r.disguise)) {
			problems[fmt.Sprintf("missed: driver %s, %s, %s", r.release, r.class.name, r.disguise)] = true
		}
		if r.wrong != "" {
			problems["wrong: "+r.wrong] = true
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(sortedKeys(problems), "\n"))
}

func sortedKeys(set map[string]bool) []string {
	var list []string
	for k := range set {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
