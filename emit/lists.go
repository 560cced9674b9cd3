// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/recipes"
)

// lists are what installations know about repositories: what package base leaves
// beside a root.
type lists struct {
	Suffix string // of the stage; "" if there is one for all architectures
	Keys   []key
	Files  []File
	Script string
}

// key is a repository's signing key, to be fetched by the builder: the old images need
// neither curl nor certificates.
type key struct{ URL, File string }

// listsOf returns one stage for each platform, or one for all of them.
func listsOf(recipe *recipes.Recipe, platforms []string) []lists {
	if recipe.OS.Bootstrap.Suite != "" {
		return []lists{{Script: debianLists}}
	}
	var all []lists
	for _, platform := range platforms {
		i := vendorLists(recipe.Addresses(platform), recipe.OS.Repository.Packages)
		if len(platforms) > 1 {
			i.Suffix = "-" + arch(platform)
		}
		all = append(all, i)
	}
	return all
}

// Setup gives the distribution's public image what a bootstrapped root has: sources
// with all components, in whichever of its two forms apt finds them.
func (p *page) Setup() string {
	components := strings.Join(p.OS.Bootstrap.Components, " ")
	return `set -eu
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ ! -f "$file" ] || sed -i -e 's/^Components: main$/Components: ` + components + `/' -e 's/^\(deb .*\) main$/\1 ` + components + `/' "$file"
done
rm -f /etc/apt/apt.conf.d/docker-clean`
}

// debianLists writes the package lists and a sources.list that names them, in apt's
// one-line form.
const debianLists = `set -eu
mkdir -p /lists/lists/partial
apt-get update -o Dir::State::Lists=/lists/lists -o APT::Sandbox::User=root
apt-get indextargets -o Dir::State::Lists=/lists/lists --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
  sort --unique >/lists/sources.list
test -s /lists/sources.list`

// vendorLists has each repository's key, as text and as an old apt reads it, and the
// file that names it to the package manager. The pinned sum is that of the key without
// its Version line.
func vendorLists(addresses []recipes.Address, packages string) lists {
	i := lists{Script: "set -eu\ncd /lists"}
	for _, a := range addresses {
		name, text := a.Entry(packages)
		i.Keys = append(i.Keys, key{a.URL + "/" + a.Key.File, a.Name + ".asc"})
		i.Files = append(i.Files, File{name, text})
		i.Script += fmt.Sprintf(`
sed -i /^Version/d %[1]s.asc # what the sum leaves out is not used either
sum=$(sha256sum %[1]s.asc)
[ "${sum%%%% *}" = %[2]s ] || { echo "%[1]s.asc is not the key %[3]s: its sha256 is $sum" >&2; exit 1; }
sed -e '1,/^[[:space:]]*$/d' -e '/^[=-]/,$d' %[1]s.asc | base64 -di >%[1]s.gpg`, a.Name, a.Key.SHA256, a.Key.ID)
	}
	return i
}
