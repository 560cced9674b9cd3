// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// suites of Debian that carry drivers. One that the mirror does not have is skipped.
var suites = []string{
	"bullseye", "bookworm", "trixie", "sid", "experimental",
	"bullseye-security", "bookworm-security", "trixie-security",
	"bullseye-backports", "bookworm-backports", "trixie-backports",
}

// suite is one suite with package lists of its own, so that the host's stay as they are.
type suite struct {
	name, dir string
}

// release is the packages of one upstream driver release.
type release struct {
	version  string // of the driver: 550.163.01
	suite    suite
	packages []string // "name=version", as apt takes them
}

func (s suite) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	options := []string{
		"-qq", "-o", "Dir::Etc::SourceList=" + filepath.Join(s.dir, "sources.list"), "-o", "Dir::Etc::SourceParts=/dev/null",
		"-o", "Dir::State::Lists=" + filepath.Join(s.dir, "lists"), "-o", "Dir::State::Status=/dev/null",
		"-o", "Dir::Cache=" + filepath.Join(s.dir, "cache"), "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root",
	}
	return exec.CommandContext(ctx, program, append(options, args...)...)
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, stderr.Bytes())
	}
	return out, nil
}

// mirrors returns the addresses that the host's own apt uses for Debian, by whether
// they are for security updates.
func mirrors(ctx context.Context) (map[bool]string, error) {
	out, err := output(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"))
	if err != nil {
		return nil, err
	}
	found := map[bool]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 && f[0] == "Debian" {
			found[strings.Contains(f[1], "Security")] = f[2]
		}
	}
	if found[false] == "" {
		return nil, errors.New("apt knows no Debian mirror: run apt-get update on a Debian system")
	}
	found[true] = cmp.Or(found[true], found[false]+"-security")
	return found, nil
}

// findReleases returns the driver releases of all suites, oldest first, each once.
func findReleases(ctx context.Context, cache string) ([]release, error) {
	uris, err := mirrors(ctx)
	if err != nil {
		return nil, err
	}
	byVersion := map[string]release{}
	for _, name := range suites {
		s := suite{name: name, dir: filepath.Join(cache, "suites", name)}
		components := "contrib non-free non-free-firmware"
		if strings.HasPrefix(name, "bullseye") {
			components = "contrib non-free"
		}
		if err := s.update(ctx, uris[strings.HasSuffix(name, "-security")], components); err != nil {
			fmt.Fprintf(os.Stderr, "corpus: without %s, which the mirror does not have\n", name)
			continue
		}
		found, err := s.releases(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if len(r.packages) > len(byVersion[r.version].packages) {
				byVersion[r.version] = r
			}
		}
	}
	var list []release
	for _, r := range byVersion {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b release) int { return compat.Compare(a.version, b.version) })
	if len(list) == 0 {
		return nil, errors.New("no suite has driver packages")
	}
	return list, nil
}

// update downloads the package lists of the suite.
func (s suite) update(ctx context.Context, uri, components string) error {
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s %s\n", uri, s.name, components)
	if err := os.WriteFile(filepath.Join(s.dir, "sources.list"), []byte(line), 0o644); err != nil {
		return err
	}
	_, err := output(s.command(ctx, "apt-get", "update"))
	return err
}

var (
	driverSource = regexp.MustCompile(`^nvidia-(graphics-drivers|open-gpu-kernel-modules|modprobe|persistenced|settings|xconfig)`)
	// notDriver are packages of these sources without driver content of their own.
	notDriver = regexp.MustCompile(`^(libxnvctrl.*|nvidia-detect.*|nvidia-libopencl1|.*-dev)$`)
	upstream  = regexp.MustCompile(`^(?:[0-9]+:)?([0-9]{3}\.[0-9]{2,3}(?:\.[0-9]{2})?)-`)
)

func (s suite) releases(ctx context.Context) ([]release, error) {
	out, err := output(s.command(ctx, "apt-cache", "dumpavail"))
	if err != nil {
		return nil, err
	}
	byVersion := map[string]*release{}
	fields := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(append(out, '\n')))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ": "); ok && key[0] != ' ' {
			fields[key] = value
		}
		if lines.Text() != "" {
			continue
		}
		source, _, _ := strings.Cut(cmp.Or(fields["Source"], fields["Package"]), " ")
		m := upstream.FindStringSubmatch(fields["Version"])
		if m != nil && driverSource.MatchString(source) && !notDriver.MatchString(fields["Package"]) {
			r := byVersion[m[1]]
			if r == nil {
				r = &release{version: m[1], suite: s}
				byVersion[m[1]] = r
			}
			r.packages = append(r.packages, fields["Package"]+"="+fields["Version"])
		}
		fields = map[string]string{}
	}
	var list []release
	for _, r := range byVersion {
		slices.Sort(r.packages)
		list = append(list, *r)
	}
	return list, lines.Err()
}

// download fetches the packages that are not in dir yet and returns the files, sorted.
func (r release) download(ctx context.Context, dir string) ([]string, error) {
	dir = filepath.Join(dir, r.version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err != nil {
		cmd := r.suite.command(ctx, "apt-get", append([]string{"download"}, r.packages...)...)
		cmd.Dir = dir
		if _, err := output(cmd); err != nil {
			return nil, err
		}
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	slices.Sort(files)
	return files, err
}
