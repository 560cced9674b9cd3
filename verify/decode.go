// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// magicSize is how many bytes tell how a blob is compressed. The first chunk of a blob has
// as many, however few of them a registry sends at first.
const magicSize = 4

// decoder turns the bytes of a blob into those of its archive.
type decoder interface {
	io.Reader
	consumed() int64 // bytes of the blob, for the ratio
	close()
}

// decoder picks by the first bytes, as container runtimes do: media types are
// not to be trusted.
func (s *stream) decoder(ctx context.Context, blob *chunkReader) (decoder, error) {
	switch magic := blob.peek(); {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		s.encoding = "gzip"
		if s.how.igzip != "" {
			return startIgzip(ctx, s.how.igzip, blob)
		}
		z, err := newGunzip(blob)
		return ownDecoder{z, blob, func() {}}, err
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(magic):
		s.encoding = "zstd"
		window := windows[s.how.window]
		z, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window.bytes), zstd.WithDecoderLowmem(window.lean))
		if err != nil {
			return nil, err
		}
		return ownDecoder{z, blob, z.Close}, nil
	}
	return ownDecoder{blob, blob, func() {}}, nil
}

// ownDecoder is a decoder of this process.
type ownDecoder struct {
	io.Reader
	blob *chunkReader
	done func()
}

func (d ownDecoder) consumed() int64 { return d.blob.n }
func (d ownDecoder) close()          { d.done() }

// isSkippable recognises a zstd skippable frame, which a blob may begin with.
func isSkippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}

func tooBigForWindow(err error) bool {
	return errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
}
