// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key signs stand-ins.
type Key struct {
	ID          string // the last 8 digits of Fingerprint
	Fingerprint string // 40 lower-case hexadecimal digits
	Armored     []byte
	SHA256      string // of Armored

	entity *openpgp.Entity
	config *packet.Config
}

// NewKey makes a key; an expired one was valid on the first day of 2020 alone.
func NewKey(t testing.TB, expired bool) *Key {
	t.Helper()
	k := &Key{config: &packet.Config{DefaultHash: crypto.SHA256, RSABits: 2048, Time: func() time.Time { return Date.AddDate(0, -1, 0) }}}
	if expired {
		k.config.KeyLifetimeSecs = 24 * 60 * 60
		k.config.Time = func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	var err error
	if k.entity, err = openpgp.NewEntity("cudabuild stand-in", "", "nobody@localhost", k.config); err != nil {
		t.Fatal(err)
	}
	k.Fingerprint = hex.EncodeToString(k.entity.PrimaryKey.Fingerprint)
	k.ID = k.Fingerprint[32:]
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = k.entity.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	k.Armored, k.SHA256 = b.Bytes(), Sum(b.Bytes())
	return k
}

func (k *Key) clearSigned(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, k.entity.PrivateKey, k.config)
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (k *Key) detached(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, k.entity, bytes.NewReader(data), k.config); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
