// SPDX-License-Identifier: Apache-2.0

package base

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Logins are those that the host's apt knows.
type Logins []login

type login struct {
	machine string // [scheme://]host[:port][/path]
	user    *url.Userinfo
}

// ReadLogins reads auth.conf and auth.conf.d/*.conf in apt's folder of configuration
// (apt_auth.conf(5)). What cannot be read is not there.
func ReadLogins(dir string) Logins {
	var logins Logins
	entries, _ := os.ReadDir(filepath.Join(dir, "auth.conf.d"))
	files := []string{filepath.Join(dir, "auth.conf")}
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); ext == ".conf" || ext == "" {
			files = append(files, filepath.Join(dir, "auth.conf.d", entry.Name()))
		}
	}
	for _, file := range files {
		data, _ := os.ReadFile(file)
		logins = append(logins, parseLogins(string(data))...)
	}
	return logins
}

// parseLogins reads apt's kind of netrc: words, in pairs.
func parseLogins(text string) Logins {
	var words []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			words = append(words, strings.Fields(line)...)
		}
	}
	var logins Logins
	var machine, user string
	for i := 0; i+1 < len(words); i += 2 {
		switch value := words[i+1]; words[i] {
		case "machine":
			machine, user = value, ""
		case "login":
			user = value
		case "password":
			logins = append(logins, login{machine, url.UserPassword(user, value)})
		}
	}
	return slices.DeleteFunc(logins, func(l login) bool { return l.machine == "" || l.user.Username() == "" })
}

// find returns the login for an address, as apt does: where no scheme stands it is
// https, and a path is the beginning of the address's.
func (l Logins) find(address string) *url.Userinfo {
	scheme, place, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(place, "/")
	for _, one := range l {
		of, machine, ok := strings.Cut(one.machine, "://")
		if !ok {
			of, machine = "https", one.machine
		}
		on, path, _ := strings.Cut(machine, "/")
		name, _, _ := strings.Cut(host, ":")
		if of == scheme && (on == host || on == name) && strings.HasPrefix(place, host+"/"+path) {
			return one.user
		}
	}
	return nil
}
