// SPDX-License-Identifier: Apache-2.0

package recipes

import "fmt"

// Entry is the file that tells a package manager of the repository: its name, and its
// text. The driver's packages are excluded by what the install script adds to it, and
// the text says so, because package managers print it.
func (a Address) Entry(packages string) (name, text string) {
	if packages == "deb" {
		return a.Name + ".list", fmt.Sprintf("deb %s /\n", a.URL)
	}
	return a.Name + ".repo", fmt.Sprintf(`[%[1]s]
name=%[1]s, no driver (that comes from the host)
baseurl=%[2]s
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-%[1]s
`, a.Name, a.URL)
}
