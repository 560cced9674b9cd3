// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"fmt"
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

// maxText bounds the text of a list, in bytes. The largest seen, of Debian's main, has 55 MB.
const maxText = 512 << 20

// decode returns the text of a list.
func decode(name string, data []byte) (io.Reader, error) {
	text, err := decoders[path.Ext(name)](bytes.NewReader(data))
	return &bounded{text, maxText}, err
}

// bounded reads so many bytes, and fails if there are more.
type bounded struct {
	io.Reader

	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the list has more than %d bytes", int64(maxText))
	}
	return n, err
}
