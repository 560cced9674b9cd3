// SPDX-License-Identifier: Apache-2.0

package page

import (
	"slices"

	"github.com/cudabuild/cudabuild/report"
)

// inOrder is a document with its driver branches and GPUs in the order in which a reader needs them, and all grids with them: of
// branches first those that get updates or that a host here has, then the others; of all the newest first.
func inOrder(d *report.Document) *report.Document {
	var order, last []int // indexes into d.Drivers, which has the oldest first
	for i, driver := range slices.Backward(d.Drivers) {
		if driver.Ended && len(driver.Hosts) == 0 {
			last = append(last, i)
		} else {
			order = append(order, i)
		}
	}
	order = append(order, last...)

	sorted := *d
	sorted.Drivers = make([]report.Driver, len(order))
	for to, from := range order {
		sorted.Drivers[to] = d.Drivers[from]
	}
	sorted.GPUs = slices.Clone(d.GPUs)
	slices.Reverse(sorted.GPUs)
	n := len(d.GPUs)
	sorted.Images = slices.Clone(d.Images)
	for i := range sorted.Images {
		image := &sorted.Images[i]
		image.Platforms = slices.Clone(image.Platforms)
		for j := range image.Platforms {
			p := &image.Platforms[j]
			if len(p.Grid) != len(order)*n {
				continue // of other drivers and GPUs: it is not shown
			}
			grid := make([]int, 0, len(p.Grid))
			for _, from := range order {
				grid = append(grid, p.Grid[from*n:(from+1)*n]...)
				slices.Reverse(grid[len(grid)-n:])
			}
			p.Grid = grid
		}
	}
	return &sorted
}
