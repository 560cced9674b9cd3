// SPDX-License-Identifier: Apache-2.0

package fatbin

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a compressed entry may ask for.
const maxWindow = 8 << 20

var zstdPool = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // only wrong options fail
	}
	return d
}}

// unzstd returns up to limit bytes of a frame of which in is the beginning.
func unzstd(in []byte, limit int) []byte {
	d := zstdPool.Get().(*zstd.Decoder)
	defer zstdPool.Put(d)
	if d.Reset(bytes.NewReader(in)) != nil {
		return nil
	}
	var out bytes.Buffer
	_, _ = io.CopyN(&out, d, int64(limit)) // it ends in an error where in was cut
	_ = d.Reset(nil)                       // lets go of in
	return out.Bytes()
}

// unlz4 returns up to limit bytes of an LZ4 block of which in is the beginning.
// Format: github.com/lz4/lz4, doc/lz4_Block_format.md.
func unlz4(in []byte, limit int) []byte {
	var out []byte
	for len(in) > 0 && len(out) < limit {
		token := in[0]
		literals, rest, ok := lz4Length(in[1:], int(token>>4))
		if !ok {
			return out
		}
		n := min(literals, len(rest), limit-len(out))
		out = append(out, rest[:n]...)
		if n < literals || len(rest) < n+2 {
			return out
		}
		back := int(rest[n]) | int(rest[n+1])<<8
		match, after, ok := lz4Length(rest[n+2:], int(token&15))
		if !ok || back == 0 || back > len(out) {
			return out
		}
		for range min(match+4, limit-len(out)) {
			out = append(out, out[len(out)-back])
		}
		in = after
	}
	return out
}

// lz4Length completes a length that begins with four bits.
func lz4Length(in []byte, n int) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, in, true
	}
	for i, b := range in {
		n += int(b)
		if b != 255 {
			return n, in[i+1:], true
		}
	}
	return 0, nil, false
}
