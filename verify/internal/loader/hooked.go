// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"path"
	"slices"
	"strings"
)

// Hook is what the runtime's hook has to make findable: see [Image.HookedDirs].
type Hook struct {
	Folder string // where the host's libraries are, "usr/lib64"
	Compat string // the directory of cuda-compat, "" to name none
}

// Files that the hook writes. Source: nvidia-container-toolkit 1.20.1,
// cmd/nvidia-cdi-hook/cudacompat and internal/ldconfig.
const (
	mainConfig = "etc/ld.so.conf"
	hookCompat = "etc/ld.so.conf.d/00-compat-0.conf"
	hookFolder = "etc/ld.so.conf.d/00-nvcr-0.conf"
	hookSystem = "etc/ld.so.conf.d/zz-nvcr-0.conf"
)

// ByHook reports whether the hook's file for cuda-compat names the directory.
func (d Dir) ByHook() bool { return d.From == hookCompat }

// Listed reports whether ldconfig lists what is in the directory.
func (d Dir) Listed() bool { return d.indexed }

// HookedDirs returns the directories that every program of an ABI searches after the
// hook has written its configuration and run ldconfig, in order. One for cuda-compat
// is there twice if the image names it too: the hook may leave it out. If by is not nil,
// they are those in which a name that it asks for is looked for.
func (im *Image) HookedDirs(abi ABI, h Hook, by *Loaded) []Dir {
	dirs := im.named(abi, by)
	if im.Musl(abi) {
		return slices.Concat(dirs, im.distinct(im.muslPath(abi, im.musled(abi, h))))
	}
	found := im.read(im.written(abi, h))
	for _, d := range abi.Defaults() {
		found = append(found, Dir{Path: d, From: Default})
	}
	found = im.listed(im.distinct(found), abi)
	listed := map[string]bool{}
	for i := range found {
		if found[i].From == hookSystem {
			found[i].From = Default
		}
		listed[found[i].Path] = listed[found[i].Path] || !found[i].ByHook()
	}
	for i := range dirs { // ldconfig has made the links that LD_LIBRARY_PATH leads to
		dirs[i].linked = listed[dirs[i].Path]
	}
	var all []Dir
	for _, d := range dirs {
		all = append(append(all, im.hwcaps(d, abi)...), d)
	}
	return append(all, found...)
}

// named are the directories that LD_LIBRARY_PATH, by and what has loaded it name: glibc
// passes only RPATH on, musl both.
func (im *Image) named(abi ABI, by *Loaded) []Dir {
	env, musl := im.libraryPath(abi), im.Musl(abi)
	if by == nil || by.ABI != abi {
		return slices.Clone(env)
	}
	if by.RunPath != "" && !musl {
		return slices.Concat(env, im.own(by.Object, dirOf(by.Path)))
	}
	var chain []Dir
	for l := by; l != nil && im.work(1); l = l.by {
		if l.RPath != "" || musl {
			chain = append(chain, im.own(l.Object, dirOf(l.Path))...)
		}
	}
	if musl {
		return slices.Concat(env, chain)
	}
	return slices.Concat(chain, env)
}

// written is the configuration that the hook adds, by path.
func (im *Image) written(abi ABI, h Hook) map[string]string {
	extra := map[string]string{}
	if h.Compat != "" {
		extra[hookCompat] = "/" + h.Compat
	}
	if !im.hasFile(mainConfig) {
		extra[mainConfig] = "include /etc/ld.so.conf.d/*.conf\n"
	}
	system := im.systemDirs(abi)
	if !im.names(extra, system, "/"+h.Folder) {
		extra[hookFolder] = "/" + h.Folder
	}
	extra[hookSystem] = strings.Join(system, "\n")
	return extra
}

// musled is what the hook appends to /etc/ld-musl-ARCH.path.
func (im *Image) musled(abi ABI, h Hook) string {
	if !im.hasFile("etc/alpine-release") {
		return ""
	}
	system, folder := im.systemDirs(abi), "/"+h.Folder
	if !im.names(nil, system, folder) {
		system = slices.Concat([]string{folder}, system)
	}
	return strings.Join(system, "\n")
}

// Debian reports whether hooks take the image for one of the Debian family.
func (im *Image) Debian() bool { return im.hasFile("etc/debian_version") }

// hasFile reports whether the image has a file at p, a link that leads nowhere included.
func (im *Image) hasFile(p string) bool {
	final, ok := im.Real(p)
	_, link := im.links.at[im.place(p)]
	_, known := im.configs[final]
	return link || ok && (known || im.has(final))
}

// systemDirs are the directories that the hook takes for those that ldconfig knows.
func (im *Image) systemDirs(abi ABI) []string {
	p := abi.of()
	if im.Debian() {
		return []string{"/lib/" + p.tuple, "/usr/lib/" + p.tuple, "/lib", "/usr/lib"}
	}
	return []string{"/lib", "/usr/lib", "/lib64", "/usr/lib64"}
}

// names reports whether the hook finds a directory's exact text among the system's or in
// ld.so.conf and what that includes by absolute patterns.
func (im *Image) names(extra map[string]string, system []string, dir string) bool {
	c := im.newConfig(extra)
	files, seen := []string{mainConfig}, map[string]bool{}
	for i := 0; i < len(files) && i < maxDirs; i++ {
		text, final := c.text(files[i])
		if seen[final] {
			continue
		}
		seen[final] = true
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			pattern, include := strings.CutPrefix(line, "include ")
			switch {
			case line == dir:
				return true
			case include && path.IsAbs(pattern):
				files = append(files, c.matching(rooted("", pattern))...)
			}
		}
	}
	return slices.Contains(system, dir)
}
