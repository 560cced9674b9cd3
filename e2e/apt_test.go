// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/recipes"
)

// aptState is an apt on the lists of an OS, on an image with nothing but the guard.
type aptState struct {
	config   string
	packages []aptPackage
}

type aptPackage struct {
	list   string // its file
	text   string
	fields map[string]string
}

// main reports whether it is of that component.
func (p aptPackage) main() bool { return strings.Contains(p.list, "_main_binary-") }

func newAptState(t *testing.T, r *recipes.Recipe) *aptState {
	dir := t.TempDir()
	fetchLists(t, r, dir)
	guard, err := r.Manager.Guard(r.Release)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "status"), "Status: install ok installed\n"+guard)
	a := &aptState{config: filepath.Join(dir, "apt.conf")}
	write(t, a.config, fmt.Sprintf(`Dir "%[1]s"; Dir::State "%[1]s/state"; Dir::State::Lists "%[1]s/lists"; Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache"; Dir::Etc::SourceList "%[1]s/sources.list"; Dir::Etc::SourceParts "/dev/null";
APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Install-Recommends "true"; Debug::NoLocking "true";
`, dir))
	for _, sub := range []string{"state", "cache/archives/partial", "etc/apt/preferences.d", "etc/apt/apt.conf.d"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lists, err := filepath.Glob(filepath.Join(dir, "lists", "*_Packages"))
	if err != nil || len(lists) < 3 {
		t.Fatalf("lists %v, %v", lists, err)
	}
	for _, list := range lists {
		for paragraph := range strings.SplitSeq(read(t, list), "\n\n") {
			p := aptPackage{list, strings.TrimSpace(paragraph) + "\n\n", map[string]string{}}
			for line := range strings.Lines(paragraph) {
				if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok && name[0] != ' ' {
					p.fields[name] = value
				}
			}
			if p.fields["Package"] != "" {
				a.packages = append(a.packages, p)
			}
		}
	}
	a.trim(t, lists, slices.Collect(maps.Values(r.Release.Layers)))
	return a
}

// fetchLists writes sources.list and lists/ of an OS into dir: mmdebstrap gets the lists of
// the repositories that it would bootstrap from, and is asked for no package.
func fetchLists(t *testing.T, r *recipes.Recipe, dir string) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		require.Missing(t, "apt", err)
	}
	args := []string{
		"--variant=custom", "--format=null", "--quiet", "--architectures=amd64", "--components=" + strings.Join(r.OS.Bootstrap.Components, ","),
		`--customize-hook=cp -R "$1/var/lib/apt/lists" "$1/etc/apt/sources.list" "$LISTS_DIR"`, "--", r.OS.Bootstrap.Suite, "/dev/null",
	}
	if mirror := os.Getenv("CUDABUILD_DEBIAN_MIRROR"); mirror != "" {
		args = append(args, mirror+"/debian")
	}
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "LISTS_DIR="+dir, "TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
}

// trim leaves those packages in the lists that apt could come to from the driver's, from
// those that ask for it, and from our layers: it looks at all of them each time.
func (a *aptState) trim(t *testing.T, lists []string, layers []recipes.Layer) {
	drivers := a.drivers()
	wanted := maps.Clone(drivers)
	for _, name := range a.users(drivers) {
		wanted[name] = true
	}
	for _, layer := range layers {
		for _, name := range layer.Packages {
			wanted[name] = true
		}
	}
	kept := make([]bool, len(a.packages))
	for more := true; more; {
		more = false
		for i, p := range a.packages {
			if kept[i] || !wanted[p.fields["Package"]] && !anyOf(wanted, p.fields["Provides"]) {
				continue
			}
			kept[i], more = true, true
			for name := range relations(p.fields["Depends"] + "," + p.fields["Pre-Depends"] + "," + p.fields["Recommends"]) {
				wanted[name] = true
			}
		}
	}
	texts := map[string]*strings.Builder{}
	for _, list := range lists {
		texts[list] = &strings.Builder{}
	}
	for i, p := range a.packages {
		if kept[i] {
			texts[p.list].WriteString(p.text)
		}
	}
	for list, text := range texts {
		write(t, list, text.String())
	}
}

// anyOf reports whether a name of the field is wanted.
func anyOf(wanted map[string]bool, field string) bool {
	for name := range relations(field) {
		if wanted[name] {
			return true
		}
	}
	return false
}

// driverSources are the source packages that the driver is packaged from, all branches; of
// the last, only what is named after NVIDIA. Their packages of main are the free parts.
var driverSources = regexp.MustCompile(`^(nvidia-graphics-drivers|nvidia-open-gpu-kernel-modules|nvidia-settings|nvidia-modprobe|nvidia-persistenced|nvidia-xconfig|firmware-nonfree)`)

func (p aptPackage) source() string {
	source, _, _ := strings.Cut(cmp.Or(p.fields["Source"], p.fields["Package"]), " ")
	return source
}

func (p aptPackage) driver() bool {
	source := p.source()
	return !p.main() && driverSources.MatchString(source) && (source != "firmware-nonfree" || strings.Contains(p.fields["Package"], "nvidia"))
}

// drivers are the names of the driver's packages.
func (a *aptState) drivers() map[string]bool {
	names := map[string]bool{}
	for _, p := range a.packages {
		if p.driver() {
			names[p.fields["Package"]] = true
		}
	}
	return names
}

// oneOfEach is a package of each source of the driver.
func (a *aptState) oneOfEach() []string {
	packages := map[string]string{}
	for _, p := range a.packages {
		if name := p.fields["Package"]; p.driver() && name > packages[p.source()] {
			packages[p.source()] = name
		}
	}
	return slices.Sorted(maps.Values(packages))
}

// users are the packages outside main that ask for the driver, or for one that does: in any
// alternative, by what it provides, as a recommendation.
func (a *aptState) users(drivers map[string]bool) []string {
	wanted, users := maps.Clone(drivers), map[string]bool{}
	for _, p := range a.packages {
		if p.driver() {
			for name := range relations(p.fields["Provides"]) {
				wanted[name] = true
			}
		}
	}
	for more := true; more; {
		more = false
		for _, p := range a.packages {
			name := p.fields["Package"]
			if p.main() || p.driver() || users[name] {
				continue
			}
			for other := range relations(p.fields["Depends"] + "," + p.fields["Pre-Depends"] + "," + p.fields["Recommends"]) {
				if wanted[other] {
					users[name], wanted[name], more = true, true, true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(users))
}

// relations are the names in a field.
func relations(field string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.FieldsFuncSeq(field, func(r rune) bool { return r == ',' || r == '|' }) {
			name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			name, _, _ = strings.Cut(name, ":")
			if name != "" && !yield(name) {
				return
			}
		}
	}
}

// install returns what apt-get would install for these words, or why it would not. That the
// guard would go is a failure.
func (a *aptState) install(t *testing.T, words ...string) (installs []string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "apt-get", append([]string{"install", "--simulate", "--yes"}, words...)...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		switch fields := strings.Fields(line); {
		case len(fields) > 1 && fields[0] == "Inst":
			installs = append(installs, fields[1])
		case len(fields) > 1 && fields[0] == "Remv":
			t.Errorf("apt-get install %v removes %s", words, fields[1])
		}
	}
	return installs, nil
}
