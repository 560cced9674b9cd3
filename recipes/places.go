// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"path"
	"slices"
	"strings"
)

// kept are the places that files of flavors are not put at: globs on the path of a file, or of a
// folder on the way to it, by whose they are. A base name alone is so wherever it is. An image
// with another file there would be built, and not be what its base is or its guard holds.
var kept = []struct {
	whose string
	globs []string
}{
	{"the runtime hook's: it brings the driver of the host", []string{
		"libcuda.so*", "libcudadebugger.so*", "libnvidia-*.so*", "libnvcuvid.so*", "libnvoptix.so*", "libGLX_nvidia.so*", "libEGL_nvidia.so*",
		"libGLESv?*_nvidia.so*", "nvidia-smi", "nvidia*.ko*", "/lib/firmware/nvidia", "/usr/lib/firmware/nvidia",
	}},
	{"the dynamic linker's", []string{"/etc/ld.so.*", "ld-linux*.so*"}},
	{"the system's accounts", []string{"/etc/passwd*", "/etc/shadow*", "/etc/group*", "/etc/gshadow*"}},
	{"the container runtime's", []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv"}},
	{"the package manager's, and the driver guard is in it", []string{
		"/etc/apt", "/etc/dpkg", "/etc/dnf", "/etc/tdnf", "/etc/yum", "/etc/yum.conf", "/etc/yum.repos.d", "/etc/zypp", "/etc/rpm",
		"/var/lib/apt", "/var/lib/dpkg", "/var/lib/dnf", "/var/lib/yum", "/var/lib/rpm", "/var/lib/zypp", "/usr/lib/sysimage", "/usr/lib/rpm",
	}},
	{"a program of build steps", []string{
		"/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/dash",
		"/usr/bin/apt*", "/usr/bin/dpkg*", "/usr/bin/dnf*", "/usr/bin/*dnf", "/usr/bin/yum", "/usr/bin/rpm", "/usr/bin/zypper",
	}},
}

// keeper says whose a place is, "" if a flavor may have a file there.
func keeper(name string) string {
	for _, k := range kept {
		for _, glob := range k.globs {
			switch {
			case slices.ContainsFunc(leading(name), func(at string) bool { return matches(glob, at) }):
				return k.whose
			case slices.Contains(leading(glob), name):
				return "a folder of every image"
			}
		}
	}
	return ""
}

// leading are the path of a file and those of the folders on the way to it, without the root.
func leading(name string) (all []string) {
	for ; strings.Count(name, "/") > 1; name = path.Dir(name) {
		all = append(all, name)
	}
	return append(all, name)
}

// matches reports whether a glob on paths, or one without a slash on base names, means the path.
func matches(glob, name string) bool {
	if !strings.Contains(glob, "/") {
		name = path.Base(name)
	}
	is, err := path.Match(glob, name)
	return is && err == nil
}
