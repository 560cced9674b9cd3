// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

var fuzzArchive = imagetest.Files(map[string]imagetest.Entry{
	"usr/lib/libcuda.so.1": imagetest.File(stubCUDA), "usr/lib/.wh.x": {}, "a": {Symlink: "b"}, "c": {Link: "usr/lib/libcuda.so.1"},
	"var/lib/dpkg/status": {Data: "Package: libcuda1\nStatus: install ok installed\n\n"}, "dev/nvidia0": {Device: &imagetest.Device{Major: 195}},
	"var/lib/dpkg/info/x.list": {Data: "/usr/lib/libcuda.so.1\n"},
})

// FuzzArchive asserts that findings stay bounded by the entries an archive can hold.
func FuzzArchive(f *testing.F) {
	f.Add(fuzzArchive)
	f.Fuzz(func(t *testing.T, data []byte) {
		hits, _ := verify.ScanArchive(bytes.NewReader(data), verify.Options{MaxEntries: 10_000})
		if hits > len(data)/256+1 {
			t.Errorf("%d findings in %d bytes", hits, len(data))
		}
	})
}

// FuzzLayer asserts of any blob: no error (its bytes could be read), a verdict,
// and "pass" or "warn" only if the content is what the config promised. Coverage of
// its goroutines is unsteady: run it with -fuzzminimizetime=1x.
func FuzzLayer(f *testing.F) {
	for _, enc := range []imagetest.Encoding{imagetest.Plain, imagetest.Gzip, imagetest.Zstd} {
		f.Add(imagetest.Encode(enc, fuzzArchive), false)
		f.Add(imagetest.Encode(enc, fuzzArchive), true)
	}
	opts := verify.Options{MaxLayerBytes: 16 << 20, MaxEntries: 10_000}
	f.Fuzz(func(t *testing.T, data []byte, wrong bool) {
		b := &imagetest.Blob{Data: data, Want: imagetest.Digest(data), Diff: imagetest.Digest(data), Type: "application/vnd.oci.image.layer.v1.tar"}
		if wrong {
			b.Diff = imagetest.Digest([]byte("other content"))
		}
		config := fmt.Sprintf(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, b.Diff)
		manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"size":%d},"layers":[{"mediaType":%q,"size":%d,"digest":%q}]}`, len(config), b.Type, len(data), b.Want)
		img, err := partial.CompressedToImage(rawImage{[]byte(manifest), []byte(config), b})
		if err != nil {
			t.Fatal(err)
		}
		report, err := verify.New(opts).Image(t.Context(), "x", img)
		if err != nil {
			t.Fatalf("Image: %v", err)
		}
		passed := report.Verdict == verify.Pass || report.Verdict == verify.Warn
		if passed && wrong {
			t.Errorf("verdict %s with a wrong diff ID", report.Verdict)
		}
		if report.Verdict != verify.Pass && len(report.Findings) == 0 {
			t.Errorf("verdict %q without a finding", report.Verdict)
		}
	})
}

// FuzzNested asserts of an archive in a layer: no error of the layer, and findings
// bounded by its bytes.
func FuzzNested(f *testing.F) {
	f.Add(debFile("Package: libcuda1\nVersion: 1\n", entries{"./usr/lib/libcuda.so.1": {Data: "x"}}))
	f.Add(rpmFile("nvidia-driver", map[string][]byte{"usr/lib/libcuda.so.1": {1}}))
	for _, streamed := range []bool{false, true} {
		f.Add(zipFile(streamed, map[string][]byte{"libcuda.so.1": {1}, "x.gz": imagetest.Encode(imagetest.Gzip, fuzzArchive)}))
	}
	pex := append([]byte("#!/usr/bin/env python3\n"), zipFile(true, map[string][]byte{"libcuda.so.1": {1}})...)
	f.Add(pex)
	f.Add(append([]byte("GIF89a"), pex...))
	f.Add(append([]byte("#!/bin/sh\n"), imagetest.Encode(imagetest.Gzip, fuzzArchive)...))
	f.Add(cpioFile("libcuda.so.1", []byte("x")))
	f.Add(tarELF())
	f.Add(slices.Concat(fuzzArchive, fuzzArchive))
	f.Add(slices.Concat(imagetest.Encode(imagetest.Zstd, []byte("x")), imagetest.Encode(imagetest.Zstd, fuzzArchive)))
	f.Add(imagetest.Encode(imagetest.Zstd, fuzzArchive))
	small, _ := base64.StdEncoding.DecodeString(xzTexts[0]) // xzModule has 64 MiB allocated for each execution
	f.Add(small)
	f.Fuzz(func(t *testing.T, data []byte) {
		archive := imagetest.Files(entries{"x": imagetest.File(data)})
		for _, nested := range []bool{false, true} {
			hits, err := verify.ScanArchive(bytes.NewReader(archive), verify.Options{Nested: nested, MaxEntries: 10_000})
			if err != nil || hits > 8*len(data)+1 {
				t.Errorf("%d findings in %d bytes, error %v", hits, len(data), err)
			}
		}
	})
}

// records are the paths at which each kind of record stands.
var records = []string{"etc/ld.so.cache", "lib/apk/db/installed", "conda-meta/x.json", "x-1.dist-info/RECORD", "var/lib/rpm/Packages", "var/lib/dpkg/status"}

// FuzzRecords feeds every kind of record; a record is understood or "unreadable".
func FuzzRecords(f *testing.F) {
	f.Add(linkerCache("libcuda.so.1", "/usr/lib/libcuda.so.1"), byte(0))
	f.Add([]byte("P:nvidia-utils\nV:1\nF:usr/lib\nR:libcuda.so.1\n"), byte(1))
	f.Add([]byte(`{"name":"cuda-compat","version":"1","files":["lib/libcuda.so.1"]}`), byte(2))
	f.Add([]byte("libcuda.so.1,,\n"), byte(3))
	f.Add(rpmHeader("nvidia-driver", "1", "/usr/lib/libcuda.so.1"), byte(4))
	f.Add([]byte("Package: libcuda1\nStatus: install ok installed\n\n"), byte(5))
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		name := records[int(kind)%len(records)]
		hits, err := verify.ScanArchive(bytes.NewReader(imagetest.Files(entries{name: imagetest.File(data)})), verify.Options{})
		if err != nil || hits > len(data)+1 {
			t.Errorf("%s: %d findings in %d bytes, error %v", name, hits, len(data), err)
		}
	})
}

// FuzzPolicy asserts a policy or an error, and that no exception lacks an owner.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("version: 1\nexceptions:\n  - {rule: driver-library, path: /opt/**, owner: o, reason: r, expires: \"2030-01-01\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := verify.ParsePolicy(data)
		if err != nil {
			return
		}
		for _, e := range p.Exceptions {
			if e.Owner == "" || e.Reason == "" || len(e.Expires) != 10 {
				t.Errorf("ParsePolicy accepted %+v", e)
			}
		}
	})
}

// FuzzPacman reads pacman's records: what is installed has a name, and nothing else is said.
func FuzzPacman(f *testing.F) {
	f.Add("nvidia-utils-1-1/desc", "%NAME%\nnvidia-utils\n\n%VERSION%\n1-1\n")
	f.Add("x-1-1/files", "%FILES%\nusr/lib/libcuda.so.1\n")
	f.Add("x/desc", "%NAME%\n")
	f.Fuzz(func(t *testing.T, name, data string) {
		files := map[string]imagetest.Entry{"var/lib/pacman/local/" + name: {Data: data}}
		if len(name) > 200 || strings.ContainsAny(name, "\x00") || strings.HasSuffix(name, "/") || len(data) > 1<<16 {
			return
		}
		findings, err := verify.JudgeArchives(imagetest.Files(files))
		if err != nil {
			return // a name that no archive has
		}
		for _, found := range findings {
			if found.Rule == "driver-package" && !strings.HasSuffix(found.Path, "/desc") || found.Detail == "" {
				t.Errorf("%q: finding %+v", name, found)
			}
		}
	})
}
