// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/verify/internal/codec"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// magicSize is how many bytes tell how a blob is compressed. The first chunk of a blob has
// as many, however few of them a registry sends at first.
const magicSize = 4

// decoder turns the bytes of a blob into those of its archive.
type decoder struct {
	io.Reader
	close func()
}

// encodingOf goes by the first bytes, as container runtimes do: media types are not to be trusted.
func encodingOf(magic []byte) string {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), sniff.IsSkippable(magic):
		return "zstd"
	}
	return ""
}

func (s *stream) decoder(blob io.Reader) (decoder, error) {
	if s.encoding == "gzip" {
		z, err := codec.Gzip(blob)
		return decoder{z, func() {}}, err
	}
	window := windows[s.window]
	z, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window.bytes), zstd.WithDecoderLowmem(window.lean))
	if err != nil {
		return decoder{}, err
	}
	return decoder{z, z.Close}, nil
}

func tooBigForWindow(err error) bool {
	return errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
}
