// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/gpu"
)

// one is a case: an image, or a test of it, on some GPUs, with all its rows.
type one struct {
	cell, digest, gpus string
	newest             gpu.Row
	of                 map[string]gpu.Row // the newest of each engine
	rows, wrong        int                // wrong ones do not agree
	files              []string           // of the ledger
}

// agrees says whether what was seen last, by each engine, is what today's rules say.
func (c *one) agrees() bool {
	for _, row := range c.of {
		if !agree(row) {
			return false
		}
	}
	return true
}

func agree(row gpu.Row) bool { return row.Agrees != nil && *row.Agrees }

// casesOf sorts cases by class, then cell and GPUs.
func casesOf(rows []gpu.Observation) []*one {
	byKey := map[string]*one{}
	var all []*one
	for _, o := range rows {
		if o.Row.StandIn || o.Row.Dry {
			continue
		}
		gpus, cell := gpusOf(o), o.Row.Cell
		if o.Row.Test != "" {
			cell = strings.TrimSpace(cell + " " + o.Row.Sample)
		}
		key := o.Row.Digest + " " + o.Row.Test + " " + gpus
		c := byKey[key]
		if c == nil {
			c = &one{cell: cell, digest: shorten(o.Row.Digest), gpus: gpus, of: map[string]gpu.Row{}}
			byKey[key] = c
			all = append(all, c)
		}
		c.add(o)
	}
	slices.SortFunc(all, func(a, b *one) int {
		return cmp.Or(strings.Compare(a.class(), b.class()), strings.Compare(a.cell, b.cell), strings.Compare(a.gpus, b.gpus), strings.Compare(a.digest, b.digest))
	})
	return all
}

func (c *one) add(o gpu.Observation) {
	if c.rows++; !agree(o.Row) {
		c.wrong++
	}
	if !o.Row.Started.Before(c.newest.Started) {
		c.newest = o.Row
	}
	if engine := string(o.Row.Engine); !o.Row.Started.Before(c.of[engine].Started) {
		c.of[engine] = o.Row
	}
	if !slices.Contains(c.files, o.File) {
		c.files = append(c.files, o.File)
	}
}

// class is what was predicted: the verdict, and the error where one was.
func (c *one) class() string {
	p := c.newest.Prediction
	switch {
	case p.CUDAErrorCode != 0:
		return fmt.Sprintf("%s, error %d", p.Verdict, p.CUDAErrorCode)
	case p.Result == gpu.Failed:
		return p.Verdict + ", error not predicted"
	}
	return p.Verdict
}

// seen is what the newest row showed: the CUDA error where there is one.
func (c *one) seen() string { return cmp.Or(c.newest.CUDAError, string(c.newest.Result)) }

// gpusOf names the GPUs by model and index, because UUIDs are those of one machine.
// Rows without indexes are from hosts of which all GPUs were used.
func gpusOf(o gpu.Observation) string {
	if len(o.Row.Devices) == 0 || len(o.Host.GPUs) == 0 {
		return "none"
	}
	indexes := o.Row.Indexes
	if indexes == nil {
		indexes = gpu.Indexes(o.Host.GPUs)
	}
	var words []string
	for _, i := range indexes {
		words = append(words, strconv.Itoa(i))
	}
	return fmt.Sprintf("%s, %s of %d", o.Host.GPUs[0].Name, strings.Join(words, "+"), len(o.Host.GPUs))
}

func shorten(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(len(hex), 12)]
}
