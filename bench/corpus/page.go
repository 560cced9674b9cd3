// SPDX-License-Identifier: Apache-2.0

package main

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

// page is the tables in Markdown.
func (s *score) page(releases []release) string {
	var b strings.Builder
	b.WriteString("# What is found of real drivers\n\n")
	b.WriteString("Made by `make corpus`: every file of the driver in Debian's packages, put into images under each disguise. ")
	b.WriteString("A number is a share of files, with the number of files behind it.\n\n")
	slices.SortFunc(releases, func(a, b release) int { return cmp.Compare(a.version, b.version) })
	fmt.Fprintf(&b, "Driver releases: %s.\n\n", strings.Join(names(releases), ", "))
	s.groups(&b)
	s.leftOut(&b)
	s.details(&b)
	s.missed(&b)
	return b.String()
}

func names(releases []release) []string {
	var list []string
	for _, r := range releases {
		list = append(list, r.version)
	}
	return list
}

var groups = []string{"library with an export class", "other library", program, firmware, kernel}

func (s *score) groups(b *strings.Builder) {
	b.WriteString("## Recall by group and disguise\n\n| disguise | " + strings.Join(groups, " | ") + " |\n| --- " + strings.Repeat("| --- ", len(groups)) + "|\n")
	for _, d := range disguises {
		b.WriteString("| " + d.name)
		for _, g := range groups {
			var n rate
			for _, r := range s.results {
				if r.disguise == d.name && r.group() == g {
					n.add(r.found)
				}
			}
			b.WriteString(" | " + n.String())
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n")
}

// leftOut counts, for each branch, the renamed files that evidence of other branches finds.
func (s *score) leftOut(b *strings.Builder) {
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

func (s *score) branches() []string {
	set := map[string]bool{}
	for _, r := range s.results {
		set[r.branch()] = true
	}
	return sortedKeys(set)
}

func (s *score) evidenceOutside(branch, evidence string) bool {
	return slices.ContainsFunc(s.results, func(r result) bool {
		return r.disguise == "renamed" && r.branch() != branch && r.found && r.evidence == evidence
	})
}

// details says how often the class and the version of what was found are right.
func (s *score) details(b *strings.Builder) {
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
func (s *score) missed(b *strings.Builder) {
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

// alarmPage says which clean packages were judged and what was said about them.
func alarmPage(clean, alarms []string) string {
	page := fmt.Sprintf("\n## False alarms\n\n%d findings in %d packages that carry nothing of the driver: %s.\n", len(alarms), len(clean), strings.Join(clean, ", "))
	for _, a := range alarms {
		page += "- " + a + "\n"
	}
	return page
}

// mustFind are the disguises under which everything has to be found.
var mustFind = []string{"plain", "deleted", "hard-linked"}

// verdict is an error that lists what must not be missed and was, and what is wrong.
func (s *score) verdict() error {
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
