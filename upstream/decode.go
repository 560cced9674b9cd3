// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
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

// decode returns the text of a list.
func decode(name string, data []byte) (io.Reader, error) {
	return decoders[path.Ext(name)](bytes.NewReader(data))
}
