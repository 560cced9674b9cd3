// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"path"
	"strings"
	"text/template"
)

// Manager is how one package manager is driven in a build step.
type Manager struct {
	Name string `yaml:"manager"`
	// Install is a shell script, run by "sh -eu" with the mounts below and with
	// PACKAGES, EPOCH (seconds) and, in the lowest CUDA layer, GUARD (the description
	// of the guard package) in its environment.
	Install string  `yaml:"install"`
	Mounts  []Mount `yaml:"mounts"`
	// GuardTemplate describes the guard package to this manager (text/template over
	// the release's CUDA and Provides and this manager's DriverPackages).
	GuardTemplate  string   `yaml:"guard"`
	DriverPackages []string `yaml:"driver_packages"`
}

// MountKind says what a build step sees at a mount. Nothing of it stays in the image.
type MountKind string

// The kinds of mount.
const (
	CacheMount MountKind = "cache" // kept between builds, one per OS and platform
	TmpfsMount MountKind = "tmpfs" // empty
	IndexMount MountKind = "index" // the package lists that were current at bootstrap
)

// Mount is a directory of a build step that is not part of the image.
type Mount struct {
	Path string    `yaml:"path"`
	Kind MountKind `yaml:"kind"`
}

// Guard renders the description of the guard package of a release.
func (m Manager) Guard(r Release) (string, error) {
	tmpl, err := m.guardTemplate()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = tmpl.Execute(&text, map[string]any{
		"CUDA": r.CUDA, "Provides": r.Guard.Provides, "DriverPackages": m.DriverPackages,
	})
	return text.String(), err
}

func (m Manager) guardTemplate() (*template.Template, error) {
	join := func(s []string) string { return strings.Join(s, ", ") }
	tmpl, err := template.New("guard").Funcs(template.FuncMap{"join": join}).Option("missingkey=error").Parse(m.GuardTemplate)
	if err != nil {
		return nil, fmt.Errorf("manager %s: guard: %w", m.Name, err)
	}
	return tmpl, nil
}

func (m Manager) check(f *file) {
	if m.Install == "" {
		f.bad("install", "", "no install script")
	}
	for _, mount := range m.Mounts {
		switch mount.Kind {
		case CacheMount, TmpfsMount, IndexMount:
		default:
			f.bad("mounts", "", "mount %s: unknown kind %q (want cache, tmpfs or index)", mount.Path, mount.Kind)
		}
		if !path.IsAbs(mount.Path) {
			f.bad("mounts", "", "mount %q: want an absolute path", mount.Path)
		}
	}
	if _, err := m.guardTemplate(); err != nil {
		f.bad("guard", "", "%v", err)
	}
}
