// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"time"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// lookPatience bounds how long why looks.
const lookPatience = 5 * time.Second

// why adds to err what it comes from, where the connection itself says so. gRPC passes causes
// on as text, so they are looked for once more. It returns err where nothing is found.
func why(ctx context.Context, text string, err error) error {
	scheme, given, wrong := address.Parse(text)
	u, unread := url.Parse(text)
	config, unusable := trust(scheme, given)
	if errors.Join(wrong, unread, unusable) != nil || ctx.Err() != nil || errors.Is(err, errSilent) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	var found error
	switch {
	case scheme == "unix":
		found = lookSocket(ctx, u.Path)
	case config != nil:
		found = lookTLS(ctx, u.Host, config)
	case scheme == "tcp":
		found = lookPlain(ctx, u.Host)
	}
	if found == nil {
		return err
	}
	return fmt.Errorf("%w: %w", found, err)
}

func lookSocket(ctx context.Context, path string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		return conn.Close()
	}
	if errors.Is(err, fs.ErrPermission) {
		return hint.New("the socket is not for this user", "be of the group that 'ls -l' shows at the socket, which 'buildkitd --group GROUP' sets, or run as its owner")
	}
	return nil
}

// lookTLS says what one of both sides has against the other.
func lookTLS(ctx context.Context, hostPort string, config *tls.Config) error {
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", hostPort)
	if err == nil {
		defer func() { _ = conn.Close() }()
		until, _ := ctx.Deadline()
		_ = conn.SetDeadline(until)
		_, err = conn.Read(make([]byte, 1)) // a server of TLS 1.3 refuses a client after the handshake
	}
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		plain     tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &name):
		return hint.New("its certificate has another name", "add &servername=NAME with a name that the certificate has, if that is the one you mean to reach")
	case errors.As(err, &authority):
		return hint.New("its certificate is of an authority that is not trusted", "cacert=FILE has to be the certificate of the authority that signed the server's")
	case errors.As(err, &plain):
		return hint.New("it does not speak TLS", "start it with --tlscert, --tlskey and --tlscacert, or leave the parameters away")
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls: an alert that was sent
		return hint.New(fmt.Sprintf("it refuses this client (%v)", op.Err), "cert=FILE&key=FILE have to be a client's, signed by the authority of the server's --tlscacert")
	}
	return nil
}

// lookPlain says whether a server that gets no TLS wants it.
func lookPlain(ctx context.Context, hostPort string) error {
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", hostPort) //nolint:gosec // nothing is said to it
	if err == nil {
		_ = conn.Close()
	}
	if op := (*net.OpError)(nil); err == nil || errors.As(err, &op) && op.Op == "remote error" {
		return hint.New("it speaks TLS", "write tcp://HOST:PORT?cacert=FILE&cert=FILE&key=FILE, with the files that it was set up with")
	}
	return nil
}
