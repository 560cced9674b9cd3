// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	bk "github.com/moby/buildkit/client"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// parameters are those of an address tcp://HOST:PORT?cacert=FILE&cert=FILE&key=FILE&servername=NAME,
// and whether each is a file. They are named as buildx's remote driver names them. One is enough for TLS.
var parameters = map[string]bool{"cacert": true, "cert": true, "key": true, "servername": false}

// transport returns how a client speaks at an address: with TLS where its parameters ask for
// it. Without cacert the server is checked against the system's authorities.
func transport(address string) ([]bk.ClientOpt, error) {
	at, query, asked := strings.Cut(address, "?")
	if !asked || !strings.HasPrefix(at, "tcp://") {
		return nil, nil
	}
	given, err := url.ParseQuery(query)
	if err != nil {
		return nil, misused(at, "its parameters cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		isFile, known := parameters[name]
		switch value := given.Get(name); {
		case !known:
			return nil, misused(at, fmt.Sprintf("unknown parameter %q", name))
		case len(given[name]) > 1 || value == "":
			return nil, misused(at, name+" needs one value")
		case isFile:
			if err := readable(value); err != nil {
				return nil, misused(at, fmt.Sprintf("%s=%s: %v", name, value, err))
			}
		}
	}
	if given.Has("cert") != given.Has("key") {
		return nil, misused(at, "cert and key go together")
	}
	options := []bk.ClientOpt{bk.WithServerConfigSystem(given.Get("servername"))}
	if given.Has("cacert") {
		options[0] = bk.WithServerConfig(given.Get("servername"), given.Get("cacert"))
	}
	if given.Has("cert") {
		options = append(options, bk.WithCredentials(given.Get("cert"), given.Get("key")))
	}
	return options, nil
}

// Private reports whether nobody on the way reads what is said to the BuildKit at an address: all
// forms are but tcp:// without TLS to another machine.
func Private(address string) bool {
	u, err := url.Parse(address)
	if !strings.HasPrefix(address, "tcp://") || strings.Contains(address, "?") { // one parameter is TLS
		return true
	}
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func misused(address, what string) error {
	return hint.Usage(fmt.Sprintf("BuildKit at %s: %s", Public(address), what),
		"an address with TLS is tcp://HOST:PORT?cacert=FILE&cert=FILE&key=FILE, and &servername=NAME if the certificate has another")
}

func readable(file string) error {
	f, err := os.Open(file)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	if err != nil {
		return err
	}
	return f.Close()
}
