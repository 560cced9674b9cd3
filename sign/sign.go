// SPDX-License-Identifier: Apache-2.0

// Package sign signs statements about images with a key that somebody keeps, offline, and
// verifies such signatures: no log of signatures, no certificates, no clock.
//
// [Load] reads a private key, [LoadPublic] a public one. [Key.Bundle] makes a bundle as
// cosign writes it, [Public.Open] verifies one, of ours or of cosign, and returns its
// statement. cosign finds a bundle if it is an OCI referrer of the image, with artifactType and
// mediaType [BundleType] and the annotations of [BundleAnnotations].
//
// The same key and the same statement make the same bytes. Nothing here reads or writes
// files, and nothing decides what a statement means.
package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// ErrSignature is in the error of [Public.Open] about a bundle that another key has signed,
// or whose statement was changed.
var ErrSignature = errors.New("not signed by this key")

// Key is a private key.
type Key struct {
	signer crypto.Signer
	public Public
}

// Public is a public key: ECDSA on P-256 (with SHA-256) or P-384 (SHA-384), Ed25519, or RSA of
// 2048 to 8192 bits (PKCS #1 v1.5, SHA-256).
type Public struct {
	key  crypto.PublicKey
	hash crypto.Hash // 0: the key signs messages, not their digests
	hint string
}

// Public is the key that verifies what k signs.
func (k *Key) Public() Public { return k.public }

// Hint names the key in bundles: the SHA-256 of its SubjectPublicKeyInfo, in base64.
func (p Public) Hint() string { return p.hint }

// sizes of RSA keys in bits; crypto/tls takes none that are larger, for the time they cost.
const minRSA, maxRSA = 2048, 8192

func newPublic(key crypto.PublicKey) (Public, error) {
	p := Public{key: key, hash: crypto.SHA256}
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
		case elliptic.P384():
			p.hash = crypto.SHA384
		default:
			return p, unfit("an ECDSA key on " + key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		p.hash = 0
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return p, unfit(fmt.Sprintf("an RSA key of %d bits", bits))
		}
	default:
		return p, unfit(fmt.Sprintf("a key of type %T", key))
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return p, err
	}
	sum := sha256.Sum256(der)
	p.hint = base64.StdEncoding.EncodeToString(sum[:])
	return p, nil
}

func unfit(what string) error {
	return hint.New(what+": want ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits", "`cosign generate-key-pair` makes a key that fits")
}

// sign returns the signature of message.
func (k *Key) sign(message []byte) ([]byte, error) {
	// Without a source of randomness ECDSA takes the nonce of RFC 6979, which depends on key and message alone.
	return k.signer.Sign(nil, k.public.digest(message), k.public.hash)
}

func (p Public) verify(message, signature []byte) bool {
	digest := p.digest(message)
	switch key := p.key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, p.hash, digest, signature) == nil
	}
	return false // the zero value
}

// digest is what of message is signed.
func (p Public) digest(message []byte) []byte {
	if p.hash == 0 {
		return message
	}
	h := p.hash.New()
	h.Write(message)
	return h.Sum(nil)
}
