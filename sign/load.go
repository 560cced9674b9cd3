// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// Load reads a private key from PEM: PKCS #8, or SEC 1 as openssl writes for ECDSA, or one that
// cosign has encrypted. Only for the last is password called.
func Load(text []byte, password func() ([]byte, error)) (*Key, error) {
	block, err := find(text, "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	der, parse := block.Bytes, x509.ParsePKCS8PrivateKey
	switch {
	case block.Type == "EC PRIVATE KEY":
		parse = func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) }
	case strings.HasPrefix(block.Type, "ENCRYPTED "):
		if der, err = decrypt(block.Bytes, password); err != nil {
			return nil, err
		}
	}
	parsed, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.ToLower(block.Type), err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, unfit(fmt.Sprintf("a key of type %T", parsed))
	}
	public, err := newPublic(signer.Public())
	return &Key{signer, public}, err
}

// LoadPublic reads a public key from PEM, as cosign and `openssl pkey -pubout` write it.
func LoadPublic(text []byte) (Public, error) {
	block, err := find(text, "PUBLIC KEY")
	if err != nil {
		return Public{}, err
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Public{}, fmt.Errorf("public key: %w", err)
	}
	return newPublic(key)
}

func decrypt(data []byte, password func() ([]byte, error)) ([]byte, error) {
	secret, err := password()
	if err != nil {
		return nil, err
	}
	der, err := encrypted.Decrypt(data, secret)
	if err != nil {
		return nil, hint.New(fmt.Sprintf("cosign's private key: %v", err), "set COSIGN_PASSWORD to the password that it was made with")
	}
	return der, nil
}

// advice is what to do about a file that holds something else.
var advice = map[string]string{
	"ENCRYPTED PRIVATE KEY": "take the password off with `openssl pkey -in FILE`, or let cosign encrypt it: `cosign import-key-pair --key FILE`",
	"RSA PRIVATE KEY":       "convert it with `openssl pkey -in FILE`",
	"PUBLIC KEY":            "signing takes the private key; this is its public half",
	"CERTIFICATE":           "take the key out of it with `openssl x509 -in FILE -noout -pubkey`",
}

// find returns the block of one of these types. Others may stand beside it, such as the
// parameters of a curve; a second one of these may not, since only one of the two would count.
func find(text []byte, types ...string) (*pem.Block, error) {
	var found *pem.Block
	first := ""
	for {
		block, rest := pem.Decode(text)
		switch {
		case block != nil && slices.Contains(types, block.Type) && found != nil:
			return nil, hint.New(fmt.Sprintf("two PEM blocks, %q and %q: want one key", found.Type, block.Type), "a file of its own for each key says which one is meant")
		case block != nil && slices.Contains(types, block.Type):
			found = block
		case block == nil && found != nil:
			return found, nil
		case block == nil && first == "":
			return nil, errors.New("no key in PEM format")
		case block == nil && strings.HasSuffix(first, "PRIVATE KEY") && len(types) == 1:
			return nil, hint.New(fmt.Sprintf("PEM block %q: want %q", first, types[0]), "verifying takes the public key: `cosign public-key --key FILE` or `openssl pkey -in FILE -pubout`")
		case block == nil:
			return nil, hint.New(fmt.Sprintf("PEM block %q: want %q", first, types[0]), advice[first])
		case first == "":
			first = block.Type
		}
		text = rest
	}
}
