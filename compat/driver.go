// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// DriverCUDA returns the CUDA release that a driver of this version reports, such
// as "12.4" for "550.54.14". A branch of which the tables know none, or that is newer than
// they are, counts as the one before it, because drivers run everything older than themselves. It returns
// "" for a driver older than the tables and for what is no version.
func DriverCUDA(driver string) string {
	cuda, major := "", Major(driver)
	for _, b := range branches {
		if b.major <= major && b.cuda != "" {
			cuda = b.cuda
		}
	}
	return cuda
}

// offer is which CUDA release a driver has; atLeast says that it may have a newer one.
type offer struct {
	driver, cuda string
	atLeast      bool
}

// offered returns what the tables say that a driver has. Of one after the last branch of which
// they know a release it is only known that it has no older one.
func offered(driver string) offer {
	last := len(branches) - 1
	for branches[last].cuda == "" {
		last--
	}
	return offer{driver, DriverCUDA(driver), Major(driver) > branches[last].major}
}

// offer is what the host says that its driver has, or else the tables.
func (h Host) offer() offer {
	if h.CUDA != "" {
		return offer{driver: h.Driver, cuda: h.CUDA}
	}
	return offered(h.Driver)
}

func (o offer) String() string {
	if o.atLeast {
		return fmt.Sprintf("driver %s offers at least CUDA %s, the newest known here", o.driver, o.cuda)
	}
	return fmt.Sprintf("driver %s offers CUDA %s", o.driver, o.cuda)
}

// newest stands for a CUDA release newer than any that the tables know.
const newest = "999"

// FirstDriver returns the driver that came with a CUDA release, the oldest with all
// of its features: "550.54.14" for "12.4" or "12.4.1". It returns "" for a release
// that the tables do not have.
func FirstDriver(cuda string) string { return find(cuda).driver }

// PTXRelease returns the first CUDA release whose driver compiles PTX of this ISA
// version: "12.4" for "8.4". It returns "" for one newer than the tables.
func PTXRelease(isa string) string {
	for _, r := range releases {
		if Compare(r.ptx, isa) >= 0 {
			return r.cuda
		}
	}
	return ""
}

// PTXVersion returns the ISA version of the PTX that a CUDA release's compiler
// writes: "8.4" for "12.4". It returns false for a release that the tables do not have.
func PTXVersion(cuda string) (isa string, ok bool) {
	isa = find(cuda).ptx
	return isa, isa != ""
}

// find returns the row of a CUDA release, the zero row if there is none.
func find(cuda string) release {
	cuda = minor(cuda)
	for _, r := range releases {
		if Compare(r.cuda, cuda) == 0 {
			return r
		}
	}
	return release{}
}

// MinorFloor returns the oldest driver that runs every minor release of cuda's
// major release, and false where there is no such promise (10.2 and older, and
// majors newer than the tables).
func MinorFloor(cuda string) (driver string, ok bool) {
	driver, ok = minorFloors[Major(cuda)]
	return driver, ok
}

// Drivers returns one driver for each branch that hosts stay on for long, oldest
// first: the branch's first release, or the minor-version floor that lies in it.
func Drivers() []string {
	var drivers []string
	for _, b := range branches {
		if b.listed {
			drivers = append(drivers, b.driver())
		}
	}
	return drivers
}

// Branches returns every driver branch known here, oldest first.
func Branches() []int {
	var majors []int
	for _, b := range branches {
		majors = append(majors, b.major)
	}
	return majors
}

// Forward returns the driver branches that cuda-compat of a CUDA release was made for, nil if
// the tables do not say.
func Forward(cuda string) []int { return slices.Clone(forwardBranches[minor(cuda)]) }

func (b branch) driver() string {
	driver := strconv.Itoa(b.major)
	for _, d := range knownDrivers() {
		if Major(d) == b.major {
			driver = d // the last one: floors are newer than first releases
		}
	}
	return driver
}

// knownDrivers returns the drivers that the tables name, sorted. The caller must not
// change the list.
var knownDrivers = sync.OnceValue(func() []string {
	var drivers []string
	for _, r := range releases {
		drivers = append(drivers, r.driver)
	}
	for _, floor := range minorFloors {
		drivers = append(drivers, floor)
	}
	for _, b := range branches {
		if !slices.ContainsFunc(drivers, func(d string) bool { return Major(d) == b.major }) {
			drivers = append(drivers, strconv.Itoa(b.major))
		}
	}
	slices.SortFunc(drivers, func(a, b string) int { return cmp.Or(Compare(a, b), cmp.Compare(a, b)) })
	return slices.Compact(drivers)
})
