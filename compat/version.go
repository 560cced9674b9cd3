// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A version has at most maxParts numbers of at most maxDigits digits.
const (
	maxParts  = 5
	maxDigits = 6
)

// version is the numbers of a version; what is missing is zero.
type version [maxParts]int

// IsVersion reports whether s is dot-separated numbers, such as "12.4" or "550.54.14".
func IsVersion(s string) bool {
	_, ok := numbers(s)
	return ok
}

// Compare orders two versions number by number and returns -1, 0 or 1. A missing
// part counts as zero, so "12" equals "12.0". What is no version (see [IsVersion])
// is below every version and equal to its like.
func Compare(a, b string) int {
	as, okA := numbers(a)
	bs, okB := numbers(b)
	switch {
	case !okA && !okB:
		return 0
	case !okA:
		return -1
	case !okB:
		return 1
	}
	for i := range as {
		if c := cmp.Compare(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return 0
}

// Major returns the first number of a version: 12 of "12.4", 0 of what is none.
func Major(s string) int {
	v, _ := numbers(s)
	return v[0]
}

// numbers reads a version; of what is none it returns zeroes and false.
func numbers(s string) (v version, ok bool) {
	part, digits := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9' && digits < maxDigits:
			v[part] = 10*v[part] + int(c-'0')
			digits++
		case c == '.' && digits > 0 && part < maxParts-1:
			part, digits = part+1, 0
		default:
			return version{}, false
		}
	}
	if digits == 0 {
		return version{}, false
	}
	return v, true
}

// minor cuts a version to its first two numbers: "12.4" of "12.4.127".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// DriverIs reports whether a driver is what is asked for: all of the words hold, each a bound
// such as ">=535" or "<580", or a version or branch, "535" or "535.161.07".
func DriverIs(want, driver string) bool {
	if driver == "" {
		return false
	}
	for word := range strings.FieldsSeq(want) {
		version := strings.TrimLeft(word, "<>=")
		order := Compare(driver, version)
		holds := map[string]bool{
			"":   driver == version || strings.HasPrefix(driver, version+"."),
			">=": order >= 0,
			"<":  order < 0,
		}
		if !holds[strings.TrimSuffix(word, version)] {
			return false
		}
	}
	return true
}

// AnyDriverIs reports whether there can be a driver that is what is asked for: if there is,
// the oldest one is a version in want, or older than all of them.
func AnyDriverIs(want string) bool {
	versions := []string{"0"}
	for word := range strings.FieldsSeq(want) {
		versions = append(versions, strings.TrimLeft(word, "<>="))
	}
	return slices.ContainsFunc(versions, func(driver string) bool { return DriverIs(want, driver) })
}

// driver writes a driver's version as NVIDIA does, "580.65.06", without zeroes that say
// nothing.
func (v version) driver() string {
	text := strconv.Itoa(v[0])
	if v[1] > 0 || v[2] > 0 {
		text += "." + strconv.Itoa(v[1])
	}
	if v[2] > 0 {
		text += fmt.Sprintf(".%02d", v[2])
	}
	return text
}

// up is the oldest driver that is not older, one of three numbers.
func (v version) up() version {
	if v[3] > 0 || v[4] > 0 {
		v = version{v[0], v[1], v[2] + 1}
	}
	return v
}

// next has one more at a place, and what is behind it as it was.
func (v version) next(i int) version {
	v[i]++
	return v
}

// later is the higher version.
func later(a, b version) version {
	if slices.Compare(a[:], b[:]) > 0 {
		return a
	}
	return b
}

// sooner is the lower version that is not zero, which is none.
func sooner(a, b version) version {
	if a == (version{}) || b != (version{}) && slices.Compare(b[:], a[:]) < 0 {
		return b
	}
	return a
}
