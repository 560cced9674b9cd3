// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// program does nothing and exits with code 0.
type program struct {
	machine elf.Machine
	class   elf.Class
	code    []byte
}

// programs are the ones that are known, by architecture. All are little-endian.
var programs = map[string]program{
	"amd64": {elf.EM_X86_64, elf.ELFCLASS64, []byte{
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}},
	"arm64": {elf.EM_AARCH64, elf.ELFCLASS64, []byte{
		0x00, 0x00, 0x80, 0xd2, // mov x0, 0
		0xa8, 0x0b, 0x80, 0xd2, // mov x8, exit
		0x01, 0x00, 0x00, 0xd4, // svc 0
	}},
	"386": {elf.EM_386, elf.ELFCLASS32, []byte{
		0x31, 0xdb, // xor ebx, ebx
		0xb8, 1, 0, 0, 0, // mov eax, exit
		0xcd, 0x80, // int 0x80
	}},
}

// bytes is the program as a file: a header, one segment that is all of the file, the code.
func (p program) bytes() []byte {
	const address = 0x400000
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(p.class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	var file bytes.Buffer
	write := func(head, segment any) {
		_ = binary.Write(&file, binary.LittleEndian, head)
		_ = binary.Write(&file, binary.LittleEndian, segment)
	}
	if p.class == elf.ELFCLASS32 {
		const start = 52 + 32
		size := uint32(start + len(p.code))
		write(elf.Header32{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(p.machine), Version: uint32(elf.EV_CURRENT),
			Entry: address + start, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 1,
		}, elf.Prog32{Type: uint32(elf.PT_LOAD), Vaddr: address, Filesz: size, Memsz: size, Flags: uint32(elf.PF_R | elf.PF_X), Align: 1 << 16})
	} else {
		const start = 64 + 56
		size := uint64(start + len(p.code))
		write(elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(p.machine), Version: uint32(elf.EV_CURRENT),
			Entry: address + start, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
		}, elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: address, Filesz: size, Memsz: size, Flags: uint32(elf.PF_R | elf.PF_X), Align: 1 << 16})
	}
	return append(file.Bytes(), p.code...)
}
