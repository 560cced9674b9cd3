// SPDX-License-Identifier: Apache-2.0

package recipes

// OS is an operating system that images can start from: a root file system made out
// of a distribution's packages (Bootstrap), or an image to pull (Image).
type OS struct {
	Name      string    `yaml:"os"`
	Title     string    `yaml:"title" form:"line"` // for labels, "Debian 13"
	Source    string    `yaml:"source"`
	Ends      ends      `yaml:"ends,whole"` // the last day on which the plain image gets security updates
	Manager   string    `yaml:"manager"`
	Bootstrap Bootstrap `yaml:"bootstrap"`
	Image     string    `yaml:"image" form:"image"` // "docker.io/library/ubuntu:16.04"
	SizeMB    int       `yaml:"size_mb"`            // of Image, unpacked
	// Repository is where the source keeps its packages for this OS.
	Repository Repository `yaml:"repository"`
	// Extra is what a layer installs on this OS beside the packages of the source, from
	// the OS's own repositories and so without a version.
	Extra map[Flavor][]string `yaml:"extra" keys:"word" form:"package"`
	// DriverPackages are names that only this OS has for packages of the driver, beside
	// those of its manager.
	DriverPackages []string `yaml:"driver_packages" form:"packages"`
	// Vault is where the OS's own repositories have moved to, "" if they have not.
	Vault string `yaml:"vault" form:"address"`
	// Overrides are in force already: Image, Vault and the repository's scheme are what
	// the last of them says. They stay for whoever asks why.
	Overrides []Override `yaml:"overrides"`

	path string // of the file, with the directory that it was read from
}

// Bootstrap makes a root file system out of a distribution's own packages.
type Bootstrap struct {
	Suite      string   `yaml:"suite" form:"suite"`
	Components []string `yaml:"components" form:"suite"`
	SizeMB     int      `yaml:"size_mb"` // unpacked
	// Image is a public image that nearly is this root: for those who build without cudabuild
	// (plan --dockerfile, plan --emit bake), and to run mmdebstrap in where cudabuild may not.
	Image string `yaml:"image" form:"image"`
}

// Repository is the place of an OS below a source's roots.
type Repository struct {
	Dir      string            `yaml:"dir" form:"suite"`  // "ubuntu1604"
	Packages string            `yaml:"packages"`          // "deb" or "rpm"
	Arch     map[string]string `yaml:"arch" form:"suite"` // "linux/arm64": "sbsa"
	// Prerequisites are packages of the OS itself that must be there before the first
	// package of the repository.
	Prerequisites []string `yaml:"prerequisites" form:"package"`
	// Also names further roots of the source that have this directory: "nvidia-ml".
	Also   []string `yaml:"also" form:"word"`
	Scheme string   `yaml:"scheme" form:"scheme"` // in place of the roots' own, "http"
}

// Override is what has changed about an OS since the vendor's files were written.
type Override struct {
	Since  string `yaml:"since"` // 2024-06-30
	Why    string `yaml:"why" form:"line"`
	Image  string `yaml:"image" form:"image"`
	Vault  string `yaml:"vault" form:"address"`
	Scheme string `yaml:"scheme" form:"scheme"` // of the repository
}

// current returns the OS with its overrides in force.
func (o OS) current() OS {
	for _, change := range o.Overrides {
		if change.Image != "" {
			o.Image = change.Image
		}
		if change.Vault != "" {
			o.Vault = change.Vault
		}
		if change.Scheme != "" {
			o.Repository.Scheme = change.Scheme
		}
	}
	return o
}
