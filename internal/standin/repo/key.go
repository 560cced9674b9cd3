// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Key signs repositories. Its owner is called "cudabuild stand-in".
type Key struct {
	Fingerprint string // 40 lower-case hexadecimal digits
	Armored     []byte

	home string   // of gpg, which has the secret half
	past []string // arguments that set the clock back for a key that has expired
}

// NewKey makes a key; an expired one was valid on the first day of 2020 alone.
func NewKey(t testing.TB, expired bool) *Key {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() //nolint:forbidigo // the test's context has ended
		_ = os.RemoveAll(home)
	})
	k := &Key{home: home}
	lasts := "never"
	if expired {
		k.past, lasts = []string{"--faked-system-time", "20200101T000000!"}, "1d"
	}
	k.gpg(t, "--passphrase", "", "--quick-gen-key", "cudabuild stand-in <nobody@localhost>", "rsa2048", "sign", lasts)
	k.Armored = k.gpg(t, "--armor", "--export")
	for line := range strings.Lines(string(k.gpg(t, "--with-colons", "--list-keys"))) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			k.Fingerprint = strings.ToLower(fields[9])
			break
		}
	}
	return k
}

func (k *Key) gpg(t testing.TB, args ...string) []byte {
	t.Helper()
	common := append([]string{"--homedir", k.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"}, k.past...)
	return tool(t, "", nil, "gpg", append(common, args...)...)
}

// sign writes the signature of a file: clear-signed, or apart from it.
func (k *Key) sign(t testing.TB, file, to, how string) {
	t.Helper()
	k.gpg(t, "--armor", "--digest-algo", "SHA256", "--output", to, how, file)
}

// program is gpg as a program that others start: with its clock set back if need be.
func (k *Key) program(t testing.TB) string {
	t.Helper()
	file := filepath.Join(k.home, "gpg")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexec gpg "+strings.Join(k.past, " ")+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}
