// SPDX-License-Identifier: Apache-2.0

package loader

import "slices"

// ABI is what two files must share to be loaded together: machine, class and
// byte order.
type ABI uint32

// NewABI makes an ABI of the fields of an ELF header.
func NewABI(machine uint16, class, data byte) ABI {
	return ABI(machine) | ABI(class)<<16 | ABI(data)<<24
}

// Machine returns e_machine of the ELF header.
func (a ABI) Machine() uint16 { return uint16(a) }

// ABIs by their names in an image's configuration.
const (
	AMD64 ABI = 62 | 2<<16 | 1<<24
	ARM64 ABI = 183 | 2<<16 | 1<<24
)

const (
	i386    ABI = 3 | 1<<16 | 1<<24
	ppc64le ABI = 21 | 2<<16 | 1<<24
)

// platform is what directory names say about an ABI.
type platform struct {
	tuple  string   // Debian's multiarch directory
	lib    string   // the other families' directory
	name   string   // $PLATFORM
	musl   string   // in the names of musl's files
	hwcaps []string // subdirectories of glibc-hwcaps, best first
}

var platforms = map[ABI]platform{
	AMD64:   {"x86_64-linux-gnu", "lib64", "x86_64", "x86_64", []string{"x86-64-v4", "x86-64-v3", "x86-64-v2"}},
	ARM64:   {"aarch64-linux-gnu", "lib64", "aarch64", "aarch64", nil},
	i386:    {"i386-linux-gnu", "lib", "i686", "i386", nil},
	ppc64le: {"powerpc64le-linux-gnu", "lib64", "power9", "powerpc64le", []string{"power10", "power9"}},
}

// of returns what is known of an ABI; of an unknown one, that its libraries may
// be in lib and lib64.
func (a ABI) of() platform {
	if p, ok := platforms[a]; ok {
		return p
	}
	return platform{tuple: "unknown", lib: "lib64", name: "unknown", musl: "unknown"}
}

// IsDefault reports whether dir is a directory that programs of some ABI search last.
func IsDefault(dir string) bool {
	for abi := range platforms {
		if slices.Contains(abi.Defaults(), dir) {
			return true
		}
	}
	return false
}

// Defaults returns the directories that glibc searches last, of all families.
func (a ABI) Defaults() []string {
	p := a.of()
	dirs := []string{"lib/" + p.tuple, "usr/lib/" + p.tuple}
	if p.lib != "lib" {
		dirs = append(dirs, p.lib, "usr/"+p.lib)
	}
	return append(dirs, "lib", "usr/lib")
}
