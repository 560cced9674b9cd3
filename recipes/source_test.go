// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// addresses are those of the first release for an OS.
func addresses(t *testing.T, c *recipes.Catalog, os, platform string) []recipes.Address {
	t.Helper()
	r, ok := c.Recipe(os, c.CUDAFor(os)[0])
	if !ok {
		t.Fatalf("no recipe for %s", os)
	}
	return r.Addresses(platform)
}

// TestKeys: what signs the repositories of today.
func TestKeys(t *testing.T) {
	t.Parallel()
	c := grown(t)
	got := map[string]string{}
	for _, name := range c.OSNames() {
		if len(c.CUDAFor(name)) == 0 {
			continue
		}
		var list []string
		for _, a := range addresses(t, c, name, "linux/amd64") {
			list = append(list, a.URL+" "+a.Key.ID)
		}
		if len(list) > 0 {
			got[name] = strings.Join(list, ", ")
		}
	}
	const root = "//developer.download.nvidia.com/compute/"
	for os, want := range map[string]string{
		"ubuntu16.04":  "http:" + root + "cuda/repos/ubuntu1604/x86_64 3bf863cc, http:" + root + "machine-learning/repos/ubuntu1604/x86_64 7fa2af80",
		"ubuntu24.04":  "https:" + root + "cuda/repos/ubuntu2404/x86_64 3bf863cc",
		"centos7":      "https:" + root + "cuda/repos/rhel7/x86_64 D42D0685",
		"ubi9":         "https:" + root + "cuda/repos/rhel9/x86_64 D42D0685",
		"rockylinux10": "https:" + root + "cuda/repos/rhel10/x86_64 CDF6BA43",
		"opensuse15":   "https:" + root + "cuda/repos/opensuse15/x86_64 D42D0685",
	} {
		if got[os] != want {
			t.Errorf("%s: %s, want %s", os, got[os], want)
		}
	}
	o, _ := c.OS("rockylinux9")
	if got := addresses(t, c, "rockylinux9", "linux/arm64")[0].URL; got != "https:"+root+"cuda/repos/rhel9/sbsa" {
		t.Errorf("rockylinux9 for arm64: %s", got)
	}
	if o.Image != "docker.io/rockylinux/rockylinux:9" || len(o.Overrides) != 1 {
		t.Errorf("rockylinux9 starts from %s, want the name that the last override gives", o.Image)
	}
	if addresses(t, c, "debian13", "linux/amd64") != nil {
		t.Error("debian13 has repositories of a vendor")
	}
}
