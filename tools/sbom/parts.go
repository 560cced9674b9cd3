// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"
	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/module"
)

// part is what programs are made of: a Go module, Go's own library, a C library.
type part struct {
	name, version string
	url           string   // a package URL
	license       string   // an SPDX expression
	texts         []string // of licences and notices
}

// program is a file of a release.
type program struct {
	name   string
	sum    string // SHA-256
	source part   // the module that has its main package
	parts  []part // all that is in it, by name
}

// read returns the programs in a folder, by name. Those that are static and need a C
// library hold all of debian.
func read(dir string, debian []part) ([]program, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var programs []program
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
			continue // a script or a text
		}
		p, err := readProgram(e.Name(), data, debian)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		programs = append(programs, p)
	}
	if len(programs) == 0 {
		return nil, fmt.Errorf("%s: no program", dir)
	}
	return programs, nil
}

func readProgram(name string, data []byte, debian []part) (program, error) {
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return program{}, err
	}
	sum := sha256.Sum256(data)
	p := program{name: name, sum: hex.EncodeToString(sum[:])}
	if p.source, err = readModule(&info.Main); err != nil {
		return program{}, err
	}
	std, err := library(info.GoVersion)
	if err != nil {
		return program{}, err
	}
	p.parts = append(p.parts, std)
	for _, m := range info.Deps {
		dep, err := readModule(m)
		if err != nil {
			return program{}, err
		}
		p.parts = append(p.parts, dep)
	}
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return program{}, err
	}
	static := !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if static && slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"}) {
		p.parts = append(p.parts, debian...)
	}
	slices.SortFunc(p.parts, func(a, b part) int { return cmp.Compare(a.name+a.version, b.name+b.version) })
	return p, nil
}

func readModule(m *debug.Module) (part, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	p := part{name: m.Path, version: m.Version, url: purl(packageurl.TypeGolang, m.Path, m.Version)}
	if strings.HasPrefix(m.Path+"/", home+"/") {
		p.license = "Apache-2.0" // the archive has its text
		return p, nil
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return part{}, err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return part{}, err
	}
	return p.licensed(filepath.Join(goEnv()["GOMODCACHE"], escaped+"@"+version))
}

// library is Go's own.
func library(version string) (part, error) {
	version = strings.TrimPrefix(version, "go")
	return part{name: "stdlib", version: version, url: purl(packageurl.TypeGolang, "stdlib", version)}.licensed(goEnv()["GOROOT"])
}

func purl(kind, name, version string) string {
	space, base := path.Split(name)
	return packageurl.NewPackageURL(kind, strings.TrimSuffix(space, "/"), base, version, nil, "").ToString()
}

// goEnv is where modules and Go's own library are.
var goEnv = sync.OnceValue(func() (env map[string]string) {
	out, err := exec.Command("go", "env", "-json", "GOMODCACHE", "GOROOT").Output()
	if err = errors.Join(err, json.Unmarshal(out, &env)); err != nil {
		panic(err) // there is no Go here
	}
	return env
})

var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)\b`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)\b`)
)

// licensed adds the licences and notices in a folder.
func (p part) licensed(dir string) (part, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return part{}, err
	}
	var ids []string
	for _, e := range entries {
		isLicense := licenseFile.MatchString(e.Name())
		if !isLicense && !noticeFile.MatchString(e.Name()) || e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // a module in the cache
		if err != nil {
			return part{}, err
		}
		p.texts = append(p.texts, string(text))
		if isLicense {
			for _, m := range licensecheck.Scan(text).Match {
				ids = append(ids, m.ID)
			}
		}
	}
	if len(ids) == 0 {
		return part{}, fmt.Errorf("%s %s: no licence in %s", p.name, p.version, dir)
	}
	slices.Sort(ids)
	p.license = strings.Join(slices.Compact(ids), " AND ")
	return p, nil
}

// packages reads the list of Debian packages. Which licences they have is in their texts.
func packages(list string) ([]part, error) {
	var parts []part
	for _, item := range strings.Fields(list) {
		name, version, ok := strings.Cut(item, "=")
		text, err := os.ReadFile(filepath.Join("/usr/share/doc", name, "copyright"))
		if err != nil || !ok {
			return nil, errors.Join(fmt.Errorf("package %q", item), err)
		}
		parts = append(parts, part{
			name: name, version: version, url: purl(packageurl.TypeDebian, "debian/"+name, version), license: "NOASSERTION", texts: []string{string(text)},
		})
	}
	return parts, nil
}

// notices has every text once, under the names of all that it is of.
func notices(programs []program) []byte {
	owners := map[string][]string{}
	for _, p := range programs {
		for _, part := range append(slices.Clip(p.parts), p.source) {
			for _, text := range part.texts {
				owners[text] = append(owners[text], part.name+" "+part.version)
			}
		}
	}
	var sections []string
	for text, names := range owners {
		slices.Sort(names)
		sections = append(sections, strings.Join(slices.Compact(names), "\n")+"\n\n"+text)
	}
	slices.Sort(sections)
	return []byte(strings.Join(sections, "\n"+strings.Repeat("=", 80)+"\n"))
}
