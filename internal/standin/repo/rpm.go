// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// RPM writes an rpm repository into dir, which it empties.
func RPM(t testing.TB, key *Key, dir string, packages []Package) {
	t.Helper()
	renew(t, dir)
	for _, batch := range batches(packages) {
		build(t, dir, batch)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	if err != nil || len(files) != len(packages) {
		t.Fatalf("rpmbuild made %d of %d packages: %v", len(files), len(packages), err)
	}
	sign := []string{"--define", "_gpg_name " + key.Fingerprint, "--define", "_gpg_path " + key.home, "--define", "__gpg " + key.program(t)}
	tool(t, dir, []string{"GNUPGHOME=" + key.home}, "rpmsign", append(append(sign, "--addsign"), files...)...)
	tool(t, dir, nil, "createrepo_c", "--quiet", "--no-database", "--revision", fmt.Sprint(epoch.Unix()), ".")
	index := filepath.Join(dir, "repodata", "repomd.xml")
	key.sign(t, index, index+".asc", "--detach-sign")
	put(t, index+".key", key.Armored)
	put(t, filepath.Join(dir, KeyFile), key.Armored)
}

// batches splits packages so that a name is in each but once: one spec file cannot
// have two versions of a package.
func batches(packages []Package) [][]Package {
	var all [][]Package
	seen := map[string]int{}
	for _, p := range packages {
		n := seen[p.Name]
		seen[p.Name]++
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], p)
	}
	return all
}

// build makes packages out of one spec file.
func build(t testing.TB, dir string, packages []Package) {
	t.Helper()
	work := t.TempDir()
	spec := "Name: stand-in\nVersion: 1\nRelease: 1\nSummary: stand-in\nLicense: none\nBuildArch: noarch\n%description\nstand-in\n" +
		"%install\ncp -a %{_sourcedir}/. %{buildroot}\n"
	for _, p := range packages {
		p.write(t, filepath.Join(work, "tree"))
		spec += p.spec()
	}
	put(t, filepath.Join(work, "stand-in.spec"), []byte(spec))
	tool(t, work, nil, "rpmbuild", "--quiet", "-bb", "--define", "_topdir "+work, "--define", "_sourcedir "+work+"/tree",
		"--define", "_rpmdir "+dir, "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.rpm",
		"--define", "_build_id_links none", "--define", "source_date_epoch_from_changelog 0", "--define", "_buildhost stand-in", "stand-in.spec")
}

func (p Package) spec() string {
	version, release, _ := strings.Cut(p.Version, "-")
	s := fmt.Sprintf("%%package -n %[1]s\nVersion: %[2]s\nRelease: %[3]s\nSummary: stand-in for %[1]s\nAutoReqProv: no\n", p.Name, version, release)
	for _, d := range p.Depends {
		s += "Requires: " + d + "\n"
	}
	s += fmt.Sprintf("%%description -n %[1]s\nstand-in\n%%files -n %[1]s\n%[2]s\n", p.Name, p.note())
	for name := range p.Scripts {
		s += name + "\n"
	}
	return s
}
