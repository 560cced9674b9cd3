// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	bk "github.com/moby/buildkit/client"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// secured returns how a client speaks TLS as the parameters of an address ask for it.
func secured(given url.Values) []bk.ClientOpt {
	options := []bk.ClientOpt{bk.WithServerConfigSystem(given.Get("servername"))}
	if given.Has("cacert") {
		options[0] = bk.WithServerConfig(given.Get("servername"), given.Get("cacert"))
	}
	if given.Has("cert") {
		options = append(options, bk.WithCredentials(given.Get("cert"), given.Get("key")))
	}
	return options
}

// trust reads the files that parameters of an address name, and is what the client makes of
// them; nil for an address without TLS. Without cacert the server is checked against the
// system's authorities. The error is one of usage and names the file.
func trust(scheme string, given url.Values) (*tls.Config, error) {
	if scheme != "tcp" || len(given) == 0 {
		return nil, nil
	}
	c := &tls.Config{ServerName: given.Get("servername"), NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	if file := given.Get("cacert"); file != "" {
		data, err := os.ReadFile(file)
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			err = path.Err
		}
		c.RootCAs = x509.NewCertPool()
		if err == nil && !c.RootCAs.AppendCertsFromPEM(data) {
			err = errors.New("no certificate in PEM")
		}
		if err != nil {
			return nil, hint.Usage(fmt.Sprintf("cacert=%s: %v", file, err), "cacert=FILE is the certificate, in PEM, of the authority that signed the server's")
		}
	}
	if cert, key := given.Get("cert"), given.Get("key"); cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, hint.Usage(fmt.Sprintf("cert=%s, key=%s: %v", cert, key, err), "cert=FILE is the client's certificate and key=FILE the key of that one, both in PEM")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
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

// check returns how to connect to an address. It refuses what cannot be one, or names files
// that cannot be used.
func check(text string) ([]bk.ClientOpt, error) {
	scheme, given, err := address.Parse(text)
	var config *tls.Config
	if err == nil {
		config, err = trust(scheme, given)
	}
	switch {
	case err != nil:
		return nil, &AddressError{text, err}
	case config == nil:
		return nil, nil
	}
	return secured(given), nil
}
