// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"path"
	"strings"
	"time"
)

// Suite is a part of a distribution's archive, such as trixie or trixie-security, where it is
// read from.
type Suite struct {
	URL        string // above its InRelease, at the mirror if there is one; without a login
	Components []string
	ByDate     bool // the mirror has old states, which may be out of date
}

// Repository is what a suite has for a platform, signed by any key of the keyring.
func (s Suite) Repository(platform string, keyring []byte, now time.Time) Repository {
	r := Repository{URL: s.URL, Packages: "deb", Keyring: keyring, Now: now, ByDate: s.ByDate}
	for _, component := range s.Components {
		r.Lists = append(r.Lists, path.Join(component, "binary-"+strings.TrimPrefix(platform, "linux/"), "Packages"))
	}
	return r
}
