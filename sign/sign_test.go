// SPDX-License-Identifier: Apache-2.0

package sign_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/sign"
)

// statement is what cosign signs of an image.
const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"registry.example/cuda","digest":{"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}],` +
	`"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`

func noPassword() ([]byte, error) { return nil, errors.New("asked for a password") }

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// seeded is the same key each time.
func seeded() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key crypto.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pkix(t testing.TB, key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PUBLIC KEY", der)
}

func sec1(t testing.TB, key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("EC PRIVATE KEY", der)
}

// secret is key as cosign keeps it.
func secret(t testing.TB, kind string, key crypto.PrivateKey, password string) []byte {
	data, err := encrypted.EncryptWithCustomKDFParameters(pkcs8(t, key), []byte(password), encrypted.Legacy)
	if err != nil {
		t.Fatal(err)
	}
	return block(kind, data)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	p256, p384 := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P384())
	big := newRSA(t, 2048)
	parameters := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) // as openssl ecparam writes them
	for name, test := range map[string]struct {
		key  crypto.Signer
		text []byte
	}{
		"ECDSA P-256":            {p256, block("PRIVATE KEY", pkcs8(t, p256))},
		"ECDSA P-384":            {p384, block("PRIVATE KEY", pkcs8(t, p384))},
		"SEC 1":                  {p384, sec1(t, p384)},
		"SEC 1 after parameters": {p256, append(parameters, sec1(t, p256)...)},
		"Ed25519":                {seeded(), block("PRIVATE KEY", pkcs8(t, seeded()))},
		"RSA":                    {big, block("PRIVATE KEY", pkcs8(t, big))},
		"cosign":                 {p256, secret(t, "ENCRYPTED SIGSTORE PRIVATE KEY", p256, "secret")},
		"an older cosign":        {p256, secret(t, "ENCRYPTED COSIGN PRIVATE KEY", p256, "secret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			password := noPassword
			if bytes.Contains(test.text, []byte("ENCRYPTED")) {
				password = func() ([]byte, error) { return []byte("secret"), nil }
			}
			key, err := sign.Load(test.text, password)
			if err != nil {
				t.Fatal(err)
			}
			public, err := sign.LoadPublic(pkix(t, test.key.Public()))
			if err != nil {
				t.Fatal(err)
			}
			if public.Hint() != key.Public().Hint() {
				t.Errorf("hint %q, of the public key alone %q", key.Public().Hint(), public.Hint())
			}
			checkBundle(t, key, public)
		})
	}
}

func checkBundle(t *testing.T, key *sign.Key, public sign.Public) {
	t.Helper()
	text := []byte(statement)
	bundle, err := key.Bundle(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := key.Bundle(text); err != nil || !bytes.Equal(again, bundle) {
		t.Errorf("signed again: %s, %v, want the same bytes:\n%s", again, err, bundle)
	}
	if got, err := public.Open(bundle); err != nil || !bytes.Equal(got, text) {
		t.Errorf("Open() = %q, %v, want %q", got, err, text)
	}
	read, err := sign.Read(bundle)
	if err != nil || !bytes.Equal(read.Statement, text) || read.Hint != public.Hint() {
		t.Errorf("Read() = %q, %q, %v, want %q, %q", read.Statement, read.Hint, err, text, public.Hint())
	}
	other, err := sign.LoadPublic(pkix(t, newECDSA(t, elliptic.P256()).Public()))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]sign.Public{"another key": other, "no key": {}} {
		if got, err := p.Open(bundle); !errors.Is(err, sign.ErrSignature) || got != nil {
			t.Errorf("%s: Open() = %q, %v, want %v", name, got, err, sign.ErrSignature)
		}
	}
}

func TestKeysThatDoNotFit(t *testing.T) {
	t.Parallel()
	p256, p521, small := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P521()), newRSA(t, 1024)
	private := func(text []byte) error {
		_, err := sign.Load(text, func() ([]byte, error) { return []byte("wrong"), nil })
		return err
	}
	public := func(text []byte) error {
		_, err := sign.LoadPublic(text)
		return err
	}
	for name, test := range map[string]struct {
		load       func([]byte) error
		text       []byte
		want, hint string
	}{
		"nothing":              {private, nil, "no key in PEM format", ""},
		"a public key":         {private, pkix(t, p256.Public()), `PEM block "PUBLIC KEY": want "PRIVATE KEY"`, "private key"},
		"a private key":        {public, sec1(t, p256), `PEM block "EC PRIVATE KEY": want "PUBLIC KEY"`, "cosign public-key"},
		"encrypted by openssl": {private, block("ENCRYPTED PRIVATE KEY", []byte{1}), `"ENCRYPTED PRIVATE KEY"`, "cosign import-key-pair"},
		"PKCS #1":              {private, block("RSA PRIVATE KEY", []byte{1}), `"RSA PRIVATE KEY"`, "openssl pkey"},
		"a certificate":        {public, block("CERTIFICATE", []byte{1}), `"CERTIFICATE"`, "openssl x509"},
		"two keys":             {private, slices.Concat(block("PRIVATE KEY", pkcs8(t, p256)), sec1(t, p256)), `two PEM blocks, "PRIVATE KEY" and "EC PRIVATE KEY": want one key`, "a file of its own"},
		"two public keys":      {public, slices.Concat(pkix(t, p256.Public()), pkix(t, small.Public())), `two PEM blocks, "PUBLIC KEY" and "PUBLIC KEY": want one key`, "a file of its own"},
		"damaged":              {private, block("PRIVATE KEY", []byte{1}), "private key: ", ""},
		"damaged, public":      {public, block("PUBLIC KEY", []byte{1}), "public key: ", ""},
		"a wrong password":     {private, secret(t, "ENCRYPTED SIGSTORE PRIVATE KEY", p256, "right"), "decryption failed", "COSIGN_PASSWORD"},
		"a curve":              {private, block("PRIVATE KEY", pkcs8(t, p521)), "an ECDSA key on P-521: want ", "cosign generate-key-pair"},
		"a small key":          {public, pkix(t, small.Public()), "an RSA key of 1024 bits: want ", "cosign generate-key-pair"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.load(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if got := hint.Of(err); (got == "") != (test.hint == "") || !strings.Contains(got, test.hint) {
				t.Errorf("%v: hint %q, want %q", err, got, test.hint)
			}
		})
	}
	want := errors.New("no terminal")
	if _, err := sign.Load(secret(t, "ENCRYPTED SIGSTORE PRIVATE KEY", p256, "right"), func() ([]byte, error) { return nil, want }); !errors.Is(err, want) {
		t.Errorf("without a password: %v, want %v", err, want)
	}
}

func TestChangedBundles(t *testing.T) {
	t.Parallel()
	key, err := sign.Load(block("PRIVATE KEY", pkcs8(t, seeded())), noPassword)
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.Bundle([]byte(`{"digest":"abc"}`))
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"the payload's type", "the bundle's type", "no signature", "two signatures", "no envelope", "very much"}
	for name, test := range map[string]struct{ old, new, want string }{
		"the payload":        {`"payload":"ey`, `"payload":"ez`, sign.ErrSignature.Error()},
		"no payload":         {`"payload":"`, `"load":"`, sign.ErrSignature.Error()},
		"the signature":      {`"sig":"`, `"sig":"AAAA`, sign.ErrSignature.Error()},
		"no base64":          {`"payload":"`, `"payload":"*`, "illegal base64"},
		"the payload's type": {"vnd.in-toto", "vnd.other", `payload of type "application/vnd.other+json"`},
		"the bundle's type":  {"v0.3", "v0.4", "media type"},
		"no signature":       {`[{"sig"`, `[],"more":[{"sig"`, "0 signatures, want 1"},
		"two signatures":     {`[{"sig"`, `[{},{"sig"`, "2 signatures, want 1"},
		"no envelope":        {`"dsseEnvelope"`, `"messageSignature"`, `payload of type ""`},
		"two envelopes":      {`"dsseEnvelope"`, `"dsseEnvelope":{},"dsseEnvelope"`, `key "dsseEnvelope" is there twice`},
		"in two cases":       {`"payload"`, `"PAYLOAD":"e30=","payload"`, `key "payload" is there twice`},
		"very much":          {`"dsseEnvelope"`, `"more":[` + strings.Repeat("{},", 10_000) + `{}],"dsseEnvelope"`, "more than 10000 values"},
		"half of it":         {`"dsseEnvelope":{`, `"dsseEnvelope":`, "invalid character"},
	} {
		changed := strings.Replace(string(data), test.old, test.new, 1)
		if changed == string(data) {
			t.Errorf("%s: %q is not in %s", name, test.old, data)
		}
		if got, err := key.Public().Open([]byte(changed)); err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Open() = %q, %v, want %q", name, got, err, test.want)
		}
		if _, err := sign.Read([]byte(changed)); errors.Is(err, sign.ErrOther) != slices.Contains(others, name) {
			t.Errorf("%s: Read: %v, ErrOther is wanted of %v", name, err, others)
		}
	}
	// What others add stays unread: a log's entries say nothing about the key.
	more := strings.Replace(string(data), `"verificationMaterial":{`, `"verificationMaterial":{"tlogEntries":[{"logIndex":"1"}],`, 1)
	if _, err := key.Public().Open([]byte(more)); err != nil {
		t.Errorf("with a log's entries: %v", err)
	}
}

// TestAnnotations: cosign's own, read by it when it copies and saves images.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		statement: {
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
		},
		"no statement": {"dev.sigstore.bundle.content": "dsse-envelope"},
	} {
		if diff := cmp.Diff(want, sign.BundleAnnotations([]byte(text))); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func Example() {
	key, err := sign.Load(block("PRIVATE KEY", pkcs8(nil, seeded())), noPassword)
	if err != nil {
		fmt.Println(err)
	}
	bundle, err := key.Bundle([]byte("{}"))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(bundle))
	// Output:
	// {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"Mkvi3qi8REYbAjPlH6SJAu1rHMZx53Oa8lUeC/5o9U4="}},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"ORWHcfVKKs0+69xrM4Hl2nryPn9M4PmOocDR/jPbienxZfBMuMYsdAfknGU0gWMyeM5vRFTMIwnIa3ubN8lhBg=="}]}}
}
