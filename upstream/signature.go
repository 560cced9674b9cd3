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
	"path"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// SignatureError means that a file is not signed by a key that may sign it.
type SignatureError struct {
	Address, Problem string

	next string
}

func (e *SignatureError) Error() string { return e.Address + " " + e.Problem }

// Hint is to wait, where the signature is a file beside the other.
func (e *SignatureError) Hint() string { return e.next }

// Code is that of what was checked, and failed.
func (*SignatureError) Code() int { return 1 }

// keyring is the keys that may sign a repository.
type keyring struct {
	openpgp.EntityList

	pinned      string // id of the key, "" if there may be several
	fingerprint string // of the pinned key
	now         time.Time
}

// keyring gets the pinned key from the repository itself, or reads the keyring.
func (r Repository) keyring(ctx context.Context, get Get) (keyring, error) {
	ring := keyring{pinned: r.Key.ID, now: r.Now}
	text, address := r.Keyring, "keyring"
	if r.Key.ID != "" {
		address = r.URL + "/" + r.Key.File
		armored, err := get(ctx, address)
		if err != nil {
			return ring, err
		}
		key, err := CheckKey(r.Key, address, armored, r.Now)
		if err != nil {
			return ring, err
		}
		text, ring.fingerprint = key.Binary, key.Fingerprint
	}
	var err error
	if ring.EntityList, err = openpgp.ReadKeyRing(bytes.NewReader(unarmored(text))); err != nil {
		return ring, &KeyError{address, err.Error()}
	}
	if ring.pinned != "" && (len(ring.EntityList) != 1 || !ring.allows(ring.EntityList[0])) {
		return ring, &KeyError{address, fmt.Sprintf("want the key %s and no other, got %d", ring.fingerprint, len(ring.EntityList))}
	}
	return ring, nil
}

// allows reports whether a key is the pinned one, or any of the keyring if none is.
func (k keyring) allows(e *openpgp.Entity) bool {
	return k.pinned == "" || hex.EncodeToString(e.PrimaryKey.Fingerprint) == k.fingerprint
}

// unarmored is what stands in armor, or else the data as they are.
func unarmored(data []byte) []byte {
	if block, err := armor.Decode(bytes.NewReader(data)); err == nil {
		if body, err := io.ReadAll(block.Body); err == nil {
			return body
		}
	}
	return data
}

// clearSigned returns the text of a file that has its signature in it. Nothing else may be in the
// file: the sum of the whole of it is said to be that of what is signed.
func (k keyring) clearSigned(address string, data []byte) (text []byte, signer string, err error) {
	block, rest := clearsign.Decode(data)
	switch {
	case block == nil:
		return nil, "", &SignatureError{Address: address, Problem: "is not signed"}
	case !bytes.HasPrefix(data, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) || len(bytes.TrimSpace(rest)) > 0:
		return nil, "", &SignatureError{Address: address, Problem: "has text before or after what is signed"}
	}
	packets, err := io.ReadAll(block.ArmoredSignature.Body)
	if err != nil {
		return nil, "", &SignatureError{Address: address, Problem: "has a signature that cannot be read: " + err.Error()}
	}
	signer, err = k.check(address, block.Bytes, packets)
	return block.Plaintext, signer, err
}

// detached returns a file whose signature lies beside it, with that ending more.
func (k keyring) detached(ctx context.Context, get Get, address, ending string) (data []byte, signer string, err error) {
	if data, err = get(ctx, address); err != nil {
		return nil, "", err
	}
	signature, err := get(ctx, address+ending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", &SignatureError{Address: address, Problem: fmt.Sprintf("is not signed: there is no %s%s", address, ending)}
	}
	if err != nil {
		return nil, "", err
	}
	signer, err = k.check(address, data, unarmored(signature))
	if problem, ok := errors.AsType[*SignatureError](err); ok {
		problem.next = fmt.Sprintf("if the repository, or the mirror of it, is in the middle of a change, %s is not that of the other file: try again later", path.Base(address)+ending)
	}
	return data, signer, err
}

// hashes are those that a signature may be over.
var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// maxSignatures bounds how many signatures of a file are looked at: while a vendor changes keys there are two,
// Debian has four.
const maxSignatures = 16

// check returns who has signed, of those that may. Of several signatures one good one is enough. The error
// is about one by a key that may sign, if there is one.
func (k keyring) check(address string, signed, signatures []byte) (string, error) {
	problem := error(&SignatureError{Address: address, Problem: "has a signature that cannot be read"})
	known := false
	packets := packet.NewOpaqueReader(bytes.NewReader(signatures))
	for range maxSignatures {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var one bytes.Buffer
		if err == nil {
			err = p.Serialize(&one)
		}
		if err != nil {
			return "", &SignatureError{Address: address, Problem: "has a signature that cannot be read: " + err.Error()}
		}
		made, by, err := openpgp.VerifyDetachedSignatureAndHash(k, bytes.NewReader(signed), &one, hashes, &packet.Config{Time: func() time.Time { return k.now }})
		switch {
		case err == nil && k.allows(by) && k.pinned != "":
			return k.pinned, nil
		case err == nil && k.allows(by):
			return hex.EncodeToString(by.PrimaryKey.Fingerprint), nil
		case known: // and said
		case by != nil && made.CreationTime.After(k.now): // go-crypto calls it, or its key, expired
			problem, known = &SignatureError{Address: address, Problem: fmt.Sprintf("is signed at %s, which is to come: this machine's clock says %s", made.CreationTime.UTC().Format(time.RFC3339), k.now.UTC().Format(time.RFC3339))}, true
		case errors.Is(err, pgperrors.ErrKeyExpired):
			problem, known = &KeyError{address, fmt.Sprintf("%s, which it is signed with, has expired", by.PrimaryKey.KeyIdShortString())}, true
		case len(k.KeysById(issuer(p))) > 0:
			problem, known = &SignatureError{Address: address, Problem: fmt.Sprintf("has a signature of %s that does not fit it: %v", k, err)}, true
		default: // the short form of an id is its end
			problem = &SignatureError{Address: address, Problem: fmt.Sprintf("is signed by key %08x, not by %s (if the vendor says that it is a new one, add it to recipes/repository)", uint32(issuer(p)), k)}
		}
	}
	return "", problem
}

// String names the keys.
func (k keyring) String() string {
	if k.pinned != "" {
		return k.pinned + ", which recipes/repository pins"
	}
	return "any of the keyring"
}

// issuer is the id of the key that a signature is by, 0 if it does not say.
func issuer(p *packet.OpaquePacket) uint64 {
	parsed, err := p.Parse()
	if s, ok := parsed.(*packet.Signature); ok && err == nil && s.IssuerKeyId != nil {
		return *s.IssuerKeyId
	}
	return 0
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
