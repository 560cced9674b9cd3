// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"errors"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// decoders are compressions of lists by the ending of a name, all but "" in one stream.
var decoders = map[string]func(io.Reader) (io.Reader, error){
	"":     plainText,
	".xml": plainText,
	".gz":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	".xz":  func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, xz.DefaultDictMax) },
	".zst": func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	},
}

const maxWindow = 128 << 20

func plainText(r io.Reader) (io.Reader, error) { return r, nil }

// maxText bounds the text of a list. The largest seen, Debian's main, has 55 MB.
const maxText = 1 << 30

// decode returns the text of a list. Reading more of it than maxText is an error.
func decode(name string, data []byte) (io.Reader, error) {
	text, err := decoders[path.Ext(name)](bytes.NewReader(data))
	return &bounded{text, maxText}, err
}

// bounded is a text that may have so many bytes.
type bounded struct {
	io.Reader

	left int64
}

var errTooLong = errors.New("its text is too long for a list of packages")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
