// SPDX-License-Identifier: Apache-2.0

package cause_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/cause"
)

// TestFind reads what programs print that a test machine may lack. What apt prints is
// asked of apt itself, in apt_test.go.
func TestFind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		output  string
		outage  bool
		text    string // parts, split by |
		hint    string
		address string
	}{
		"dnf: gone": {
			"[MIRROR] cuda-nvcc-12-4-12.4.131-1.x86_64.rpm: Status code: 404 for http://m.example/r/cuda-nvcc-12-4-12.4.131-1.x86_64.rpm (IP: 10.0.0.1)\n" +
				"[FAILED] cuda-nvcc-12-4-12.4.131-1.x86_64.rpm: No more mirrors to try\nError: Error downloading packages:\n", false,
			"package cuda-nvcc-12-4 12.4.131-1|404", "--refresh", "http://m.example/r/cuda-nvcc-12-4-12.4.131-1.x86_64.rpm",
		},
		"dnf: cut, and our own script after it": {
			"[MIRROR] a-1-1.rpm: Curl error (18): Transferred a partial file for http://m.example/a-1-1.rpm [transfer closed with 6226 bytes remaining to read]\n" +
				"[FAILED] a-1-1.rpm: No more mirrors to try - All mirrors were already tried without success\n" +
				"package a: version 1-1 is not in the repositories, they have 1-1 2-1\n", true, "broke off|partial file|http://m.example/a-1-1.rpm", "network", "",
		},
		"dnf: busy":        {"[MIRROR] a-1-1.noarch.rpm: Status code: 503 for https://m.example/a-1-1.noarch.rpm (IP: 10.0.0.1)\n", true, "package a 1-1|cannot answer|503", "later", ""},
		"dnf: name":        {"Errors during downloading metadata for repository 'x':\n  - Curl error (6): Couldn't resolve host name for http://m.example/repodata/repomd.xml [Could not resolve host: m.example]\nError: Failed to download metadata\n", true, "name is not known|repomd.xml", "network", ""},
		"dnf: certificate": {"  - Curl error (60): Peer certificate cannot be authenticated with given CA certificates for https://m.example/repodata/repomd.xml [SSL certificate problem: unable to get local issuer certificate]\n", true, "certificate is not trusted", "certificate", ""},
		"dnf: typo":        {"No match for argument: cuda-nvc\nError: Unable to find a match: cuda-nvc\n", false, "package cuda-nvc: the repositories have no such package", "recipe", ""},
		"dnf: unmet":       {" Problem: x\n  - nothing provides libfoo.so needed by cuda-1\n", false, "", "", ""},
		"yum: timeout":     {"http://m.example/repodata/repomd.xml: [Errno 12] Timeout on http://m.example/repodata/repomd.xml: (28, 'Operation timed out')\n", true, "does not answer", "network", ""},
		"yum: typo":        {"No package cuda-nvc available.\nError: Nothing to do\n", false, "package cuda-nvc", "recipe", ""},
		"zypper: typo":     {"No provider of 'cuda-nvc' found.\n", false, "package cuda-nvc", "recipe", ""},
		"zypper: name":     {"Error code: Connection failed\nError message: Could not resolve host: m.example\n", true, "name is not known", "network", ""},
		"zypper: gone":     {"File './x86_64/a-1-1.x86_64.rpm' not found on medium 'http://m.example/r'\n", false, "package a 1-1|not this version", "--refresh", "http://m.example/r"},
		"dpkg":             {"Setting up x\ndpkg: error processing package libx (--configure):\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n", false, "package libx: its installation failed", "lines", ""},
		"disk":             {"tar: ./usr: Cannot write: No space left on device\n", true, "disk is full", "space", ""},
		"disk of dpkg":     {"dpkg: error processing archive /a.deb (--unpack):\n cannot copy: No space left on device\n", false, "", "", ""},
		"own script":       {"E: x\npackage cuda: version 1 is not in the repositories, they have 2\n", false, "package cuda|they have 2", "recipe", ""},
		"a login":          {"E: Failed to fetch http://user:word@m.example/a_1_all.deb  401  Unauthorized\n", true, "package a 1|login|***@m.example", "auth.conf", ""},
		"a login of many":  {"E: The repository 'http://m.example trixie InRelease' is not signed.\nE: Failed to fetch http://m.example/dists/trixie/InRelease  401  Unauthorized [IP: 127.0.0.1 80]\n", true, "another login|InRelease", "auth.conf", ""},
		"nothing":          {"Reading package lists...\n502 packages\nPackage: x\nE: Some files failed to download\n", false, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := cause.Find(test.output)
			if test.text == "" {
				if got != nil && name == "nothing" {
					t.Errorf("Find = %v, want nothing", got)
				}
				return
			}
			if got == nil || got.Outage() != test.outage || !strings.Contains(got.Hint(), test.hint) || strings.Contains(got.Error(), "word") {
				t.Fatalf("Find = %v, want outage %v and a hint with %q", got, test.outage, test.hint)
			}
			for part := range strings.SplitSeq(test.text, "|") {
				if !strings.Contains(got.Error(), part) {
					t.Errorf("Find = %q, want %q in it", got, part)
				}
			}
			if test.address != "" && got.Address != test.address {
				t.Errorf("address = %q, want %q", got.Address, test.address)
			}
			if errors.Is(got, unix.ENOSPC) != (name == "disk") {
				t.Errorf("%v: a full disk and nothing else is ENOSPC", got)
			}
		})
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Get "http://u:word@m.example/x": dial tcp: lookup m.example: no such host`: "name is not known",
		"404 Not Found":           "no such file",
		"503 Service Unavailable": "cannot answer just now",
		`Get "https://m.example/x": tls: failed to verify certificate: x509: certificate signed by unknown authority`: "certificate is not trusted",
		`Get "http://m.example/x": dial tcp 10.0.0.1:80: connect: connection refused`:                                 "nothing answers",
		`Get "http://m.example/x": context deadline exceeded`:                                                         "does not answer",
	} {
		got := cause.Of("http://u:word@m.example/x", errors.New(text))
		if !strings.Contains(got.Error(), want) || strings.Contains(got.Error(), "word") || !strings.Contains(got.Error(), "m.example/x") || strings.Contains(got.Error(), "Get ") {
			t.Errorf("Of(%q) = %q, want %q and the address without its login", text, got, want)
		}
	}
}

func TestHide(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://m.example/a@b":            "http://m.example/a@b",
		"https://u:w@m.example/a":         "https://***@m.example/a",
		"https://u:w@x@m.example":         "https://***@m.example",
		"at http://u@m.example, http://b": "at http://***@m.example, http://b",
		"u:w@m.example:80":                "***@m.example:80",
		"m.example:80":                    "m.example:80",
	} {
		if got := cause.Hide(text); got != want {
			t.Errorf("Hide(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("E: Failed to fetch http://u:w@m.example/a_1_all.deb  404  Not Found [IP: 1.2.3.4 80]\n")
	f.Add("[MIRROR] a-1-1.noarch.rpm: Status code: 503 for https://m.example/a-1-1.noarch.rpm\n")
	f.Fuzz(func(t *testing.T, output string) {
		if e := cause.Find(output); e != nil && (e.Error() == "" || e.Hint() == "") {
			t.Errorf("Find(%q) = %q, %q", output, e, e.Hint())
		}
	})
}
