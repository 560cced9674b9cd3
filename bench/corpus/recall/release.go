// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// suites of Debian that carry drivers. One that the mirror does not have is skipped.
var suites = []string{
	"bullseye", "bookworm", "trixie", "forky", "sid", "experimental",
	"bullseye-security", "bookworm-security", "trixie-security",
	"bullseye-backports", "bookworm-backports", "trixie-backports",
}

// Release is the packages of one upstream driver release.
type Release struct {
	Version string // of the driver: 550.163.01
	cache   string
	offers  []offer // of suites, the one with most packages first
}

// offer is what one suite has of a release.
type offer struct {
	suite    suite
	packages []string // "name=version", as apt takes them
}

// Branch is the major number of the driver: 550.
func (r Release) Branch() string { return r.Version[:3] }

// Releases returns the driver releases of all suites, oldest first, each once; of some
// branches only, if any are named. It keeps package lists in the folder cache.
func Releases(ctx context.Context, cache string, branches ...string) ([]Release, error) {
	uris, err := mirrors(ctx)
	if err != nil {
		return nil, err
	}
	byVersion := map[string][]offer{}
	for _, name := range suites {
		s := suite{name: name, dir: filepath.Join(cache, "suites", name)}
		components := "contrib non-free non-free-firmware"
		if strings.HasPrefix(name, "bullseye") {
			components = "contrib non-free"
		}
		if err := s.update(ctx, uris[strings.HasSuffix(name, "-security")], components); err != nil {
			fmt.Fprintf(os.Stderr, "corpus: without %s, which the mirror does not have\n", name)
			continue
		}
		records, err := output(s.command(ctx, "apt-cache", "dumpavail"))
		if err != nil {
			return nil, err
		}
		found, err := drivers(records)
		if err != nil {
			return nil, err
		}
		for version, packages := range found {
			if len(branches) == 0 || slices.Contains(branches, version[:3]) {
				byVersion[version] = append(byVersion[version], offer{s, packages})
			}
		}
	}
	var list []Release
	for _, version := range slices.SortedFunc(maps.Keys(byVersion), compat.Compare) {
		offers := byVersion[version]
		slices.SortStableFunc(offers, func(a, b offer) int { return cmp.Compare(len(b.packages), len(a.packages)) })
		list = append(list, Release{version, cache, offers})
	}
	for _, b := range branches {
		if !slices.ContainsFunc(list, func(r Release) bool { return r.Branch() == b }) {
			return nil, fmt.Errorf("no suite has driver packages of branch %s", b)
		}
	}
	return list, nil
}

var (
	driverSource = regexp.MustCompile(`^nvidia-(graphics-drivers|open-gpu-kernel-modules|modprobe|persistenced|settings|xconfig)`)
	// notDriver are packages of these sources without driver content of their own.
	notDriver = regexp.MustCompile(`^(libxnvctrl.*|nvidia-detect.*|nvidia-libopencl1|.*-dev)$`)
	upstream  = regexp.MustCompile(`^(?:[0-9]+:)?([0-9]{3}\.[0-9]{2,3}(?:\.[0-9]{2})?)-`)
)

// origin is what packages of one driver and one source package have in common.
type origin struct{ version, source string }

// drivers returns the driver packages among the records of a Packages file, by driver
// version, sorted. Where two source packages carry the same driver (tesla-470 and the
// plain one) it takes the larger.
func drivers(records []byte) (map[string][]string, error) {
	all, err := origins(records)
	if err != nil {
		return nil, err
	}
	larger := func(a, b origin) int {
		return cmp.Or(cmp.Compare(len(all[b]), len(all[a])), cmp.Compare(a.source, b.source))
	}
	found, whole := map[string][]string{}, map[string]bool{}
	for _, o := range slices.SortedFunc(maps.Keys(all), larger) {
		if isWhole(o.source) && whole[o.version] {
			continue
		}
		whole[o.version] = whole[o.version] || isWhole(o.source)
		found[o.version] = append(found[o.version], all[o]...)
	}
	for _, packages := range found {
		slices.Sort(packages)
	}
	return found, nil
}

// origins returns the driver packages, "name=version", by where they come from.
func origins(records []byte) (map[origin][]string, error) {
	all, fields := map[origin][]string{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(append(records, '\n')))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok && name[0] != ' ' {
			fields[name] = value
		}
		if lines.Text() != "" {
			continue
		}
		source, _, _ := strings.Cut(cmp.Or(fields["Source"], fields["Package"]), " ")
		m := upstream.FindStringSubmatch(fields["Version"])
		if m != nil && driverSource.MatchString(source) && !notDriver.MatchString(fields["Package"]) {
			o := origin{m[1], source}
			all[o] = append(all[o], fields["Package"]+"="+fields["Version"])
		}
		fields = map[string]string{}
	}
	return all, lines.Err()
}

// isWhole tells the sources of drivers from those of the programs around them.
func isWhole(source string) bool { return strings.HasPrefix(source, "nvidia-graphics-drivers") }

// download fetches the packages of the first suite that really has what it lists.
func (r Release) download(ctx context.Context) (files []string, from suite, err error) {
	for _, o := range r.offers {
		files, broken := o.suite.download(ctx, filepath.Join(r.cache, "packages", r.Version+"-"+o.suite.name), o.packages)
		if broken == nil {
			return files, o.suite, nil
		}
		err = errors.Join(err, fmt.Errorf("%s: %w", o.suite.name, broken))
	}
	return nil, suite{}, err
}
