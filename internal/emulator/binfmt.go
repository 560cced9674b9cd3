// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// missing says what keeps the kernel from running a program, by its list of emulators.
func missing(dir string, program []byte) string {
	if _, err := os.Stat(filepath.Join(dir, "register")); err != nil {
		return "binfmt_misc is not mounted on " + dir
	}
	if status, err := os.ReadFile(filepath.Join(dir, "status")); err == nil && strings.TrimSpace(string(status)) == "disabled" {
		return "binfmt_misc is switched off"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if e := parse(string(text)); err == nil && e.takes(program) {
			return fmt.Sprintf("%s is registered %s", filepath.Base(file), e.flaw())
		}
	}
	return "no emulator is registered for them"
}

// registration is an emulator in the kernel's words (Documentation/admin-guide/binfmt-misc).
type registration struct {
	enabled            bool
	interpreter, flags string
	offset             int
	magic, mask        []byte
}

func parse(text string) registration {
	var r registration
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "enabled":
			r.enabled = true
		case "interpreter":
			r.interpreter = value
		case "flags:":
			r.flags = value
		case "offset":
			r.offset, _ = strconv.Atoi(value)
		case "magic":
			r.magic, _ = hex.DecodeString(value)
		case "mask":
			r.mask, _ = hex.DecodeString(value)
		}
	}
	return r
}

// takes reports whether the kernel gives a program to this emulator, if it is enabled.
func (r registration) takes(program []byte) bool {
	if len(r.magic) == 0 || r.offset < 0 || r.offset > len(program)-len(r.magic) {
		return false
	}
	head := bytes.Clone(program[r.offset : r.offset+len(r.magic)])
	if len(r.mask) == len(head) {
		for i := range head {
			head[i] &= r.mask[i]
		}
	}
	return bytes.Equal(head, r.magic)
}

func (r registration) flaw() string {
	switch {
	case !r.enabled:
		return "but disabled"
	case !strings.Contains(r.flags, "F"):
		return "without flag F, so containers do not find " + r.interpreter
	}
	return "and fails: " + r.interpreter
}
