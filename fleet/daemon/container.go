// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Container is one to be made, in the words of the API.
type Container struct {
	Image                                  string
	Entrypoint, Cmd, Env                   []string
	User, WorkingDir                       string `json:",omitempty"`
	Labels                                 map[string]string
	Tty, OpenStdin, StdinOnce, AttachStdin bool
	AttachStdout, AttachStderr             bool
	HostConfig                             HostConfig
}

// HostConfig is what a container has of its host.
type HostConfig struct {
	Mounts         []Mount           `json:",omitempty"`
	CapDrop        []string          `json:",omitempty"`
	SecurityOpt    []string          `json:",omitempty"`
	NetworkMode    string            `json:",omitempty"`
	IpcMode        string            `json:",omitempty"`
	PidsLimit      int64             `json:",omitempty"`
	Memory         int64             `json:",omitempty"`
	ShmSize        int64             `json:",omitempty"`
	Ulimits        []Ulimit          `json:",omitempty"`
	Tmpfs          map[string]string `json:",omitempty"`
	Runtime        string            `json:",omitempty"`
	DeviceRequests []DeviceRequest   `json:",omitempty"`
	LogConfig      LogConfig
}

// DeviceRequest asks for devices by name; Driver "cdi" for those of CDI specifications.
type DeviceRequest struct {
	Driver    string
	DeviceIDs []string
}

// Mount is a folder or file of the host in a container, with what is mounted below it. Binds, the older form, is one
// string with colons, which a path can have.
type Mount struct {
	Type           string // "bind"
	Source, Target string
	ReadOnly       bool
}

// Ulimit is a bound on a process, -1 for none.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// LogConfig says what becomes of the output. Type "none" keeps nothing.
type LogConfig struct{ Type string }

// State is how a container is.
type State struct {
	Status    string // "created", "running", "exited", ...
	Running   bool
	OOMKilled bool
	ExitCode  int
	Error     string // why it did not start
}

// Listed is a container in a list.
type Listed struct {
	ID      string `json:"Id"`
	Labels  map[string]string
	State   string // "running", ...
	Created int64  // in seconds
	// Command is the program with its arguments, in one line.
	Command string
}

// Idle reports whether the container has ended, or was never started.
func (l Listed) Idle() bool { return slices.Contains([]string{"created", "exited", "dead"}, l.State) }

// Create makes a container and returns its ID.
func (c *Client) Create(ctx context.Context, want Container) (string, error) {
	var made struct {
		ID string `json:"Id"`
	}
	path, body := "/containers/create", any(want)
	if c.Version.Podman() {
		path, body = podmanCreate, want.podman()
	}
	if err := c.ask(ctx, http.MethodPost, path, nil, body, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", errors.New("the daemon made a container without an ID")
	}
	return made.ID, nil
}

// Put unpacks an archive in the root of a container.
func (c *Client) Put(ctx context.Context, id string, archive io.Reader) error {
	answer, err := c.send(ctx, http.MethodPut, "/containers/"+id+"/archive", url.Values{"path": {"/"}}, archive, http.Header{"Content-Type": {"application/x-tar"}})
	if err != nil {
		return err
	}
	return answer.Close()
}

// Get reads a file of a container, of so many bytes at most.
func (c *Client) Get(ctx context.Context, id, path string, most int64) ([]byte, error) {
	answer, err := c.send(ctx, http.MethodGet, "/containers/"+id+"/archive", url.Values{"path": {path}}, nil, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return only(answer, most)
}

// only is the content of the first file of an archive.
func only(archive io.Reader, most int64) ([]byte, error) {
	r := tar.NewReader(io.LimitReader(archive, most+1<<20))
	head, err := r.Next()
	if err != nil {
		return nil, fmt.Errorf("no file in the daemon's answer: %w", err)
	}
	if head.Typeflag != tar.TypeReg || head.Size > most {
		return nil, fmt.Errorf("%q in the container is no file of %d bytes at most", head.Name, most)
	}
	return io.ReadAll(r)
}

// Start starts a container.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.ask(ctx, http.MethodPost, "/containers/"+id+"/start", nil, nil, nil)
}

// Wait waits for the end of a container that was started, and returns its exit code. A daemon that loses
// the connection, or is started again meanwhile, is asked for a while; lost reports that it did, whose
// containers may have ended with it: docker calls that 255.
func (c *Client) Wait(ctx context.Context, id string) (code int, lost bool, err error) {
	for range 30 {
		var end struct {
			StatusCode int
			Error      *struct{ Message string }
		}
		err = c.ask(ctx, http.MethodPost, "/containers/"+id+"/wait", nil, nil, &end)
		switch e := (*Error)(nil); {
		case err == nil && end.Error != nil && end.Error.Message != "":
			return 0, lost, errors.New(end.Error.Message)
		case err == nil, errors.As(err, &e), ctx.Err() != nil:
			return end.StatusCode, lost, err
		}
		lost = true
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return 0, lost, err
}

// State is how a container is now.
func (c *Client) State(ctx context.Context, id string) (State, error) {
	var of struct{ State State }
	err := c.ask(ctx, http.MethodGet, "/containers/"+id+"/json", nil, nil, &of)
	return of.State, err
}

// Kill sends a signal, by name or number.
func (c *Client) Kill(ctx context.Context, id, signal string) error {
	return c.ask(ctx, http.MethodPost, "/containers/"+id+"/kill", url.Values{"signal": {signal}}, nil, nil)
}

// Resize gives the terminal of a container a size.
func (c *Client) Resize(ctx context.Context, id string, rows, columns int) error {
	return c.ask(ctx, http.MethodPost, "/containers/"+id+"/resize", url.Values{"h": {strconv.Itoa(rows)}, "w": {strconv.Itoa(columns)}}, nil, nil)
}

// Remove ends a container, if it runs, and removes it with what it wrote. One that is not there is no
// error.
func (c *Client) Remove(ctx context.Context, id string) error {
	err := c.ask(ctx, http.MethodDelete, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}}, nil, nil)
	if IsNotFound(err) {
		return nil
	}
	return err
}

// List lists the containers that have a label, those that do not run too.
func (c *Client) List(ctx context.Context, label string) (all []Listed, err error) {
	query := url.Values{"all": {"1"}, "filters": {`{"label":["` + label + `"]}`}}
	return all, c.ask(ctx, http.MethodGet, "/containers/json", query, nil, &all)
}
