// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// BenchmarkLayer reports MB/s of uncompressed content, on a layer of 64 ELF files of
// 2 MB and 2,000 small files, half of it compressible.
func BenchmarkLayer(b *testing.B) {
	random := rand.NewChaCha8([32]byte{1})
	files := map[string]imagetest.Entry{}
	for i := range 64 {
		code := make([]byte, 2<<20)
		_, _ = random.Read(code[:len(code)/2])
		elf := append(imagetest.ELF{SOName: fmt.Sprintf("lib%d.so", i), Exports: []string{"a", "b"}}.Bytes(), code...)
		files[fmt.Sprintf("usr/lib/lib%d.so", i)] = imagetest.File(elf)
	}
	for i := range 2000 {
		text := make([]byte, 8<<10)
		_, _ = random.Read(text[:4<<10])
		files[fmt.Sprintf("usr/share/%d", i)] = imagetest.Entry{Data: string(text)}
	}
	archive := imagetest.Files(files)
	for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Zstd, imagetest.Gzip} {
		layer := imagetest.Layer(enc, archive)
		img := imagetest.New(layer)
		b.Run(string(enc)+"/decode-and-hash", func(b *testing.B) {
			b.SetBytes(int64(len(archive)))
			for b.Loop() {
				decodeAndHash(b, enc, layer.Data)
			}
		})
		b.Run(string(enc)+"/verify", func(b *testing.B) {
			b.SetBytes(int64(len(archive)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify.New(verify.Options{}).Image(b.Context(), "x", img); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// decodeAndHash is the floor: one goroutine, the same decoder, both digests.
func decodeAndHash(b *testing.B, enc imagetest.Encoding, blob []byte) {
	b.Helper()
	var r io.Reader = bytes.NewReader(blob)
	var err error
	switch enc {
	case imagetest.Gzip:
		r, err = gzip.NewReader(r)
	case imagetest.Zstd:
		r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		b.Fatal(err)
	}
	if enc != imagetest.Plain {
		sha256.Sum256(blob)
	}
	if _, err := io.CopyBuffer(sha256.New(), struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		b.Fatal(err)
	}
}
