// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"maps"
	"slices"
)

// History is one figure of rows that [Compare] would compare with one another.
type History struct {
	Figure string
	Better string // [Lower], or ""
	GPU    string // model
	GPUs   int    // that the program had
	// Starts are those that passed, oldest first; never empty.
	Starts []Start
}

// Start is the value of a figure at one start.
type Start struct {
	Observation

	Value float64
}

// Histories are those of all rows that passed on GPUs: stand-ins and dry rows have none. They stand in the order of their
// first starts, figures of one row by name.
func Histories(all []Observation) (out []History) {
	type series struct {
		of                        key
		figure, better, precision string
		bodies                    int
	}
	at := map[series]int{}
	all = slices.DeleteFunc(slices.Clone(all), func(o Observation) bool {
		return o.Row.Result != Passed || o.Row.Dry || o.Row.StandIn || o.Host.StandIn
	})
	slices.SortStableFunc(all, func(a, b Observation) int { return a.Row.Started.Compare(b.Row.Started) })
	for _, o := range all {
		figures, of := o.Row.figures(), keyOf(o.Host, o.Row)
		for _, name := range slices.Sorted(maps.Keys(figures)) {
			f := figures[name]
			s := series{of, name, f.Better, o.Row.Figures.Precision, o.Row.Figures.Bodies}
			i, known := at[s]
			if !known {
				i = len(out)
				at[s] = i
				out = append(out, History{Figure: name, Better: f.Better, GPU: of.gpu, GPUs: of.gpus})
			}
			out[i].Starts = append(out[i].Starts, Start{o, f.Value})
		}
	}
	return out
}

// BaselineOf is the baseline that starts set, whose values stand oldest first.
func BaselineOf(values []float64, better string) Baseline { return baselineOf(values, better) }

// Median is that of one value or more.
func Median(values []float64) float64 { return median(values) }
