// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/support"
)

// branchEnd is when NVIDIA ends a driver branch: a month, "" where it has ended and no source
// says when.
type branchEnd struct{ date, source string }

// Where NVIDIA says when driver branches end.
const (
	drivers2021 = "NVIDIA CUDA and Drivers Support, RN-08625-001 v02, March 2021"
	chart2024   = "CUDA Container Tag Support EOL Chart, doc/container_tags.xlsx of gitlab.com/nvidia/container-images/cuda, December 2024"
	drivers580  = "NVIDIA Data Center Drivers, v580: Supported Drivers and CUDA Toolkit Versions"
	drivers615  = "NVIDIA Data Center Drivers, v615: Supported Drivers and CUDA Toolkit Versions"
	drivers620  = "NVIDIA Data Center Drivers, v620: Supported Drivers and CUDA Toolkit Versions"
)

// branchEnds has the branches of which NVIDIA names the end. A new feature branch need not have
// one until the next is out: 615 has none. Those of endsBefore that are not here are over:
// v580 says so of all older ones that it does not list, 575 among them, and v615 of 590.
var branchEnds = map[int]branchEnd{
	418: {"2022-03", drivers2021},
	440: {"2020-11", drivers2021},
	450: {"2023-07", drivers2021},
	460: {"2022-01", drivers2021},
	470: {"2024-07", chart2024},
	535: {"2026-06", drivers615},
	550: {"2025-02", chart2024},
	570: {"2026-02", drivers580},
	580: {"2028-06", drivers620},
	590: {"", drivers615},
	595: {"2027-03", drivers620},
	610: {"2026-08", drivers615},
	620: {"2029-09", drivers620},
}

// newFeatureBranches are short-lived ones, which NVIDIA's page of v615 names as such.
var newFeatureBranches = []int{610, 615}

// NewFeature reports whether the branch of a driver is one that hosts leave for a production branch
// long before NVIDIA ends the CUDA release that it came with.
func NewFeature(driver string) bool { return slices.Contains(newFeatureBranches, Major(driver)) }

// endsBefore is the branch before which all are over that branchEnds does not have.
const endsBefore = 580

// DriverEnd returns when the branch of a driver, "535.161.07" or "535", ends. It is nil where
// that is not known: of a number before all branches known here, and of one after those that are over
// that is none of them.
func DriverEnd(driver string) *support.End {
	major := Major(driver)
	end, named := branchEnds[major]
	switch {
	case named:
	case branches[0].major <= major && major < endsBefore:
		end.source = drivers580
	default:
		return nil
	}
	day, _ := support.Day(end.date)
	return &support.End{Date: day, What: fmt.Sprintf("driver branch R%d", major), Source: end.source}
}
