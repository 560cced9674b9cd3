// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// suite is one suite with package lists of its own, so that the host's stay as they are.
type suite struct {
	name, dir string
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

// ErrNoMirror means that nothing says where Debian's packages are.
var ErrNoMirror = errors.New("apt here knows no Debian mirror: CUDABUILD_DEBIAN_MIRROR, scheme and host of one, names it")

// mirrors returns the addresses that the host's own apt uses for Debian, by whether
// they are for security updates; on other systems those of CUDABUILD_DEBIAN_MIRROR.
func mirrors(ctx context.Context) (map[bool]string, error) {
	out, err := output(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"))
	if err != nil {
		return nil, err
	}
	found := map[bool]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 && f[0] == "Debian" {
			found[strings.Contains(f[1], "Security")] = strings.TrimSuffix(f[2], "/")
		}
	}
	if mirror := os.Getenv("CUDABUILD_DEBIAN_MIRROR"); mirror != "" && found[false] == "" {
		found[false] = mirror + "/debian"
	}
	if found[false] == "" {
		return nil, ErrNoMirror
	}
	found[true] = cmp.Or(found[true], found[false]+"-security")
	return found, nil
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

// download fetches packages, "name=version" as apt takes them, into dir if they are not
// there yet, and returns the files, sorted.
func (s suite) download(ctx context.Context, dir string, packages []string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	wanted, done := []byte(strings.Join(packages, "\n")), filepath.Join(dir, "complete")
	if have, err := os.ReadFile(done); err != nil || !bytes.Equal(have, wanted) {
		cmd := s.command(ctx, "apt-get", append([]string{"download"}, packages...)...)
		cmd.Dir = dir
		if _, err := output(cmd); err != nil {
			return nil, err
		}
		if err := os.WriteFile(done, wanted, 0o644); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	slices.Sort(files)
	return files, err
}
