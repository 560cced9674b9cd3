// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/spec"
)

// Manager is how one package manager is driven in a build step.
type Manager struct {
	Name string `yaml:"manager" form:"word"`
	// Like names the manager that all the rest is taken from, if this is another name
	// for it.
	Like string `yaml:"like"`
	// Install is a shell script, run by "sh -eu" with the mounts below and with
	// PACKAGES, HOLD (if any are to be held) and EPOCH (seconds) and, in the lowest CUDA
	// layer, GUARD (the guard's text), PREREQUISITES and VAULT (those of the OS) in its
	// environment.
	Install string  `yaml:"install"`
	Mounts  []Mount `yaml:"mounts"`
	// GuardTemplate describes the guard to this manager (text/template over the
	// release's CUDA and Provides and this manager's DriverPackages).
	GuardTemplate string `yaml:"guard"`
	// DriverPackages are names, or patterns if the manager knows such. One with {branch}
	// in its file stands for as many as there are driver branches.
	DriverPackages []string `yaml:"driver_packages" form:"packages"`

	guard    *template.Template // of GuardTemplate
	guardErr error
	path     string // of the file, with the directory that it was read from
}

// prepared returns the manager as the catalog has it: its template parsed and its
// names filled in once, and not for every release.
func (m Manager) prepared() Manager {
	m.DriverPackages = m.driverPackages()
	m.guard, m.guardErr = m.guardTemplate()
	return m
}

// MountKind says what a build step sees at a mount. Nothing of it stays in the image.
type MountKind string

// The kinds of mount.
const (
	CacheMount MountKind = "cache" // kept between builds, one per OS, platform and release
	TmpfsMount MountKind = "tmpfs" // empty
	ListsMount MountKind = "lists" // the package lists that were current at bootstrap
)

// Mount is a directory of a build step that is not part of the image.
type Mount struct {
	Path string    `yaml:"path" form:"mount"`
	Kind MountKind `yaml:"kind"`
}

// Guard renders the description of the guard package of a release.
func (m Manager) Guard(r Release) (string, error) {
	if m.guardErr != nil {
		return "", m.guardErr
	}
	var text strings.Builder
	err := m.guard.Execute(&text, map[string]any{
		"CUDA": r.CUDA, "Provides": r.Guard.Provides, "DriverPackages": m.DriverPackages,
	})
	return text.String(), err
}

// driverPackages returns the names with every driver branch filled in.
func (m Manager) driverPackages() []string {
	var names []string
	for _, name := range m.DriverPackages {
		if !strings.Contains(name, "{branch}") {
			names = append(names, name)
			continue
		}
		for _, branch := range compat.Branches() {
			names = append(names, strings.ReplaceAll(name, "{branch}", strconv.Itoa(branch)))
		}
	}
	return names
}

func (m Manager) guardTemplate() (*template.Template, error) {
	join := func(s []string) string { return strings.Join(s, ", ") }
	tmpl, err := template.New("guard").Funcs(template.FuncMap{"join": join}).Option("missingkey=error").Parse(m.GuardTemplate)
	if err != nil {
		return nil, fmt.Errorf("manager %s: guard: %w", m.Name, err)
	}
	return tmpl, nil
}

func (m Manager) check(f *spec.File) {
	if m.Install == "" {
		f.At(f.Find("install"), "", "no install script")
	}
	for i, mount := range m.Mounts {
		switch mount.Kind {
		case CacheMount, TmpfsMount, ListsMount:
		default:
			f.At(f.Find("mounts", strconv.Itoa(i), "kind"), "", "mount %s: unknown kind %q (want cache, tmpfs or lists)", mount.Path, mount.Kind)
		}
	}
	if m.guardErr != nil {
		f.At(f.Find("guard"), "", "%v", m.guardErr)
	}
}
