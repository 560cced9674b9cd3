// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/recipes"
)

// The keys of testdata were made by gpg 2.2 for stand-ins. What is wanted is what
// "gpg --show-keys --with-colons" says of them.
func TestParseKey(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Key{
		"never.asc":    {Fingerprint: "515583a2ed08ade0e2c8e28ae60778c3ac7b56ec"},
		"expired.asc":  {Fingerprint: "87f6b910fb895ad3d0c923ce14165a8780ce4d78", Expires: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)},
		"extended.asc": {Fingerprint: "faa9850c24bc02916095cb7f3def36b1b39bb346", Expires: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, // was to expire in 2021, by an older signature
		"old.asc":      {Fingerprint: "b03d155402a32477f67dcdae243aad17fe6dce56"},                                                        // DSA with ElGamal, which sign with SHA-1
	} {
		k, err := parseKey(readKey(t, name))
		if err != nil || k.Fingerprint != want.Fingerprint || !k.Expires.Equal(want.Expires) || len(k.Binary) == 0 {
			t.Errorf("parseKey(%s) = %+v, %v, want %+v", name, k, err, want)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	good := string(readKey(t, "never.asc"))
	for name, text := range map[string]string{
		"nothing":              "",
		"a web page":           "<html>moved</html>",
		"cut off":              good[:len(good)/2],
		"no base64":            strings.Replace(good, "mQENB", "!!!!!", 1),
		"no packet":            strings.Replace(good, "mQENB", "AAAAA", 1),
		"a secret":             strings.ReplaceAll(good, "PUBLIC", "PRIVATE"),
		"half a key":           armored("\x99\x00\x06\x04\x00\x00\x00\x00\x01"),
		"a message":            armored(string(mustParse(t, good).Binary) + "\xcb\x02b\x00"),
		"a packet without end": armored("\x9a\xff\xff\xff\xff\x04"),
		"empty":                "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
	} {
		if k, err := parseKey([]byte(text)); err == nil {
			t.Errorf("%s: parseKey = %+v, want an error", name, k)
		}
	}
}

// TestVersionLine: a key's sum is that of its text without the line that says what wrote it, and what is used
// of it is what the sum is over.
func TestVersionLine(t *testing.T) {
	t.Parallel()
	text := string(readKey(t, "never.asc"))
	sum := sha256.Sum256([]byte(text))
	pin := recipes.Key{ID: "ac7b56ec", SHA256: hex.EncodeToString(sum[:])}
	const begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
	with := strings.Replace(text, begin, begin+"Version: GnuPG v1.4.16 (GNU/Linux)\n", 1)
	for name, text := range map[string]string{"without": text, "with": with} {
		k, err := CheckKey(pin, "a", []byte(text), time.Now())
		if err != nil || string(k.Armored) == with || len(k.Binary) == 0 {
			t.Errorf("%s: %q, %v", name, k.Armored, err)
		}
	}
	twice := append(slices.Clone(mustParse(t, text).Binary), mustParse(t, string(readKey(t, "old.asc"))).Binary...)
	for name, text := range map[string]string{
		"in the body": strings.Replace(text, "\n\n", "\n\nVersionA\n", 1),
		"at the end":  text + "Version: 2\n",
		"two keys":    armored(string(twice)),
	} {
		sum := sha256.Sum256([]byte(text))
		pin.SHA256 = hex.EncodeToString(sum[:])
		if k, err := CheckKey(pin, "a", []byte(text), time.Now()); err == nil {
			t.Errorf("%s: %+v, want an error", name, k)
		}
	}
}

func mustParse(t *testing.T, text string) Key {
	t.Helper()
	k, err := parseKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func armored(binary string) string {
	return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + base64.StdEncoding.EncodeToString([]byte(binary)) + "\n-----END PGP PUBLIC KEY BLOCK-----\n"
}

func FuzzParseKey(f *testing.F) {
	for _, name := range []string{"never.asc", "expired.asc", "extended.asc", "old.asc"} {
		f.Add(readKey(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKey(text)
		if (err == nil) != (len(k.Fingerprint) == 40 && len(k.Binary) > 0) {
			t.Errorf("parseKey = %+v, %v, want a key or an error", k, err)
		}
		if len(k.Binary) > len(text) {
			t.Errorf("%d bytes out of %d", len(k.Binary), len(text))
		}
	})
}

func readKey(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
