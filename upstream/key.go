// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/cudabuild/cudabuild/recipes"
)

// Key is a public key as far as it takes to pin one.
type Key struct {
	Fingerprint string    // of the primary key, 40 lower-case hexadecimal digits
	Expires     time.Time // zero if it never does
	Armored     []byte    // the text that the pin's sum is over, and nothing else
	Binary      []byte    // what stands in its armor, which is what an old apt reads
}

// KeyError means that a repository's signing key is not the one that the recipes pin,
// or is of no use any more.
type KeyError struct {
	Address string
	Problem string
}

// Code is that of what was checked, and failed.
func (*KeyError) Code() int { return 1 }

func (e *KeyError) Error() string { return fmt.Sprintf("signing key %s: %s", e.Address, e.Problem) }

// CheckKey compares a key with its pin, and with the calendar: apt refuses a key that
// has expired, rpm does not look. What it returns is made of the bytes that the sum is over: what
// the sum leaves out gets to nobody. The error is a [*KeyError] with the address of the key.
func CheckKey(pin recipes.Key, address string, text []byte, now time.Time) (Key, error) {
	bad := func(format string, args ...any) error {
		return &KeyError{address, fmt.Sprintf(format, args...)}
	}
	const next = " (if the vendor says that it is a new one, add it there with its date)"
	text, err := withoutVersion(text)
	if err != nil {
		return Key{}, bad("%v", err)
	}
	sum := sha256.Sum256(text)
	k, err := parseKey(text)
	switch got := hex.EncodeToString(sum[:]); {
	case err != nil:
		return k, bad("%v (sha256 %s, want %s)", err, got, pin.SHA256)
	case pin.Fingerprint != "" && !strings.EqualFold(k.Fingerprint, pin.Fingerprint):
		return k, bad("its fingerprint is %s, want %s: another key than recipes/repository pins as %s%s", k.Fingerprint, strings.ToLower(pin.Fingerprint), pin.ID, next)
	case got != pin.SHA256:
		return k, bad("its sha256 is %s, want %s: another text than recipes/repository pins as %s, fingerprint %s%s", got, pin.SHA256, pin.ID, k.Fingerprint, next)
	case !k.Expires.IsZero() && now.After(k.Expires):
		return k, bad("%s expired on %s: look for the one that the vendor signs with now and add it to recipes/repository", pin.ID, k.Expires.Format(time.DateOnly))
	}
	return k, nil
}

// withoutVersion is the text of a key that NVIDIA's own sums are over: without the line of its
// armor's head that says which program wrote it. NVIDIA leaves out every line that begins so; in the
// body it would be part of a key that no sum covers, and is refused.
func withoutVersion(text []byte) (kept []byte, err error) {
	head := true
	for line := range bytes.Lines(text) {
		head = head && len(bytes.TrimSpace(line)) > 0
		switch version := bytes.HasPrefix(line, []byte("Version")); {
		case version && !head:
			return nil, fmt.Errorf("%w: a line of its body begins with Version", errNotKey)
		case !version:
			kept = append(kept, line...)
		}
	}
	return kept, nil
}

var errNotKey = errors.New("not an armored OpenPGP public key")

// parseKey reads the first block of a text. It checks no signature: who pins a key by a
// sum of its text knows already whose it is, a foreign key may ask for any amount of
// arithmetic, and those of 2014 sign themselves with SHA-1.
func parseKey(text []byte) (Key, error) {
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil || block.Type != openpgp.PublicKeyType {
		return Key{}, errNotKey
	}
	binary, err := io.ReadAll(block.Body)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %v", errNotKey, err)
	}
	packets := packet.NewReader(bytes.NewReader(binary))
	first, err := packets.Next()
	primary, ok := first.(*packet.PublicKey)
	if err != nil || !ok || primary.IsSubkey {
		return Key{}, fmt.Errorf("%w: it does not begin with one (%v)", errNotKey, err)
	}
	self, err := newestSignature(primary, packets)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %v", errNotKey, err)
	}
	k := Key{Fingerprint: hex.EncodeToString(primary.Fingerprint), Armored: text, Binary: binary}
	if self.KeyLifetimeSecs != nil && *self.KeyLifetimeSecs != 0 {
		k.Expires = primary.CreationTime.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second).UTC()
	}
	return k, nil
}

// newestSignature returns the newest of a primary key's certifications of itself, and
// reads all packets.
func newestSignature(primary *packet.PublicKey, packets *packet.Reader) (newest packet.Signature, err error) {
	for sub := false; ; {
		next, err := packets.Next()
		if errors.Is(err, io.EOF) {
			return newest, nil
		}
		if err != nil {
			return newest, err
		}
		switch p := next.(type) {
		case *packet.PublicKey:
			if !p.IsSubkey {
				return newest, errors.New("there is a second one")
			}
			sub = true // its signatures are of the primary key too, but not about it
		case *packet.Signature:
			if !sub && certifies[p.SigType] && p.CheckKeyIdOrFingerprint(primary) && !p.CreationTime.Before(newest.CreationTime) {
				newest = *p
			}
		case *packet.UserId, *packet.UserAttribute:
		default:
			return newest, fmt.Errorf("it has a %T", p)
		}
	}
}

// certifies has the types of signature that tell the lifetime of a key.
var certifies = map[packet.SignatureType]bool{
	packet.SigTypeGenericCert: true, packet.SigTypePersonaCert: true, packet.SigTypeCasualCert: true,
	packet.SigTypePositiveCert: true, packet.SigTypeDirectSignature: true,
}
