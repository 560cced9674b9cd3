// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mirror is where the archives of a distribution are, such as debian and debian-security:
// each at before + its name + after.
type mirror struct {
	before, after string
	login         *url.Userinfo // may be nil
}

// archivePlace is where the name of an archive stands in the address of a mirror.
const archivePlace = "{archive}"

var (
	// The characters are those that apt takes into the name of a list as they are, and _.
	mirrorForm = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._+/-]*)?$`)
	debianWord = regexp.MustCompile(`^(.*[/_-])debian([/_-].*|)$`)
	ownArchive = regexp.MustCompile(`[a-z]+://[^/\s]+/([^\s]*[^\s/])/?`)
	byDate     = regexp.MustCompile(`/[0-9]{8}T[0-9]{6}Z(/|$)`)
	anyLogin   = regexp.MustCompile(`^([a-z]+://)?.*@`)
)

// CheckMirror returns an error if that cannot be the address of a mirror. No address
// is fine: it means the distribution's own. The error shows no login.
func CheckMirror(address string) error {
	_, err := parseMirror(address)
	return err
}

// parseMirror reads the address of a mirror. One with a path is that of the archive
// debian, what stands before dists/: of another archive, the word debian in it is the
// other's name. Where no such word is, or no path, all archives lie below it under their
// names. {archive} says the place of the name outright.
func parseMirror(address string) (mirror, error) {
	if address == "" {
		return mirror{}, nil
	}
	u, err := url.Parse(address)
	bad := func() (mirror, error) {
		shown := anyLogin.ReplaceAllString(address, "${1}***@")
		return mirror{}, fmt.Errorf("%q: want the address of a Debian mirror, such as http://mirror.example or https://USER:PASSWORD@mirror.example/path/debian", shown)
	}
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return bad()
	}
	m := mirror{login: u.User}
	if u.User = nil; m.login != nil {
		word, _ := m.login.Password()
		if m.login.Username() == "" || strings.ContainsAny(m.login.Username()+word, " \t\r\n\"\\") {
			return bad()
		}
	}
	scheme, rest, _ := strings.Cut(address, "://")
	plain := scheme + "://" + rest[strings.LastIndex(strings.SplitN(rest, "/", 2)[0], "@")+1:]
	if strings.Count(plain, archivePlace) > 1 || !mirrorForm.MatchString(strings.Replace(plain, archivePlace, "a", 1)) {
		return bad()
	}
	plain = strings.TrimRight(plain, "/")
	path := strings.TrimPrefix(plain, scheme+"://"+u.Host)
	var named bool
	if m.before, m.after, named = strings.Cut(plain, archivePlace); named {
		return m, nil
	}
	if parts := debianWord.FindStringSubmatch(path); parts != nil {
		m.before, m.after = scheme+"://"+u.Host+parts[1], parts[2]
	} else {
		m.before += "/"
	}
	return m, nil
}

// mirror is the store's mirror, with a login of the host's apt where the address has none.
func (s *Store) mirror() mirror {
	m, err := parseMirror(s.Mirror)
	if err == nil && m.before != "" && m.login == nil {
		m.login = s.Logins.find(m.before)
	}
	return m
}

// mirrored puts the mirror, if there is one, in place of every archive's address in a
// list of sources.
func (m mirror) mirrored(text string) string {
	if m.before == "" {
		return text
	}
	text = ownArchive.ReplaceAllStringFunc(text, func(own string) string {
		return m.before + ownArchive.FindStringSubmatch(own)[1] + m.after
	})
	if byDate.MatchString(m.before + m.after) { // its lists have expired, which is the point of it
		text = regexp.MustCompile(`(?m)^deb (\S+://)`).ReplaceAllString(text, "deb [check-valid-until=no] $1")
	}
	return text
}

// inRelease is the address of an archive's InRelease file at the mirror.
func (m mirror) inRelease(own string) string {
	archive, suite, ok := strings.Cut(own, "/dists/")
	if !ok {
		return own
	}
	found := ownArchive.FindStringSubmatch(archive)
	if m.before == "" || found == nil {
		return own
	}
	return m.before + found[1] + m.after + "/dists/" + suite
}

// auth is what apt's auth.conf says of the login, "" if there is none.
func (m mirror) auth() string {
	if m.login == nil {
		return ""
	}
	word, _ := m.login.Password()
	scheme, rest, _ := strings.Cut(m.before, "://")
	host, _, _ := strings.Cut(rest, "/")
	return fmt.Sprintf("machine %s://%s/ login %s password %s", scheme, host, m.login.Username(), word)
}

// unmirror gives the package lists in dir/lists the names that they have without a mirror:
// apt names a list after the address that it came from.
func (s sources) unmirror(dir *os.Root) error {
	files, err := fs.ReadDir(dir.FS(), "lists")
	if err != nil {
		return err
	}
	used, own := listPrefixes(s.used), listPrefixes(s.own)
	for _, file := range files {
		for i, prefix := range used {
			if rest, ok := strings.CutPrefix(file.Name(), prefix); ok && prefix != own[i] {
				if err := dir.Rename("lists/"+file.Name(), "lists/"+own[i]+rest); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// listPrefixes returns how the names of each repository's lists begin.
func listPrefixes(list string) []string {
	var prefixes []string
	for _, address := range inReleases(list) {
		prefixes = append(prefixes, listName(strings.TrimSuffix(address, "InRelease")))
	}
	return prefixes
}

// listName is how apt calls the file from an address in its folder of lists.
func listName(address string) string {
	_, path, _ := strings.Cut(address, "://")
	return strings.NewReplacer("_", "%5f", "/", "_").Replace(path)
}

// AptConfig tells the apt of a build step where the mirror is and how to log in there, in
// apt's own form: the index does not know. recipes/manager/apt.yaml reads it; @ is where the
// name of an archive stands, if not at the end. It is empty without a mirror, and a secret.
func (s *Store) AptConfig() []byte {
	m := s.mirror()
	if m.before == "" {
		return nil
	}
	config := fmt.Appendf(nil, "Cudabuild::Mirror %q;\n", strings.TrimSuffix(m.before+"@"+m.after, "/@"))
	if byDate.MatchString(m.before + m.after) {
		config = append(config, "Cudabuild::ByDate \"true\";\n"...)
	}
	if auth := m.auth(); auth != "" {
		config = fmt.Appendf(config, "Cudabuild::Login \"%s\";\n", auth)
	}
	return config
}

// Reachable returns an error that matches [ErrUnreachable] if the mirror does not
// answer for a repository that b was made from, or a vendor's repository does not.
// Without a mirror it asks nobody for the distribution's own.
func (s *Store) Reachable(ctx context.Context, b Base) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, address := range slices.Sorted(maps.Keys(b.Sums)) {
		if _, err := fetch(ctx, address, maxState); errors.Is(err, ErrUnreachable) {
			return err
		}
	}
	if s.Mirror == "" || len(b.Sums) > 0 {
		return nil
	}
	m := s.mirror()
	for _, address := range slices.Sorted(maps.Keys(b.Dates)) {
		if _, err := s.state(ctx, m, address); errors.Is(err, ErrUnreachable) {
			return err
		}
	}
	return nil
}
