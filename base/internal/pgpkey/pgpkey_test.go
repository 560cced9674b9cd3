// SPDX-License-Identifier: Apache-2.0

package pgpkey_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/base/internal/pgpkey"
)

// The keys of testdata were made by gpg 2.2 for stand-ins. What is wanted is what
// "gpg --show-keys --with-colons" says of them.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]pgpkey.Key{
		"never.asc":    {Fingerprint: "515583a2ed08ade0e2c8e28ae60778c3ac7b56ec"},
		"expired.asc":  {Fingerprint: "87f6b910fb895ad3d0c923ce14165a8780ce4d78", Expires: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)},
		"extended.asc": {Fingerprint: "faa9850c24bc02916095cb7f3def36b1b39bb346", Expires: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, // was to expire in 2021, by an older signature
	} {
		k, err := pgpkey.Parse(read(t, name))
		if err != nil || k.Fingerprint != want.Fingerprint || !k.Expires.Equal(want.Expires) || len(k.Binary) == 0 {
			t.Errorf("Parse(%s) = %+v, %v, want %+v", name, k, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(read(t, "never.asc"))
	for name, text := range map[string]string{
		"nothing":    "",
		"a web page": "<html>moved</html>",
		"cut off":    good[:len(good)/2],
		"no base64":  strings.Replace(good, "mQENB", "!!!!!", 1),
		"no packet":  strings.Replace(good, "mQENB", "AAAAA", 1),
		"a secret":   strings.ReplaceAll(good, "PUBLIC", "PRIVATE"),
		"empty":      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
	} {
		if k, err := pgpkey.Parse([]byte(text)); err == nil {
			t.Errorf("%s: Parse = %+v, want an error", name, k)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"never.asc", "expired.asc", "extended.asc"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := pgpkey.Parse(text)
		if (err == nil) != (len(k.Fingerprint) == 40 && len(k.Binary) > 0) {
			t.Errorf("Parse = %+v, %v, want a key or an error", k, err)
		}
		if len(k.Binary) > len(text) {
			t.Errorf("%d bytes out of %d", len(k.Binary), len(text))
		}
	})
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
