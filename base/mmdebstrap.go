// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/recipes"
)

// runner runs mmdebstrap: [here] or [there]. Both give it the same arguments, hooks and
// environment, so that the same versions of the tools make the same root.
type runner interface {
	// sources returns the sources.list that mmdebstrap writes for the suite by itself.
	sources(ctx context.Context, o recipes.OS, platform string) (string, error)
	// root writes the tar of a root to w, leaves the package lists in dir/lists, and
	// returns the versions of its tools. It uses dir, which is empty, for all it needs.
	root(ctx context.Context, b bootstrap, dir string, w io.Writer) (tools map[string]string, err error)
}

// bootstrap is a root that is to be made.
type bootstrap struct {
	os       recipes.OS
	platform string
	src      sources
}

// arguments are those of mmdebstrap, without the sources: each line of src.used follows.
func (b bootstrap) arguments() []string {
	return append(mmdebstrapArgs(b.os, b.platform), "--setup-hook="+putSettings, // there is no other way past the command line
		"--customize-hook="+copyLists, "--customize-hook="+putSources, "--customize-hook="+dropSettings, "--customize-hook="+dropHost,
		"--", b.os.Bootstrap.Suite, "-")
}

// environment of mmdebstrap and its hooks, for a build's folder.
func (b bootstrap) environment(dir string) []string {
	return append(surroundings(dir), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.src.epoch().Unix()))
}

func (b bootstrap) used() []string { return strings.Split(strings.TrimSpace(b.src.used), "\n") }

// sourcesArguments make it write the sources.list of the suite, copy that and end with an
// error: nothing is downloaded.
func sourcesArguments(o recipes.OS, platform string) []string {
	return append(mmdebstrapArgs(o, platform), "--setup-hook="+copySources, "--", o.Bootstrap.Suite, "/dev/null")
}

// mmdebstrapArgs are common to every call for an OS. Documentation is left out of
// the root, and of everything installed on it later, but licences stay.
func mmdebstrapArgs(o recipes.OS, platform string) []string {
	return []string{
		"--variant=minbase", "--format=tar", "--mode=root", // with --quiet it would not tell what apt says
		"--architectures=" + strings.TrimPrefix(platform, "linux/"),
		"--components=" + strings.Join(o.Bootstrap.Components, ","),
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-include=/usr/share/locale/locale.alias",
	}
}

// Hooks of mmdebstrap, run by a shell with the root as $1. They find the build's folder
// in the environment: in its path no character means anything to them.
const (
	copySources = `cp "$1/etc/apt/sources.list" "$CUDABUILD_DIR/sources.list"; exit 1`
	copyLists   = `cp -R "$1/var/lib/apt/lists" "$CUDABUILD_DIR"`
	putSources  = `cat "$CUDABUILD_DIR/sources.list" >"$1/etc/apt/sources.list"`
	// apt's settings and logins for this build, which mmdebstrap's apt reads in the root alone: as
	// links, so that whatever becomes of the root it never holds one.
	putSettings  = `for f in auth.conf apt.conf.d/cudabuild; do if [ -s "$CUDABUILD_APT/$f" ]; then mkdir -p "$1/etc/apt/apt.conf.d"; ln -s "$CUDABUILD_APT/$f" "$1/etc/apt/$f"; fi; done`
	dropSettings = `for f in auth.conf apt.conf.d/cudabuild; do if [ -s "$CUDABUILD_APT/$f" ]; then rm "$1/etc/apt/$f"; fi; done`
	// mmdebstrap leaves copies of the machine's own, with their modes.
	dropHost = `for f in hostname resolv.conf; do : >"$1/etc/$f"; chmod 0644 "$1/etc/$f"; done`
)

// surroundings are the environment of mmdebstrap and its hooks: where dir is, and the
// programs of the system alone. It starts a Python program for each package that it unpacks,
// which a user's own Python on PATH makes slow, or other.
func surroundings(dir string) []string {
	return []string{
		"TMPDIR=" + dir, "CUDABUILD_DIR=" + dir, "CUDABUILD_APT=" + dir + "/apt", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// toolPackages are what makes a root: the keyring says whose package lists it takes.
var toolPackages = []string{"mmdebstrap", "apt", "dpkg", "debian-archive-keyring"}

// toolFormat is dpkg-query's, a package a line.
const toolFormat = `${Package} ${Version}\n`

// parseTools reads that. What no package of dpkg is, is left out.
func parseTools(text string) map[string]string {
	versions := map[string]string{}
	for line := range strings.Lines(text) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if version != "" {
			versions[name] = version
		}
	}
	return versions
}

// mmdebstrapError is its failure with the cause that it tells, or else its last lines.
func mmdebstrapError(err error, output string) error {
	why := cause.Find(output)
	switch {
	case why == nil:
		return fmt.Errorf("mmdebstrap: %w\n%s", err, lastLines(output, 12))
	case why.Outage() && !errors.Is(why, unix.ENOSPC):
		return fmt.Errorf("mmdebstrap: %w (%w)", &UnreachableError{What: "the package repositories", Err: why}, err)
	}
	return fmt.Errorf("mmdebstrap: %w (%w)", why, err)
}

func lastLines(out string, n int) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
