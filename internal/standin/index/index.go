// SPDX-License-Identifier: Apache-2.0

// Package index makes stand-ins for what a vendor's package repositories say of themselves:
// signed lists of packages that are not there. [Deb] and [RPM] write one, [NewKey] makes the key
// that signs it.
package index

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
)

// Date is that of every stand-in that has no other.
var Date = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)

// Form is how a repository is written.
type Form struct {
	Ending   string    // of the list's compression: "", ".gz", ".xz" or, of rpm, ".zst"
	Detached bool      // of deb: Release and Release.gpg in place of InRelease
	Date     time.Time // of the state, [Date] if it is zero
	Until    time.Time // of deb: until when it is valid, zero for nothing about it
}

func (f Form) date() time.Time {
	if f.Date.IsZero() {
		return Date
	}
	return f.Date
}

// Deb writes a flat deb repository into dir.
func Deb(t testing.TB, dir string, key *Key, form Form, packages []pkgindex.Package) {
	t.Helper()
	var list strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&list, "Package: %s\nVersion: %s\nArchitecture: %s\nFilename: ./%s\nSize: %d\nSHA256: %s\nDescription: stand-in\n", p.Name, p.Version, p.Arch, p.File, p.Size, p.SHA256)
		if p.Provides != "" {
			fmt.Fprintf(&list, "Provides: %s\n", p.Provides)
		}
		list.WriteString("\n")
	}
	file := "Packages" + form.Ending
	data := compress(t, form.Ending, list.String())
	write(t, dir, file, data)
	const layout = "Mon, 02 Jan 2006 15:04:05 -0700"
	release := fmt.Sprintf("Origin: cudabuild stand-in\nDate: %s\n", form.date().Format(layout))
	if !form.Until.IsZero() {
		release += fmt.Sprintf("Valid-Until: %s\n", form.Until.Format(layout))
	}
	release += fmt.Sprintf("SHA256:\n %s %d %s\n", Sum(data), len(data), file)
	if form.Detached {
		write(t, dir, "Release", []byte(release))
		write(t, dir, "Release.gpg", key.detached(t, []byte(release)))
	} else {
		write(t, dir, "InRelease", key.clearSigned(t, release))
	}
	write(t, dir, KeyFile, key.Armored)
}

// RPM writes an rpm repository into dir.
func RPM(t testing.TB, dir string, key *Key, form Form, packages []pkgindex.Package) {
	t.Helper()
	var list strings.Builder
	fmt.Fprintf(&list, `<metadata xmlns="http://linux.duke.edu/metadata/common" packages="%d">`, len(packages))
	for _, p := range packages {
		version, release, _ := strings.Cut(p.Version, "-")
		fmt.Fprintf(&list, `<package type="rpm"><name>%s</name><arch>%s</arch><version epoch="0" ver="%s" rel="%s"/><checksum type="sha256" pkgid="YES">%s</checksum><size package="%d"/><location href="%s"/></package>`,
			p.Name, p.Arch, version, release, p.SHA256, p.Size, p.File)
	}
	list.WriteString("</metadata>\n")
	file := "repodata/primary.xml" + form.Ending
	data := compress(t, form.Ending, list.String())
	write(t, dir, file, data)
	repomd := fmt.Sprintf(`<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>%d</revision><data type="primary"><checksum type="sha256">%s</checksum><location href="%s"/><size>%d</size></data></repomd>`,
		form.date().Unix(), Sum(data), file, len(data))
	write(t, dir, "repodata/repomd.xml", []byte(repomd))
	write(t, dir, "repodata/repomd.xml.asc", key.detached(t, []byte(repomd)))
	write(t, dir, KeyFile, key.Armored)
}

// KeyFile is the name that a repository's own key has in it.
const KeyFile = "stand-in.pub"

// Sum is a sha256 in hexadecimal digits.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func compress(t testing.TB, ending, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch ending {
	case "":
		return []byte(text)
	case ".gz":
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text)) // a buffer takes everything
		_ = w.Close()
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case ".xz":
		cmd := exec.CommandContext(t.Context(), "xz", "--stdout")
		cmd.Stdin, cmd.Stdout = strings.NewReader(text), &b
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
