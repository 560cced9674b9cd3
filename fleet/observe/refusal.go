// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Exit codes of a shell for a command that it could not start.
const (
	notFound      = 127
	notExecutable = 126
)

// refusal says why a command could not be started.
func refusal(err error) (code int, problem string) {
	var (
		lookup *exec.Error
		start  *fs.PathError
	)
	switch {
	case errors.As(err, &lookup) && errors.Is(err, exec.ErrNotFound):
		return notFound, fmt.Sprintf("%s: no such program on the PATH (%s)", lookup.Name, os.Getenv("PATH"))
	case errors.As(err, &lookup) && errors.Is(err, fs.ErrNotExist):
		return notFound, lookup.Name + ": no such file"
	case errors.As(err, &lookup):
		return notExecutable, fmt.Sprintf("%s: %v", lookup.Name, lookup.Err)
	case errors.As(err, &start):
		return notExecutable, fmt.Sprintf("%s: %s", start.Path, why(start.Path, start.Err))
	}
	return notExecutable, err.Error()
}

// machines are processors by the names that Go has for them.
var machines = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// why says what the kernel means by an error about a program that is there.
func why(path string, err error) string {
	begin, loader := programOf(path)
	switch {
	case errors.Is(err, syscall.ENOENT) && loader != "":
		return fmt.Sprintf("its interpreter %s is not there", loader)
	case !errors.Is(err, syscall.ENOEXEC):
		return err.Error()
	case begin == nil:
		return "it is neither a program nor a script that begins with #!"
	case begin.Machine != machine():
		return fmt.Sprintf("it is a program for %s, and this machine is %s", nameOf(begin.Machine), runtime.GOARCH)
	}
	return err.Error()
}

func nameOf(m elf.Machine) string {
	if name, known := machines[m]; known {
		return name
	}
	return m.String()
}

// machine is the one that this program is for.
func machine() elf.Machine {
	for m, name := range machines {
		if name == runtime.GOARCH {
			return m
		}
	}
	return elf.EM_NONE
}

// programOf reads what stands at the beginning of a program: its header, nil if it is no ELF file, and
// what the kernel starts in its place, "" if that is nothing.
func programOf(path string) (*elf.FileHeader, string) {
	file, err := os.Open(path)
	if err != nil {
		return nil, ""
	}
	defer file.Close()
	begin := make([]byte, 256) // the kernel reads no more
	n, _ := io.ReadFull(file, begin)
	if line, script := bytes.CutPrefix(begin[:n], []byte("#!")); script {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		if words := strings.Fields(string(line)); len(words) > 0 {
			return nil, words[0]
		}
		return nil, ""
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return nil, ""
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			name, _ := io.ReadAll(p.Open())
			return &program.FileHeader, strings.TrimRight(string(name), "\x00")
		}
	}
	return &program.FileHeader, ""
}
