// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Select returns the GPUs that request names, in the host's order: "all", "none",
// or a list with commas of indexes, UUIDs ("GPU-..." or an unambiguous beginning of
// one), PCI bus ids ("0000:00:06.0", "00000000:00:06.0" or "00:06.0") and slices of
// divided GPUs ("MIG-..." or "0:1", the second of the first GPU). A slice is its GPU with
// the slice's UUID. The error wraps [ErrNoGPU] and says what there is.
func Select(gpus []GPU, request string) ([]GPU, error) {
	switch request = strings.TrimSpace(request); request {
	case "all":
		return slices.Clone(gpus), nil
	case "none", "void":
		return nil, nil
	}
	there := choices(gpus)
	chosen := make([]bool, len(there))
	for word := range strings.SplitSeq(request, ",") {
		i, err := find(gpus, there, strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		chosen[i] = true
	}
	var out []GPU
	for i, d := range there {
		if chosen[i] {
			out = append(out, d.GPU)
		}
	}
	return out, nil
}

// choice is a GPU or a slice of one, by the place that names it.
type choice struct {
	GPU
	place string // "0:1" of a slice, "" of a GPU
}

func choices(gpus []GPU) (all []choice) {
	for _, g := range gpus {
		all = append(all, choice{GPU: g})
		for _, m := range g.MIGDevices {
			slice := g
			slice.UUID = m.UUID
			all = append(all, choice{slice, fmt.Sprintf("%d:%d", g.Index, m.Index)})
		}
	}
	return all
}

func find(gpus []GPU, there []choice, word string) (int, error) {
	var found []int
	for i, d := range there {
		if d.place == "" && d.answersTo(word) || d.place != "" && (word == d.place || strings.EqualFold(word, d.UUID)) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("%w: %q means %d GPUs", ErrNoGPU, word, len(found))
	}
	return 0, fmt.Errorf("%w: %q; there is: %s", ErrNoGPU, word, names(gpus))
}

func (g GPU) answersTo(word string) bool {
	if word == "" {
		return false
	}
	if n, err := strconv.Atoi(word); err == nil {
		return n == g.Index
	}
	if rest, ok := strings.CutPrefix(word, "GPU-"); ok {
		return len(rest) >= 4 && strings.HasPrefix(strings.ToLower(g.UUID), "gpu-"+strings.ToLower(rest))
	}
	return busID(word) == busID(g.BusID)
}

// busID is the one spelling of a PCI address: domain of four digits, lower case.
func busID(s string) string {
	s = strings.ToLower(s)
	if strings.Count(s, ":") == 1 {
		s = "0000:" + s
	}
	domain, rest, _ := strings.Cut(s, ":")
	if len(domain) > 4 {
		domain = strings.TrimPrefix(domain, strings.Repeat("0", len(domain)-4))
	}
	return domain + ":" + rest
}

func names(gpus []GPU) string {
	if len(gpus) == 0 {
		return "none"
	}
	var out []string
	for _, g := range gpus {
		out = append(out, fmt.Sprintf("%d (%s, %s)", g.Index, g.UUID, g.BusID))
		for _, m := range g.MIGDevices {
			out = append(out, fmt.Sprintf("%d:%d (%s)", g.Index, m.Index, m.UUID))
		}
	}
	return strings.Join(out, ", ")
}

// UUIDs returns the UUID of each GPU, in order; never nil.
func UUIDs(gpus []GPU) []string {
	out := []string{}
	for _, g := range gpus {
		out = append(out, g.UUID)
	}
	return out
}

// Indexes returns the index of each GPU, in order.
func Indexes(gpus []GPU) []int {
	var out []int
	for _, g := range gpus {
		out = append(out, g.Index)
	}
	return out
}
