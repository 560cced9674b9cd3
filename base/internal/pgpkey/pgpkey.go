// SPDX-License-Identifier: Apache-2.0

// Package pgpkey reads an armored OpenPGP public key as far as it takes to pin one:
// [Parse] returns its fingerprint, when it expires, and its binary form, which is what
// an old apt reads.
//
// It checks no signature, of the key's owner neither: who pins a key by a sum of its
// text knows already whose it is. Formats: RFC 4880, of which RFC 9580 changes nothing
// for keys of version 4.
package pgpkey

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // a fingerprint of version 4 is a SHA-1 sum (RFC 4880, 12.2)
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Key is a public key.
type Key struct {
	Fingerprint string    // of the primary key, 40 lower-case hexadecimal digits
	Expires     time.Time // zero if it never does
	Binary      []byte    // what stands in the armor
}

const (
	begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	end   = "-----END PGP PUBLIC KEY BLOCK-----"
)

var errNotKey = errors.New("not an armored OpenPGP public key")

// Parse reads the first public key block in a text.
func Parse(text []byte) (Key, error) {
	binary, err := dearmor(text)
	if err != nil {
		return Key{}, err
	}
	packets, err := split(binary)
	if err != nil {
		return Key{}, err
	}
	if len(packets) == 0 || packets[0].tag != tagPublicKey || len(packets[0].body) < 6 || packets[0].body[0] != 4 {
		return Key{}, fmt.Errorf("%w of version 4", errNotKey)
	}
	k := Key{Fingerprint: fingerprint(packets[0].body), Binary: binary}
	k.Expires = expiry(packets, k.Fingerprint)
	return k, nil
}

// dearmor decodes the lines between the headers and the checksum.
func dearmor(text []byte) ([]byte, error) {
	_, rest, found := bytes.Cut(text, []byte(begin))
	block, _, whole := bytes.Cut(rest, []byte(end))
	if !found || !whole {
		return nil, errNotKey
	}
	_, lines, _ := bytes.Cut(block, []byte("\n"))
	var code []byte
	body := false // after the blank line that ends the headers
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSpace(line)
		switch {
		case body && bytes.HasPrefix(line, []byte("=")): // a checksum, not of use here
		case body:
			code = append(code, line...)
		case len(line) == 0:
			body = true
		}
	}
	binary, err := base64.StdEncoding.DecodeString(string(code))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNotKey, err)
	}
	return binary, nil
}

func fingerprint(body []byte) string {
	h := sha1.New() //nolint:gosec // as above
	h.Write([]byte{0x99, byte(len(body) >> 8), byte(len(body))})
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
