// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// linkerCache is an ld.so.cache of the new format with one entry.
func linkerCache(name, file string) []byte {
	le := binary.LittleEndian
	out := append([]byte("glibc-ld.so.cache1.1"), make([]byte, 28)...)
	le.PutUint32(out[20:], 1)
	text := uint32(len(out) + 24)
	for _, n := range []uint32{3, text, text + uint32(len(name)) + 1, 0, 0, 0} {
		out = le.AppendUint32(out, n)
	}
	return append(out, name+"\x00"+file+"\x00"...)
}

func TestLinkerCache(t *testing.T) {
	t.Parallel()
	const driver = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
	old := append([]byte("ld.so-1.7.0\x00\x00\x00\x00\x00"), 0)
	for name, tc := range map[string]struct {
		data []byte
		want verify.Verdict
	}{
		"driver":         {linkerCache("libcuda.so.1", driver), verify.Warn},
		"behind the old": {append([]byte("ld.so-1.7.0\x00\x00\x00\x00\x00"), linkerCache("libcuda.so.1", driver)...), verify.Warn},
		"toolkit":        {linkerCache("libcudart.so.12", "/usr/lib/libcudart.so.12"), verify.Pass},
		"dispatcher":     {linkerCache("libGLX_indirect.so.0", "/usr/lib/libGLX_indirect.so.0"), verify.Pass},
		"cut off":        {linkerCache("libcuda.so.1", driver)[:60], verify.Unknown},
		"no cache":       {[]byte("hello"), verify.Unknown},
		"old, empty":     {old, verify.Pass},
		"empty":          {nil, verify.Pass},
	} {
		report := judge(t, imagetest.New(layer(entries{"etc/ld.so.cache": imagetest.File(tc.data)})))
		if report.Verdict != tc.want {
			t.Errorf("%s: verdict %s, findings %+v, want %s", name, report.Verdict, report.Findings, tc.want)
		}
		if tc.want == verify.Warn && !strings.Contains(report.Findings[0].Detail, "libcuda.so.1 => "+driver) {
			t.Errorf("%s: %q", name, report.Findings[0].Detail)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path, data, want string
	}{
		"apk":            {"lib/apk/db/installed", "P:musl\nV:1\n\nP:nvidia-utils\nV:550.54.15-r0\nF:usr/bin\nR:nvidia-smi\n", "package nvidia-utils 550.54.15-r0"},
		"conda":          {"opt/conda/conda-meta/cuda-drivers-550.json", `{"name":"cuda-drivers","version":"550","files":[]}`, "package cuda-drivers 550"},
		"rpm, SQLite":    {"var/lib/rpm/rpmdb.sqlite", string(fixture(t, "rpmdb.sqlite")), "package nvidia-driver-cuda 3:550.54.15-1.el9"},
		"rpm, moved":     {"usr/lib/sysimage/rpm/rpmdb.sqlite", string(fixture(t, "rpmdb.sqlite")), "package nvidia-driver-cuda 3:550.54.15-1.el9"},
		"rpm, Berkeley":  {"var/lib/rpm/Packages", string(fixture(t, "Packages")), "package nvidia-driver-cuda 3:550.54.15-1.el9"},
		"distroless":     {"var/lib/dpkg/status.d/libcuda1", "Package: libcuda1\nVersion: 550\n", "package libcuda1 550"},
		"conda, toolkit": {"opt/conda/conda-meta/cuda-12.8.1-0.json", `{"name":"cuda","version":"12.8.1","files":[]}`, ""},
		"no record":      {"opt/conda/conda-meta/history.json", "{", ""},
		"empty database": {"var/lib/rpm/Packages", "", ""},
	} {
		report := judge(t, imagetest.New(layer(entries{tc.path: {Data: tc.data}})))
		var got string
		for _, f := range report.Findings {
			got += f.Detail
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestFilesAtRecordPaths has the driver in the place of a record, and an archive behind one.
func TestFilesAtRecordPaths(t *testing.T) {
	t.Parallel()
	wheel := zipFile(true, map[string][]byte{"lib/libcuda.so.1": realCUDA})
	for _, p := range []string{
		"var/lib/dpkg/status", "var/lib/dpkg/status.d/foo", "var/lib/dpkg/info/foo.list", "lib/apk/db/installed", "usr/lib/apk/db/installed",
		"opt/conda/conda-meta/a.json", "opt/a-1.dist-info/RECORD",
	} {
		wantOf(t, false, p, realCUDA, []string{"driver-library " + p})
		wantOf(t, true, p, imagetest.Encode(imagetest.Gzip, realCUDA), []string{"driver-library " + p})
		want := []string{"driver-library " + p + "!/lib/libcuda.so.1"}
		if strings.Contains(p, "/dpkg/status") || strings.Contains(p, "/apk/") { // a database that is broken
			want = append([]string{"unreadable " + p}, want...)
		}
		wantOf(t, false, p, slices.Concat([]byte("{}\n"), wheel), want)
	}
	for _, p := range []string{"etc/ld.so.cache", "var/lib/rpm/Packages", "usr/lib/sysimage/rpm/rpmdb.sqlite"} {
		wantOf(t, false, p, realCUDA, []string{"unreadable " + p})
		wantOf(t, false, p, imagetest.Encode(imagetest.Gzip, realCUDA), []string{"unreadable " + p})
	}
}

func TestBrokenDatabaseIsNoPass(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rpmdb.sqlite", "Packages"} {
		data := fixture(t, name)
		report := judge(t, imagetest.New(layer(entries{"var/lib/rpm/" + name: imagetest.File(data[:len(data)/8])})))
		if report.Verdict != verify.Unknown {
			t.Errorf("%s: verdict %s, want unknown", name, report.Verdict)
		}
	}
}

// TestOwners names the package of a leaked file in each kind of record.
func TestOwners(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, record, data, want string }{
		"apk":   {"usr/lib/libcuda.so.1", "lib/apk/db/installed", "P:evil\nV:2\nF:usr/lib\nR:libcuda.so.1\n", ", package evil 2"},
		"conda": {"opt/conda/lib/libcuda.so.1", "opt/conda/conda-meta/evil-2-0.json", `{"name":"evil","version":"2","files":["lib/libcuda.so.1"]}`, ", package evil 2"},
		"wheel": {"usr/lib/python3/site-packages/evil.libs/libcuda-1a2b3c4d.so.1", "usr/lib/python3/site-packages/evil-2.dist-info/RECORD", "evil.libs/libcuda-1a2b3c4d.so.1,sha256=x,1\n", ", package evil 2"},
		"rpm":   {"usr/lib64/libcuda.so.1", "var/lib/rpm/rpmdb.sqlite", string(fixture(t, "rpmdb.sqlite")), ", package nvidia-driver-cuda 3:550.54.15-1.el9"},
	} {
		report := judge(t, imagetest.New(layer(entries{tc.file: {Data: "x"}, tc.record: {Data: tc.data}})))
		found := false
		for _, f := range report.Findings {
			found = found || f.Path == tc.file && strings.HasSuffix(f.Detail, tc.want)
		}
		if !found {
			t.Errorf("%s: findings %+v, want one that ends in %q", name, report.Findings, tc.want)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	policy, err := verify.ParsePolicy([]byte(`
version: 1
exceptions:
  - {rule: driver-library, path: /opt/**/libcuda.so.*, owner: team-a, reason: vendored, expires: "2999-12-31"}
  - {rule: driver-program, path: usr/bin/nvidia-smi, owner: team-b, reason: old, expires: "2020-01-01"}
  - {rule: driver-config, path: "**", owner: team-c, reason: none left, expires: "2999-12-31"}
  - {rule: unreadable, path: "**/broken.so", owner: team-d, reason: test data, expires: "2999-12-31"}
`))
	if err != nil {
		t.Fatal(err)
	}
	img := imagetest.New(layer(entries{
		"opt/a/b/libcuda.so.1": {Data: "x"}, "usr/bin/nvidia-smi": imagetest.File(imagetest.ELF{}.Bytes()), "x/broken.so": imagetest.File(brokenELF),
	}))
	report, err := verify.New(verify.Options{Policy: policy}).Image(t.Context(), "x", img)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range report.Findings {
		got = append(got, string(f.Severity)+" "+f.Rule+" "+f.Path)
	}
	want := []string{
		"info driver-library opt/a/b/libcuda.so.1", "fail driver-program usr/bin/nvidia-smi", "info unreadable x/broken.so",
		"warn exception-expired ", "info exception-unmatched ",
	}
	if diff := cmp.Diff(want, got); diff != "" || report.Verdict != verify.Fail {
		t.Errorf("verdict %s (-want +got):\n%s", report.Verdict, diff)
	}
}

func TestPolicyErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"version":      {"version: 2", "version is 2"},
		"unknown key":  {"version: 1\nexception: []", "exception"},
		"inner key":    {"version: 1\nexceptions:\n  - {rule: x, paths: y}", `line 3: key "paths"`},
		"blank owner":  {"version: 1\nexceptions:\n  - {rule: driver-library, path: x, owner: \"  \", reason: y, expires: \"2999-01-01\"}", "line 3: the exception has no owner"},
		"no owner":     {"version: 1\nexceptions:\n  - {rule: driver-library, path: x, reason: y, expires: \"2999-01-01\"}", "line 3: the exception has no owner"},
		"unknown rule": {"version: 1\nexceptions:\n  - {rule: drivers, path: x, owner: o, reason: y, expires: \"2999-01-01\"}", `no rule is called "drivers"`},
		"bad day":      {"version: 1\nexceptions:\n  - {rule: driver-library, path: x, owner: o, reason: y, expires: soon}", "want a day"},
		"bad pattern":  {"version: 1\nexceptions:\n  - {rule: driver-library, path: \"[\", owner: o, reason: y, expires: \"2999-01-01\"}", "syntax error"},
	} {
		if _, err := verify.ParsePolicy([]byte(tc.data)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
	}
}
