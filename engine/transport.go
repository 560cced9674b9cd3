// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	bk "github.com/moby/buildkit/client"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// secured returns how a client speaks TLS as the parameters of an address ask for it. Without
// cacert the server is checked against the system's authorities.
func secured(given url.Values) ([]bk.ClientOpt, error) {
	for _, name := range []string{"cacert", "cert", "key"} {
		if file := given.Get(name); file != "" {
			if err := readable(file); err != nil {
				return nil, hint.Usage(fmt.Sprintf("%s=%s: %v", name, file, err), "cacert=FILE, cert=FILE and key=FILE are files in PEM")
			}
		}
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
