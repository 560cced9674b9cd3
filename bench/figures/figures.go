// SPDX-License-Identifier: Apache-2.0

// Package figures is about what was measured several times.
package figures

import "slices"

// Median returns the middle one, or what is between the two in the middle. There must be one.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
