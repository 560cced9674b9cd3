// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Attached is a connection to a container's streams.
type Attached struct {
	net.Conn
	r *bufio.Reader
}

// Attach connects with the streams of a container that is yet to be started: all that it says comes.
func (c *Client) Attach(ctx context.Context, id string, stdin bool) (*Attached, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{"stream": {"1"}, "stdout": {"1"}, "stderr": {"1"}}
	if stdin {
		query.Set("stdin", "1")
	}
	a := &Attached{conn, bufio.NewReader(conn)}
	if err := a.upgrade(ctx, c.path("/containers/"+id+"/attach", query)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return a, nil
}

// upgrade makes a connection of HTTP one of bytes.
func (a *Attached) upgrade(ctx context.Context, path string) error {
	stop := context.AfterFunc(ctx, func() { _ = a.Close() })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon"+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	if err := req.Write(a.Conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(a.r, req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.StatusCode != http.StatusOK { // 200 of daemons that do not say so
		defer resp.Body.Close()
		return refusal(resp)
	}
	return nil
}

// Read implements net.Conn.
func (a *Attached) Read(b []byte) (int, error) { return a.r.Read(b) }

// CloseWrite tells the program that its stdin has ended.
func (a *Attached) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Split copies the two streams of a container without a terminal, which come in frames: a head of eight bytes,
// the first of which is the stream and the last four the length.
func Split(out, errs io.Writer, frames io.Reader) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(frames, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the container's output was cut off: %w", err)
		}
		to := out
		switch head[0] {
		case 0, 1: // 0 is stdin, which some daemons write as
		case 2:
			to = errs
		default:
			return fmt.Errorf("the container's output is damaged: stream %d", head[0])
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		if n, err := io.CopyN(to, frames, size); err != nil {
			return fmt.Errorf("the container's output was cut off after %d of %d bytes: %w", n, size, err)
		}
	}
}
