// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// SignatureError means that a file is not signed by a key that may sign it.
type SignatureError struct{ Address, Problem string }

func (e *SignatureError) Error() string { return e.Address + " " + e.Problem }

// Code is that of what was checked, and failed.
func (*SignatureError) Code() int { return 1 }

// keyring is the keys that may sign a repository.
type keyring struct {
	openpgp.EntityList

	pinned string // id of the key, "" if there may be several
}

// keyring gets the pinned key from the repository itself, or reads the keyring.
func (r Repository) keyring(ctx context.Context, get Get) (keyring, error) {
	text, address := r.Keyring, "keyring"
	if r.Key.ID != "" {
		address = r.URL + "/" + r.Key.File
		var err error
		if text, err = get(ctx, address); err != nil {
			return keyring{}, err
		}
		key, err := CheckKey(r.Key, address, text)
		if err != nil {
			return keyring{}, err
		}
		text = key.Binary
	}
	binary := io.Reader(bytes.NewReader(text))
	if block, err := armor.Decode(bytes.NewReader(text)); err == nil {
		binary = block.Body
	}
	keys, err := openpgp.ReadKeyRing(binary)
	if err != nil {
		return keyring{}, &KeyError{address, err.Error()}
	}
	return keyring{keys, r.Key.ID}, nil
}

// clearSigned returns the text of a file that has its signature in it.
func (k keyring) clearSigned(address string, data []byte) (text []byte, signer string, err error) {
	block, _ := clearsign.Decode(data)
	if block == nil {
		return nil, "", &SignatureError{address, "is not signed"}
	}
	signer, err = k.check(address, block.Bytes, block.ArmoredSignature.Body)
	return block.Plaintext, signer, err
}

// detached returns a file whose signature lies beside it, with that ending more.
func (k keyring) detached(ctx context.Context, get Get, address, ending string) (data []byte, signer string, err error) {
	if data, err = get(ctx, address); err != nil {
		return nil, "", err
	}
	signature, err := get(ctx, address+ending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", &SignatureError{address, fmt.Sprintf("is not signed: there is no %s%s", address, ending)}
	}
	if err != nil {
		return nil, "", err
	}
	body := io.Reader(bytes.NewReader(signature))
	if block, err := armor.Decode(bytes.NewReader(signature)); err == nil {
		body = block.Body
	}
	signer, err = k.check(address, data, body)
	return data, signer, err
}

// hashes are those that a signature may be over.
var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// check returns who has signed, of those that may.
func (k keyring) check(address string, signed []byte, signature io.Reader) (string, error) {
	packets, err := io.ReadAll(signature)
	if err != nil {
		return "", &SignatureError{address, "has a signature that cannot be read: " + err.Error()}
	}
	_, by, err := openpgp.VerifyDetachedSignatureAndHash(k, bytes.NewReader(signed), bytes.NewReader(packets), hashes, &packet.Config{Time: time.Now})
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return "", &SignatureError{address, fmt.Sprintf("is signed by key %s, not by %s (if the vendor says that it is a new one, add it to recipes/repository)", issuer(packets), k)}
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return "", &KeyError{address, fmt.Sprintf("%s, which it is signed with, has expired", by.PrimaryKey.KeyIdShortString())}
	case err != nil:
		return "", &SignatureError{address, fmt.Sprintf("has a signature of %s that does not fit it: %v", k, err)}
	case k.pinned != "":
		return k.pinned, nil
	}
	return hex.EncodeToString(by.PrimaryKey.Fingerprint), nil
}

// String names the keys.
func (k keyring) String() string {
	if k.pinned != "" {
		return k.pinned + ", which recipes/repository pins"
	}
	return "any of the keyring"
}

// issuer is the id of the key that the first signature of several is by.
func issuer(packets []byte) string {
	p, err := packet.NewReader(bytes.NewReader(packets)).Next()
	if s, ok := p.(*packet.Signature); ok && err == nil && s.IssuerKeyId != nil {
		return fmt.Sprintf("%08x", uint32(*s.IssuerKeyId)) // the short form of an id is its end
	}
	return "?"
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
