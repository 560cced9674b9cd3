// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/internal/standin/repo"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// vendorCells are the images of vendorMatrix, in the order of the plan.
var vendorCells = []string{
	"9.0-base-ubuntu16.04", "9.0-runtime-ubuntu16.04", "9.0-devel-ubuntu16.04",
	"7.5-devel-ubuntu14.04", "8.0-runtime-centos7",
	"12.8.1-base-rockylinux9", "12.8.1-runtime-rockylinux9",
}

// TestVendorStandIn builds images of source nvidia from stand-ins for its repositories
// and base images, with a real apt, a real dnf and the real recipes; then it breaks
// one thing after the other.
func TestVendorStandIn(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	first, r := v.build(t)
	if r.code != 0 || first.Totals.Passed != len(vendorCells) {
		t.Fatalf("matrix: exit %d, %d of %d passed\n%s\n%s", r.code, first.Totals.Passed, len(vendorCells), r.stdout, r.stderr)
	}
	t.Run("images", func(t *testing.T) { testVendorImages(t, v, first) })
	t.Run("packages", func(t *testing.T) { testPackages(t, v.fixture, vendorCells[2:6]...) }) // one of each OS
	t.Run("exports", func(t *testing.T) { testVendorExports(t, v, first) })
	t.Run("nothing changed", func(t *testing.T) { testVendorWarm(t, v, first) })
	t.Run("refresh", func(t *testing.T) { testVendorRefresh(t, v, first) })
	t.Run("failures", func(t *testing.T) { testVendorFailures(t, v) })
}

func (v *vendor) build(t testing.TB, args ...string) (record.Run, result) {
	t.Helper()
	return v.fixture.build(t, append([]string{"--recipes", v.recipes}, args...)...)
}

func testVendorImages(t *testing.T, v *vendor, doc record.Run) {
	for _, c := range doc.Cells {
		if len(c.Images) != 1 || c.Images[0].Verdict != verify.Pass || c.Tags[0] != "localhost:5000/stand-in/cuda:"+c.ID {
			t.Errorf("%s: tags %v, report %+v, want a stand-in that passes", c.ID, c.Tags, c.Images)
		}
	}
	for id, want := range map[string]struct{ script, text string }{
		"9.0-devel-ubuntu16.04":      {"dpkg-query -W -f '${Package}=${Version}\\n'; apt-mark showhold; nvcc --version; cat /etc/os-release /usr/local/stand-in/cuda-cudart-9-0", "libnccl2\n|stand-in for nvcc 9.0|stand-in for Ubuntu 16.04|stand-in for cuda-cudart-9-0"},
		"7.5-devel-ubuntu14.04":      {"dpkg-query -W -f '${Package}=${Version}\\n'; readlink /usr/local/cuda; nvcc; cat /etc/ld.so.conf.d/*", "cuda-7.5\n|stand-in for nvcc 7.5|/usr/local/nvidia/lib64\n"},
		"8.0-runtime-centos7":        {"rpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n'; cat /etc/yum.repos.d/base.repo /etc/yum.repos.d/nvidia.repo", "baseurl=http://vault.centos.org/7.9.2009/os/$basearch/|#mirrorlist|exclude=akmod-nvidia*"},
		"12.8.1-runtime-rockylinux9": {"rpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n'; rpm -qa gpg-pubkey", "gpg-pubkey-"},
	} {
		t.Run(id, func(t *testing.T) {
			root := v.unpack(t, id)
			r := inside(t, root, want.script)
			mustContain(t, id, r.stdout+r.stderr, strings.Split(want.text, "|")...)
			for _, arg := range v.arguments(t, id) {
				if !strings.Contains(arg, "=") && !strings.Contains(arg, ".") { // has no version
					arg += "=1-1"
				}
				if !slices.Contains(strings.Split(r.stdout, "\n"), arg) && !slices.Contains(strings.Split(r.stdout, "\n"), strings.Replace(arg, "=", "-", 1)) {
					t.Errorf("%s is not installed in\n%s", arg, r.stdout)
				}
			}
			testVendorGuard(t, root, strings.Contains(id, "ubuntu"))
		})
	}
}

// arguments are what the recipes ask for, up to a cell.
func (v *vendor) arguments(t *testing.T, id string) []string {
	t.Helper()
	parts := strings.SplitN(id, "-", 3)
	r, _ := v.catalog.Find(parts[2], parts[0])
	var all []string
	for _, f := range r.Chain(recipes.Flavor(parts[1])) {
		all = append(all, r.Layers[f].Packages...)
	}
	if len(all) < 5 {
		t.Fatalf("%s asks for %v only", id, all)
	}
	return all
}

// testVendorGuard asks for the driver in an image as a derived one would.
func testVendorGuard(t *testing.T, root string, apt bool) {
	command, why := "yum -y install", "filtered out by exclude filtering"
	if apt {
		command, why = "apt-get update -qq; apt-get install --yes", "cudabuild-guard-driver-comes-from-host : Conflicts: libnvidia-compute-570"
	}
	r := inside(t, root, command+" libnvidia-compute-570 nvidia-driver")
	if r.code == 0 {
		t.Error("the driver was installed")
	}
	mustContain(t, "the refusal", r.stdout+r.stderr, why)
	if !apt {
		mustContain(t, "the refusal", r.stdout+r.stderr, "no driver (that comes from the host)")
		r = inside(t, root, command+" cuda-drivers")
		mustContain(t, "the refusal", r.stdout+r.stderr, why)
	}
}

// unpack writes the files of an image below a folder.
func (f fixture) unpack(t *testing.T, id string) string {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), f.oci(id), image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	root := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "tar", "-x", "-C", root, "-f", "-")
	cmd.Stdin = mutate.Extract(sources[0].Image)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return root
}

// inside runs a shell command in an unpacked image, with the host's network.
func inside(t *testing.T, root, script string) result {
	t.Helper()
	const enter = `mount --bind /dev "$1/dev" && mount --bind /proc "$1/proc" && mount -t tmpfs tmp "$1/tmp" &&
		exec chroot "$1" env -i PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C sh -c "$2"`
	cmd := contain.Command("sh", "-c", enter, "sh", root, script)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := contain.Run(t.Context(), cmd, nil)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func testVendorWarm(t *testing.T, v *vendor, first record.Run) {
	log := filepath.Join(v.state, "engine.log") // written anew by every daemon
	before, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--refresh"}} {
		doc, r := v.build(t, args...)
		after, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		if r.code != 0 || len(built(doc)) != 0 || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("%v: exit %d, built again: %v, daemon started: %v", args, r.code, built(doc), !after.ModTime().Equal(before.ModTime()))
		}
		if diff := cmp.Diff(digests(first), digests(doc)); diff != "" {
			t.Errorf("%v: digests (-first +second):\n%s", args, diff)
		}
	}
}

// testVendorRefresh moves one repository.
func testVendorRefresh(t *testing.T, v *vendor, first record.Run) {
	v.serve(t, "ubuntu16.04", v.key, append(v.packages(t, "ubuntu16.04", vendorReleases["ubuntu16.04"]), repo.Package{Name: "new", Version: "1-1"}))
	if doc, r := v.build(t); r.code != 0 || len(built(doc)) != 0 {
		t.Errorf("not refreshed: exit %d, built again: %v", r.code, built(doc))
	}
	doc, r := v.build(t, "--refresh")
	if diff := cmp.Diff(vendorCells[:3], built(doc)); r.code != 0 || diff != "" {
		t.Errorf("exit %d, built again (-want +got):\n%s\n%s", r.code, diff, r.stderr)
	}
	if doc.Cells[0].Digest == first.Cells[0].Digest {
		t.Error("the image of a moved repository is the same")
	}
}

// testVendorFailures breaks one thing at a time, for apt and for dnf.
func testVendorFailures(t *testing.T, v *vendor) {
	other, expired := repo.NewKey(t, false), repo.NewKey(t, true)
	for _, os := range []struct{ name, cell, suffix, pin, version, signature string }{
		{"ubuntu16.04", "9.0-base-ubuntu16.04", ".deb", "cuda-cudart-9-0", "9.0.176-1", "NO_PUBKEY " + strings.ToUpper(other.Fingerprint[24:])},
		{"rockylinux9", "12.8.1-base-rockylinux9", ".rpm", "cuda-cudart-12-8", "12.8.90-1", "GPG"},
	} {
		packages := v.packages(t, os.name, vendorReleases[os.name])
		isPin := func(p repo.Package) bool { return p.Name == os.pin && p.Version == os.version }
		without := slices.DeleteFunc(slices.Clone(packages), func(p repo.Package) bool { return p.Name == os.pin })
		for _, test := range []struct {
			name   string
			change func(t *testing.T)
			code   int
			want   []string
		}{
			{"wrong key", func(t *testing.T) { v.pin(t, other, sortedOS()...) }, 1, []string{"signing key http://", "fingerprint is " + v.key.Fingerprint, "want " + other.Fingerprint}},
			{"expired key", func(t *testing.T) { v.serve(t, os.name, expired, packages); v.pin(t, expired, sortedOS()...) }, 1, []string{"expired on 2020-01-02"}},
			{"wrong signature", func(t *testing.T) {
				v.serve(t, os.name, other, packages)
				for _, root := range []string{"cuda", "machine-learning"} {
					write(t, filepath.Join(v.dir(os.name, root), repo.KeyFile), string(v.key.Armored))
				}
			}, 1, []string{os.signature}},
			{"missing package", func(t *testing.T) { v.serve(t, os.name, v.key, without) }, 1, []string{os.pin, os.version, "there is no " + os.pin}},
			{
				"wrong version", func(t *testing.T) { v.serve(t, os.name, v.key, slices.DeleteFunc(slices.Clone(packages), isPin)) }, 1,
				[]string{"package " + os.pin + ": version " + os.version + " is not in the repositories, they have 999.0-1"},
			},
			{"gone in the middle", func(t *testing.T) {
				again := repo.Package{Name: os.pin, Version: os.version, Scripts: map[string]string{"/usr/local/stand-in/again": "not in any cache\n"}}
				v.serve(t, os.name, v.key, append(slices.DeleteFunc(slices.Clone(packages), isPin), again))
				v.server.GoAwayIn(os.suffix, 100)
			}, 3, []string{"cannot reach the repository", "hint: is the network up?"}},
		} {
			t.Run(os.name+" "+test.name, func(t *testing.T) {
				before := run(t, "skopeo", "inspect", "--raw", v.oci(os.cell))
				test.change(t)
				doc, r := v.build(t, "--refresh", "--only", os.cell)
				v.server.ComeBack()
				v.pin(t, v.key, sortedOS()...)
				if r.code != test.code || len(doc.Cells) != 1 {
					t.Errorf("exit %d, want %d\n%s", r.code, test.code, r.stderr)
				}
				said := r.stderr
				for _, c := range doc.Cells {
					said += c.Reason
				}
				mustContain(t, "the failure", said, test.want...)
				t.Logf("exit %d: %s", r.code, doc.Cells[0].Reason)
				if after := run(t, "skopeo", "inspect", "--raw", v.oci(os.cell)); after.stdout != before.stdout {
					t.Error("the tag has moved")
				}
			})
		}
	}
}
