// SPDX-License-Identifier: Apache-2.0

// Package address is about what a user writes to name a BuildKit that is running:
// SCHEME://PLACE?PARAMETERS. [Parse] says whether a text can be such an address, and what to
// write if it cannot. It knows forms alone: it asks nobody and opens no file.
package address

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// form is how the addresses of a scheme are written. What becomes an argument of a program
// does not look like an option of it.
type form struct {
	place      *regexp.Regexp // what stands between :// and the parameters
	like       string         // the scheme and its place, as documents write them
	with       string         // its parameters, likewise
	parameters map[string]*regexp.Regexp
	works      string // what of a program that connects has to work
}

// file is the value of a parameter that names one.
var file = regexp.MustCompile(`.`)

const (
	name = `[A-Za-z0-9][A-Za-z0-9_.-]*`
	pod  = `[a-z0-9][a-z0-9.-]*` // and a namespace, and a container of a pod
	host = `(` + name + `|\[[0-9A-Fa-f:.]+(%25` + name + `)?\])`
	port = `([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`
)

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(` + pattern + `)$`) }

// forms are those of the schemes that a client can connect by, and of buildx. The parameters of
// tcp are named as the remote driver of docker buildx names them.
var forms = map[string]form{
	"unix": {place: whole(`/[^/].*`), like: "unix:///PATH"},
	"tcp": {
		place: whole(host + `:` + port), like: "tcp://HOST:PORT",
		with:       "?cacert=FILE&cert=FILE&key=FILE, and &servername=NAME if the certificate has another",
		parameters: map[string]*regexp.Regexp{"cacert": file, "cert": file, "key": file, "servername": whole(name)},
	},
	"docker-container": {
		place: whole(name), like: "docker-container://NAME", with: "?context=CONTEXT",
		parameters: map[string]*regexp.Regexp{"context": whole(`.+`)},
		works:      "'docker exec NAME buildctl debug workers'",
	},
	"podman-container": {place: whole(name), like: "podman-container://NAME", works: "'podman exec NAME buildctl debug workers'"},
	"kube-pod": {
		place: whole(pod), like: "kube-pod://POD", with: "?context=CONTEXT&namespace=NAMESPACE&container=CONTAINER",
		parameters: map[string]*regexp.Regexp{"context": whole(`.+`), "namespace": whole(pod), "container": whole(pod)},
		works:      "'kubectl exec POD -- buildctl debug workers'",
	},
	"ssh":    {works: "'ssh USER@HOST buildctl debug workers', without a question", place: whole(`([A-Za-z0-9_][A-Za-z0-9_.-]*@)?` + host + `(:` + port + `)?(/.*)?`), like: "ssh://USER@HOST"},
	"buildx": {place: whole(`[A-Za-z][A-Za-z0-9._-]*`), like: "buildx://NAME"},
}

// order is that in which a hint names all schemes.
var order = []string{"unix", "tcp", "docker-container", "podman-container", "kube-pod", "ssh", "buildx"}

// Parse returns the scheme of an address and its parameters, each of which has one value. The
// error is one of usage, does not repeat the address, and has the hint what to write instead.
func Parse(text string) (scheme string, given url.Values, err error) {
	at, query, asked := strings.Cut(text, "?")
	scheme, place, _ := strings.Cut(at, "://")
	f, known := forms[scheme]
	if !known || !f.place.MatchString(place) || !parses(text) {
		next := meant(text)
		switch {
		case next != "":
		case known:
			next = "an address with that scheme is " + f.like + f.with
		default:
			next = all()
		}
		return "", nil, hint.Usage("not the address of a BuildKit", next)
	}
	given, err = url.ParseQuery(query)
	switch {
	case err != nil:
		return "", nil, f.misused("its parameters cannot be read")
	case asked && len(given) == 0:
		return "", nil, f.misused("no parameter follows the question mark")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given.Get(name)
		switch want, known := f.parameters[name]; {
		case !known:
			return "", nil, f.misused(fmt.Sprintf("unknown parameter %q", name))
		case len(given[name]) > 1 || value == "":
			return "", nil, f.misused(name + " needs one value")
		case !want.MatchString(value):
			return "", nil, f.misused(fmt.Sprintf("%s=%q cannot be one", name, value))
		}
	}
	if given.Has("cert") != given.Has("key") {
		return "", nil, f.misused("cert and key go together")
	}
	return scheme, given, nil
}

// TLS reports whether a parameter of that name is one of tcp://.
func TLS(parameter string) bool {
	_, ok := forms["tcp"].parameters[parameter]
	return ok
}

// parses reports whether the client, which takes an address for a URL, sees in it what stands there.
func parses(text string) bool {
	u, err := url.Parse(text)
	if err != nil || strings.Contains(text, "#") {
		return false
	}
	if strings.Contains(u.Host, "[") {
		_, err = netip.ParseAddr(u.Hostname())
	}
	return err == nil
}

func (f form) misused(what string) error {
	if f.with == "" {
		return hint.Usage(what, f.like+" takes no parameters")
	}
	return hint.Usage(what, "an address with parameters is "+f.like+f.with)
}

// Next is what to do first where nothing usable answers at an address, "" or to go on with.
func Next(text string) string {
	scheme, _, _ := strings.Cut(text, "://")
	if works := forms[scheme].works; works != "" {
		return works + " has to work here: "
	}
	return ""
}

// all names the forms of all schemes.
func all() string {
	var like []string
	for _, scheme := range order {
		like = append(like, forms[scheme].like)
	}
	last := len(like) - 1
	return "an address is " + strings.Join(like[:last], ", ") + " or " + like[last]
}

// Pattern is what an address starts with, for a schema.
func Pattern() *regexp.Regexp {
	return regexp.MustCompile(`^(` + strings.Join(order, "|") + `)://\S+$`)
}
