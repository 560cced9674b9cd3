// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"cmp"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/cudart"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/fatbin"
)

// maxTargets bounds the different targets that are kept of one file.
const maxTargets = 256

// machineX86 is e_machine of x86-64.
const machineX86 = 62

// Code is what one file asks of the driver and the GPU.
type Code struct {
	// Path is "" for one that stands for files beyond the limits.
	Path string `json:"path"`
	// Cudart says that the CUDA runtime is inside, Runtime which release: "12.4", "12"
	// if only the major number is known, "" if nothing is.
	Cudart  bool   `json:"cudart,omitempty"`
	Runtime string `json:"runtime,omitempty"`
	// SASS and PTX hold each target once, sorted. A file has device code for a GPU if
	// one of its containers has: libraries keep kernels for one architecture in
	// containers of their own and pick among them (docs/portability.md).
	SASS []compat.Target `json:"sass,omitempty"`
	PTX  []PTX           `json:"ptx,omitempty"`
	// Loose says that the file is nothing but device code, for a program to load.
	Loose bool `json:"loose,omitempty"`
	// Opens is a library of the driver that the file has by name, to open it as it runs
	// or because the dynamic linker is to: "libcuda.so". "" if it names none.
	Opens string `json:"opens,omitempty"`
	// Unread says that not all could be read.
	Unread bool `json:"unread,omitempty"`
	// Compat is the version in the name of a file libcuda.so.*.*.
	Compat string `json:"compat,omitempty"`
}

// PTX is compat.PTX with names for JSON.
type PTX struct {
	Target compat.Target `json:"target"`
	ISA    string        `json:"isa"`
}

// deviceScan collects the device code of one file that is written to it.
type deviceScan struct {
	code    Code
	scanner *fatbin.Scanner
	cudart  cudart.Finder
}

// newDeviceScan begins with the file's first bytes.
func newDeviceScan(p string, size int64, head []byte) *deviceScan {
	d := &deviceScan{code: Code{Path: p}}
	d.cudart.X86 = len(head) >= 20 && head[18] == machineX86 && head[19] == 0
	d.scanner = fatbin.NewScanner(size, d.entry)
	d.scanner.Outside = func(b []byte) { _, _ = d.cudart.Write(b) }
	_, _ = d.Write(head)
	return d
}

// Write implements io.Writer; it never fails.
func (d *deviceScan) Write(b []byte) (int, error) { return d.scanner.Write(b) }

func (d *deviceScan) entry(e fatbin.Entry) {
	n, t := &d.code, compat.Target{SM: e.SM, Suffix: e.Suffix}
	switch {
	case e.Kind == fatbin.SASS && !e.Empty && !slices.Contains(n.SASS, t):
		n.SASS = append(n.SASS, t)
	case e.Kind == fatbin.PTX && !slices.Contains(n.PTX, PTX{t, e.ISA}):
		n.PTX = append(n.PTX, PTX{t, e.ISA})
	}
	if len(n.SASS) > maxTargets || len(n.PTX) > maxTargets {
		n.SASS, n.PTX, n.Unread = nil, nil, true
	}
}

// finish returns what was learned, after the last byte.
func (d *deviceScan) finish() Code {
	slices.SortFunc(d.code.SASS, compat.CompareTargets)
	slices.SortFunc(d.code.PTX, func(a, b PTX) int {
		return cmp.Or(compat.CompareTargets(a.Target, b.Target), compat.Compare(a.ISA, b.ISA))
	})
	d.code.Unread = d.code.Unread || d.scanner.Malformed() > 0
	d.code.Runtime, d.code.Cudart = d.cudart.Release()
	d.code.Opens = d.cudart.Opens()
	return d.code
}

// cudartName is the runtime's file name or SONAME; auditwheel adds an infix.
var cudartName = regexp.MustCompile(`^libcudart(?:-[0-9a-f]{8})?\.so\.([0-9]+(?:\.[0-9]+)?)(?:\.|$)`)

// deviceCode records what a file asks for, unless it is a library of the driver.
// elf is the zero value for a file that no dynamic linker loads.
func (b *builder) deviceCode(d *deviceScan, elf dynelf.Info) {
	n := d.finish()
	if lib, _ := b.rules.LibraryNamed(path.Base(n.Path)); lib != nil || b.rules.IsDriver(elf) {
		return
	}
	for _, name := range []string{path.Base(n.Path), elf.SOName} {
		m := cudartName.FindStringSubmatch(name)
		if m == nil || n.Runtime != "" && strings.Contains(n.Runtime, ".") {
			continue
		}
		n.Cudart = true
		if len(m[1]) > len(n.Runtime) {
			n.Runtime = m[1]
		}
	}
	b.code(n)
}

// weight is the bytes that n takes in memory, nearly.
func (n Code) weight() int {
	return 192 + len(n.Path) + len(n.Compat) + len(n.Opens) + 24*len(n.SASS) + 48*len(n.PTX)
}

// Part reports whether there is more to a file than a library that it opens.
func (n Code) Part() bool { return n.Cudart || n.Unread || len(n.SASS)+len(n.PTX) > 0 }

// code keeps what is worth keeping.
func (b *builder) code(n Code) {
	if !n.Part() && n.Opens == "" && n.Compat == "" || b.budget.code.over() {
		return
	}
	if !b.budget.code.spend(int64(n.weight())) {
		n = Code{Unread: true}
	}
	b.facts.Code = append(b.facts.Code, n)
}

// isDeviceCode reports whether a file is a fatbin or a cubin, by its first bytes.
func isDeviceCode(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x50, 0xed, 0x55, 0xba, 1, 0}) || string(head[:6]) == "\x7fELF\x02\x01" && head[18] == 190 && head[19] == 0
}

// looseCode examines a file that is nothing but device code.
func (b *builder) looseCode(p string, head []byte, size int64, body io.Reader) error {
	d := newDeviceScan(p, size, head)
	rest := make([]byte, min(size, 64)-int64(len(head)))
	if _, err := io.ReadFull(body, rest); err != nil {
		return err
	}
	if e, ok := fatbin.Cubin(slices.Concat(head, rest)); ok {
		d.entry(e)
	} else {
		_, _ = d.Write(rest)
		if _, err := io.Copy(d, body); err != nil {
			return err
		}
	}
	n := d.finish()
	n.Loose = true
	b.code(n)
	return nil
}

// CompatVersion returns what the hook takes for the version of a file libcuda.so.*.*.
func CompatVersion(p string) (string, bool) {
	v, ok := strings.CutPrefix(path.Base(p), "libcuda.so.")
	return v, ok && strings.Contains(v, ".")
}
