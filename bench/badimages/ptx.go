// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
)

var ptxVersion = regexp.MustCompile(`\.version ([0-9])\.([0-9])\b`)

// raisePTX makes the PTX in a program, which must not be compressed, that of CUDA 13.3,
// which no driver before 610 knows: in the text that the driver compiles, and in the
// header before it, where 1 and 0x101 are the kind and the version of the header, the
// minor number stands at byte 24 and the major at byte 26.
func raisePTX(program []byte) error {
	raised := 0
	for _, m := range ptxVersion.FindAllSubmatchIndex(program, -1) {
		major, minor := uint16(program[m[2]]-'0'), uint16(program[m[4]]-'0')
		header := bytes.LastIndex(program[:m[0]], []byte{1, 0, 1, 1})
		if header < 0 || m[0]-header > 4096 {
			continue
		}
		h := program[header:]
		if binary.LittleEndian.Uint16(h[24:]) != minor || binary.LittleEndian.Uint16(h[26:]) != major {
			continue
		}
		binary.LittleEndian.PutUint16(h[24:], 3)
		binary.LittleEndian.PutUint16(h[26:], 9)
		program[m[2]], program[m[4]] = '9', '3'
		raised++
	}
	if raised == 0 {
		return errors.New("no plain PTX found (nvcc -Xfatbin -no-compress, or -compress-mode none with CUDA 13)")
	}
	return nil
}
