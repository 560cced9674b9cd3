// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/gpu"
)

const head = `# What was predicted, and what was seen

Made from the rows in [ledger](../../ledger) by ` + "`go run ./bench/predictions`" + `; do not edit. A case is an image (its digest) on the GPUs that it was
given, however often it ran; it counts by its newest row, and agrees if each engine's newest row does. Rows are never changed: one that the rules of
its day had wrong stays, and its case says so. Predictions were made and written down before the run, from the image's files and the host's facts
([gpu](../../docs/gpu.md), [portability](../../docs/portability.md)).
`

// page is the whole document. ledger is the way from the page to the ledger.
func page(cases []*one, ledger string) string {
	var b strings.Builder
	b.WriteString(head)
	classes, seen := count(cases)
	fmt.Fprintf(&b, "\n%d cases, %d of them predicted not to pass, in %d classes; %d agree.\n", len(cases), notToPass(cases), failing(cases), agreeing(cases))
	b.WriteString("\n## Predicted against seen\n\nEach cell counts cases.\n\n| predicted | " + strings.Join(seen, " | ") + " | cases | agree |\n| --- |" + strings.Repeat(" ---: |", len(seen)+2) + "\n")
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		fmt.Fprintf(&b, "| %s |", class)
		of := classes[class]
		for _, s := range seen {
			n := 0
			for _, c := range of {
				if c.seen() == s {
					n++
				}
			}
			b.WriteString(number(n))
		}
		fmt.Fprintf(&b, " %d | %d |\n", len(of), agreeing(of))
	}
	b.WriteString("\n## Every case\n\n| image | digest | GPUs | predicted | seen | rows | agrees |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, c := range cases {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", c.cell, c.digest, c.gpus, c.class(), c.seen(), c.links(ledger), c.verdict())
	}
	return b.String()
}

func count(cases []*one) (classes map[string][]*one, seen []string) {
	classes = map[string][]*one{}
	for _, c := range cases {
		classes[c.class()] = append(classes[c.class()], c)
		if !slices.Contains(seen, c.seen()) {
			seen = append(seen, c.seen())
		}
	}
	slices.Sort(seen)
	return classes, seen
}

func notToPass(cases []*one) (n int) {
	for _, c := range cases {
		if r := c.newest.Prediction.Result; r != gpu.Passed && r != "" {
			n++
		}
	}
	return n
}

// failing counts the classes of those that were predicted not to pass.
func failing(cases []*one) int {
	classes := map[string]bool{}
	for _, c := range cases {
		if r := c.newest.Prediction.Result; r != gpu.Passed && r != "" {
			classes[c.class()] = true
		}
	}
	return len(classes)
}

func agreeing(cases []*one) (n int) {
	for _, c := range cases {
		if c.agrees() {
			n++
		}
	}
	return n
}

func number(n int) string {
	if n == 0 {
		return " |"
	}
	return fmt.Sprintf(" %d |", n)
}

// verdict says whether the case agrees, and how many rows did not before the rules were mended.
func (c *one) verdict() string {
	switch {
	case !c.agrees():
		return "**no**"
	case c.wrong > 0:
		return fmt.Sprintf("yes; %d older rows did not", c.wrong)
	}
	return "yes"
}

// links are the files with the case's rows, by engine.
func (c *one) links(ledger string) string {
	var out []string
	for _, file := range c.files {
		out = append(out, fmt.Sprintf("[%s](%s/%s)", strings.TrimSuffix(path.Base(file), ".json"), ledger, file))
	}
	return fmt.Sprintf("%d: %s", c.rows, strings.Join(out, " "))
}
