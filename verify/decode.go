// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// magicSize is how many bytes tell how a blob is compressed. The first chunk of a blob has
// as many, however few of them a registry sends at first.
const magicSize = 4

// decoder turns the bytes of a blob into those of its archive.
type decoder struct {
	io.Reader
	close func()
}

// decoder picks by the first bytes, as container runtimes do: media types are
// not to be trusted.
func (s *stream) decoder(blob *chunkReader) (decoder, error) {
	switch magic := blob.peek(); {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		s.encoding = "gzip"
		z, err := newGunzip(blob)
		return decoder{z, func() {}}, err
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(magic):
		s.encoding = "zstd"
		window := windows[s.how.window]
		z, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window.bytes), zstd.WithDecoderLowmem(window.lean))
		if err != nil {
			return decoder{}, err
		}
		return decoder{z, z.Close}, nil
	}
	return decoder{blob, func() {}}, nil
}

// isSkippable recognises a zstd skippable frame, which a blob may begin with.
func isSkippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}

func tooBigForWindow(err error) bool {
	return errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
}
