// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dialer makes connections to the daemon.
func (e Endpoint) dialer() (func(context.Context) (net.Conn, error), error) {
	secure, err := e.tlsConfig()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 30 * time.Second}
	switch e.URL.Scheme {
	case "ssh":
		return func(context.Context) (net.Conn, error) { return startProxy(e.sshArgs()) }, nil
	case "unix":
		return func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "unix", e.URL.Path) }, nil
	}
	return func(ctx context.Context) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, "tcp", e.URL.Host)
		if err != nil || secure == nil {
			return c, err
		}
		over := tls.Client(c, secure)
		if err := over.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return over, nil
	}, nil
}

// sshArgs is the command whose input and output are a connection to the daemon on the other host, the
// one that docker and podman themselves use.
func (e Endpoint) sshArgs() []string {
	args := []string{"ssh", "-T", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes"}
	if name := e.URL.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	if port := e.URL.Port(); port != "" {
		args = append(args, "-p", port)
	}
	args = append(args, "--", e.URL.Hostname(), e.Engine)
	if path := strings.TrimSuffix(e.URL.Path, "/"); path != "" {
		flag := map[string]string{Docker: "--host", Podman: "--url"}[e.Engine]
		args = append(args, flag, quoted("unix://"+path))
	}
	return append(args, "system", "dial-stdio")
}

// quoted is a word for the shell of the other host.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// late is how long a program may take to end.
const late = 3 * time.Second

// proxy is a program as a connection.
type proxy struct {
	io.Reader
	in    io.WriteCloser
	cmd   *exec.Cmd
	said  *tail
	ended sync.Once
}

func startProxy(args []string) (net.Conn, error) {
	p := &proxy{cmd: exec.CommandContext(context.Background(), args[0], args[1:]...), said: &tail{}} // it lasts as long as the connection
	out, err1 := p.cmd.StdoutPipe()
	in, err2 := p.cmd.StdinPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p.Reader, p.in, p.cmd.Stderr = out, in, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for this program, which still needs the connection
	p.cmd.WaitDelay = late                                 // ssh's master connection (ControlPersist) keeps what it says open
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Read implements net.Conn. The end comes with what the program said.
func (p *proxy) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		_ = p.Close() // it has said all
		if said := p.said.text(); said != "" {
			err = fmt.Errorf("%s: %s", p.cmd.Args[0], said)
		}
	}
	return n, err
}

// Write implements net.Conn.
func (p *proxy) Write(b []byte) (int, error) { return p.in.Write(b) }

// CloseWrite tells the daemon that nothing more comes.
func (p *proxy) CloseWrite() error { return p.in.Close() }

// Close implements net.Conn. The program ends by itself once its input does.
func (p *proxy) Close() error {
	p.ended.Do(func() {
		_ = p.in.Close()
		killed := time.AfterFunc(late, func() { _ = p.cmd.Process.Kill() })
		defer killed.Stop()
		_ = p.cmd.Wait()
	})
	return nil
}

// LocalAddr and those below implement net.Conn.
func (p *proxy) LocalAddr() net.Addr { return address{} }

// RemoteAddr implements net.Conn.
func (p *proxy) RemoteAddr() net.Addr { return address{} }

// SetDeadline implements net.Conn; a program has none.
func (p *proxy) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (p *proxy) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (p *proxy) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "ssh" }
func (address) String() string  { return "ssh" }

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const maxTail = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(0, len(t.kept)-maxTail):]
	return len(b), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
