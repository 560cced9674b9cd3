// SPDX-License-Identifier: Apache-2.0

package sign_test

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/sign"
)

// FuzzKey: whatever a key file holds, there is a key that verifies what it signs, or an error.
func FuzzKey(f *testing.F) {
	p256 := newECDSA(f, elliptic.P256())
	f.Add(block("PRIVATE KEY", pkcs8(f, p256)))
	f.Add(block("PRIVATE KEY", pkcs8(f, seeded())))
	f.Add(sec1(f, p256))
	pix := pkix(f, p256.Public())
	f.Add(pix)
	f.Add(slices.Concat(pix, pix))
	f.Add(secret(f, "ENCRYPTED SIGSTORE PRIVATE KEY", p256, "secret"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if public, err := sign.LoadPublic(text); err == nil {
			again, err := sign.LoadPublic(text)
			if err != nil || again.Hint() != public.Hint() {
				t.Errorf("read again: %v, %v", again, err)
			}
			if both, err := sign.LoadPublic(slices.Concat(text, []byte("\n"), pix)); err == nil {
				t.Errorf("of two keys it took %v", both)
			}
		}
		key, err := sign.Load(text, func() ([]byte, error) { return []byte("secret"), nil })
		if err != nil {
			return
		}
		bundle, err := key.Bundle(text)
		if err != nil {
			return // RSA keys whose numbers do not belong together
		}
		if got, err := key.Public().Open(bundle); err != nil || !bytes.Equal(got, text) {
			t.Errorf("Open() = %q, %v, want %q", got, err, text)
		}
	})
}

// FuzzBundle: what verifies is what was signed, whatever stands around it.
func FuzzBundle(f *testing.F) {
	key, err := sign.Load(block("PRIVATE KEY", pkcs8(f, seeded())), noPassword)
	if err != nil {
		f.Fatal(err)
	}
	signed := []byte(`{"digest":"abc"}`)
	bundle, err := key.Bundle(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add(bytes.Replace(bundle, []byte("[{"), []byte("[{},{"), 1))
	f.Add(bytes.Replace(bundle, []byte(`"dsseEnvelope"`), []byte(`"dsseEnvelope":{},"dsseEnvelope"`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := sign.Read(data)
		got, openErr := key.Public().Open(data)
		switch {
		case openErr == nil && !bytes.Equal(got, signed):
			t.Errorf("Open() = %q, want %q or an error", got, signed)
		case openErr == nil && !bytes.Equal(read.Statement, got):
			t.Errorf("Read() = %q, Open() = %q", read.Statement, got)
		case openErr != nil && (err == nil) != errors.Is(openErr, sign.ErrSignature):
			t.Errorf("Read: %v, Open: %v", err, openErr)
		}
	})
}
