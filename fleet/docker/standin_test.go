// SPDX-License-Identifier: Apache-2.0

package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/internal/capture"
)

// standIn is a stand-in for a daemon: it keeps containers and images by name, and runs nothing. What a
// container would do is a row that the test makes up.
type standIn struct {
	t *testing.T

	version, info string
	runs          func(daemon.Container) observe.Seen // what the observer sees
	faults        map[string]http.HandlerFunc         // in place of what it does, by the pattern of a request
	pulled        map[string]string                   // IDs of images that can be pulled

	mu         sync.Mutex
	containers map[string]*made
	images     map[string][]string // tags by ID
	asked      []string            // requests, without their version
	loaded     [][]string          // names in the archives that were loaded
}

type made struct {
	daemon.Container

	files map[string][]byte
	ended chan struct{}
	code  int
	kills []string

	state   string // in the list
	created time.Time
}

const (
	docker20 = `{"Version":"20.10.24","ApiVersion":"1.41","Components":[{"Name":"Engine"},{"Name":"runc","Version":"1.1.5"}]}`
	docker25 = `{"Version":"25.0.0","ApiVersion":"1.44","Components":[{"Name":"Engine"}]}`
	docker29 = `{"Version":"29.0.0","ApiVersion":"1.52","Components":[{"Name":"Engine"}]}`
	podman4  = `{"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"4.3.1"}]}`
	withCDI  = `{"Name":"gpu1","OperatingSystem":"Debian","KernelVersion":"6.1","CgroupVersion":"2","Architecture":"x86_64","CDISpecDirs":["/etc/cdi"],"Runtimes":{"runc":{}},
		"DiscoveredDevices":[{"Source":"cdi","ID":"nvidia.com/gpu=0"},{"Source":"cdi","ID":"nvidia.com/gpu=GPU-1"},{"Source":"cdi","ID":"nvidia.com/gpu=all"}]}`
	withRuntime = `{"Name":"gpu1","Architecture":"x86_64","Runtimes":{"runc":{},"nvidia":{}}}`
)

// newStandIn is a docker 29 with two stand-in GPUs, whose containers pass.
func newStandIn(t *testing.T) *standIn {
	return &standIn{
		t: t, version: docker29, info: withCDI, faults: map[string]http.HandlerFunc{}, pulled: map[string]string{},
		containers: map[string]*made{}, images: map[string][]string{},
		runs: func(c daemon.Container) observe.Seen { return row(c, given(c)...) },
	}
}

// given are the GPUs of a container.
func given(c daemon.Container) (gpus []int) {
	var names []string
	for _, r := range c.HostConfig.DeviceRequests {
		names = append(names, r.DeviceIDs...)
	}
	if c.HostConfig.Runtime == "nvidia" {
		for _, e := range c.Env {
			if list, is := strings.CutPrefix(e, "NVIDIA_VISIBLE_DEVICES="); is {
				names = strings.Split(list, ",")
			}
		}
	}
	for i := range 2 {
		for _, name := range names {
			if strings.HasSuffix(name, "all") || strings.HasSuffix(name, fmt.Sprint(i)) {
				gpus = append(gpus, i)
			}
		}
	}
	return gpus
}

// row is what the observer sees of a sample that passes on these GPUs.
func row(c daemon.Container, gpus ...int) observe.Seen {
	var devices []map[string]any
	s := observe.Seen{Version: 1, Args: c.Cmd, Started: time.Now(), Seconds: 1, DeviceNodes: []string{}, Driver: "580.159.04", GPUs: []observe.GPU{}, StandIn: true}
	for _, i := range gpus {
		uuid := fmt.Sprintf("GPU-%d", i)
		devices = append(devices, map[string]any{"name": "stand-in", "uuid": uuid})
		s.DeviceNodes = append(s.DeviceNodes, fmt.Sprintf("/dev/nvidia%d", i))
		s.GPUs = append(s.GPUs, observe.GPU{UUID: uuid, Name: "NVIDIA H100 80GB HBM3", BusID: fmt.Sprintf("0000:0%d:00.0", i), Minor: i})
	}
	says, _ := json.Marshal(map[string]any{
		"version": 1, "sample": "deviceQuery", "result": "PASS", "driver_version": 13000, "runtime_version": 12040, "libcuda_path": "/usr/lib/libcuda.so.1", "devices": devices,
	})
	s.Stdout = capture.Output{Bytes: int64(len(says)), Head: says}
	return s
}

func (d *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if parts := strings.SplitN(r.URL.Path, "/", 3); len(parts) == 3 && strings.HasPrefix(parts[1], "v") && parts[1] != "version" {
		r.URL.Path = strings.TrimPrefix("/"+parts[2], "/libpod")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.Method+" "+r.URL.Path)
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /version":                 d.say(d.version),
		"GET /info":                    d.say(d.info),
		"GET /containers/json":         d.list,
		"POST /containers/create":      d.create,
		"PUT /containers/{id}/archive": d.put,
		"GET /containers/{id}/archive": d.get,
		"POST /containers/{id}/start":  d.start,
		"POST /containers/{id}/attach": d.attach,
		"POST /containers/{id}/wait":   d.wait,
		"POST /containers/{id}/kill":   d.kill,
		"POST /containers/{id}/resize": d.say(""),
		"GET /containers/{id}/json":    d.say(`{"State":{"Status":"exited","ExitCode":137}}`),
		"DELETE /containers/{id}":      d.remove,
		"GET /images/json":             d.listImages,
		"POST /images/create":          d.pull,
		"POST /images/load":            d.load,
		"GET /images/{name...}":        d.inspect,
		"POST /images/{id}/tag":        d.tag,
		"DELETE /images/{name...}":     d.removeImage,
	} {
		if fault := d.faults[pattern]; fault != nil {
			handler = fault
		}
		mux.HandleFunc(pattern, handler)
	}
	mux.ServeHTTP(w, r)
}

func (d *standIn) say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
}

func (d *standIn) answer(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		d.t.Error(err)
	}
}

func (d *standIn) list(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Query().Get("filters"), "cudabuild.client") {
		d.t.Error("the list is of all containers")
	}
	all := []daemon.Listed{}
	for id, c := range d.containers {
		all = append(all, daemon.Listed{ID: id, Labels: c.Labels, State: c.state, Created: c.created.Unix()})
	}
	d.answer(w, all)
}

func (d *standIn) create(w http.ResponseWriter, r *http.Request) {
	c := &made{files: map[string][]byte{}, ended: make(chan struct{})}
	if d.version == podman4 {
		var s struct {
			Entrypoint, Command []string
			Env                 map[string]string
			Labels              map[string]string
			Devices             []struct{ Path string }
		}
		_ = json.NewDecoder(r.Body).Decode(&s)
		c.Entrypoint, c.Cmd, c.Labels = s.Entrypoint, s.Command, s.Labels
		for _, device := range s.Devices {
			c.HostConfig.DeviceRequests = append(c.HostConfig.DeviceRequests, daemon.DeviceRequest{DeviceIDs: []string{device.Path}})
		}
	} else if err := json.NewDecoder(r.Body).Decode(&c.Container); err != nil {
		d.t.Error(err)
	}
	id := fmt.Sprintf("container%d", len(d.asked))
	d.containers[id] = c
	d.answer(w, map[string]string{"Id": id})
}

func (d *standIn) put(_ http.ResponseWriter, r *http.Request) {
	for archive := tar.NewReader(r.Body); ; {
		head, err := archive.Next()
		if err != nil {
			return
		}
		data, _ := io.ReadAll(archive)
		d.containers[r.PathValue("id")].files["/"+head.Name] = data
	}
}

func (d *standIn) get(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("path")
	data := d.containers[r.PathValue("id")].files[name]
	archive := tar.NewWriter(w)
	_ = archive.WriteHeader(&tar.Header{Name: filepath.Base(name), Size: int64(len(data)), Mode: 0o666})
	_, _ = archive.Write(data)
	_ = archive.Close()
}

func (d *standIn) start(_ http.ResponseWriter, r *http.Request) {
	c := d.containers[r.PathValue("id")]
	if len(c.Entrypoint) > 4 && c.Entrypoint[4] == "--row" {
		var out bytes.Buffer
		if err := d.runs(c.Container).Write(&out, ""); err != nil {
			d.t.Error(err)
		}
		c.files[c.Entrypoint[5]] = out.Bytes()
		close(c.ended)
	}
}

// attach echoes what it reads to stdout, until that ends, and says "done" to stderr.
func (d *standIn) attach(w http.ResponseWriter, r *http.Request) {
	c := d.containers[r.PathValue("id")]
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		d.t.Error(err)
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	say := func(stream byte, text []byte) {
		head := binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text)))
		_, _ = conn.Write(append(head, text...))
	}
	go func() {
		defer conn.Close()
		if c.OpenStdin {
			text, _ := io.ReadAll(buffered)
			say(1, text)
			c.code = 7
			close(c.ended)
		} else {
			<-c.ended
		}
		say(2, []byte("done"))
	}()
}

func (d *standIn) wait(w http.ResponseWriter, r *http.Request) {
	c := d.containers[r.PathValue("id")]
	d.mu.Unlock()
	select {
	case <-c.ended:
	case <-r.Context().Done():
	}
	d.mu.Lock()
	d.answer(w, map[string]any{"StatusCode": c.code})
}

func (d *standIn) kill(_ http.ResponseWriter, r *http.Request) {
	c := d.containers[r.PathValue("id")]
	if c.kills = append(c.kills, r.URL.Query().Get("signal")); c.kills[len(c.kills)-1] == "9" {
		c.code = 137
		close(c.ended)
	}
}

func (d *standIn) remove(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if d.containers[id] == nil {
		refuse(404, "No such container")(w, r)
	}
	delete(d.containers, id)
}

func (d *standIn) listImages(w http.ResponseWriter, _ *http.Request) {
	all := []daemon.Image{}
	for id, tags := range d.images {
		all = append(all, daemon.Image{ID: id, RepoTags: tags})
	}
	d.answer(w, all)
}

func (d *standIn) inspect(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("name"), "/json")
	for id, tags := range d.images {
		if id == name || slices.Contains(tags, name) {
			d.answer(w, daemon.Image{ID: id, RepoTags: tags})
			return
		}
	}
	refuse(404, "No such image: "+name)(w, r)
}

func (d *standIn) pull(w http.ResponseWriter, r *http.Request) {
	ref := r.URL.Query().Get("fromImage")
	id := d.pulled[ref]
	if id == "" {
		_, _ = io.WriteString(w, `{"errorDetail":{"message":"manifest unknown"}}`)
		return
	}
	d.images[id] = append(d.images[id], ref)
}

// load reads an archive as docker before 23 does, by its manifest.json, and checks every layer.
func (d *standIn) load(w http.ResponseWriter, r *http.Request) {
	file := filepath.Join(d.t.TempDir(), "archive.tar")
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return // the client gave up
	}
	var names []string
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		head, err := archive.Next()
		if err != nil {
			break
		}
		names = append(names, head.Name)
	}
	d.loaded = append(d.loaded, names)
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
	if err != nil {
		d.t.Error(err)
		return
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		d.t.Error(err)
		return
	}
	id, err := img.ConfigName()
	if err != nil {
		d.t.Error(err)
	}
	d.images[id.String()] = append(d.images[id.String()], manifest[0].RepoTags...)
	_, _ = io.WriteString(w, `{"stream":"Loaded"}`)
}

func (d *standIn) tag(_ http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d.images[id] = append(d.images[id], r.URL.Query().Get("repo")+":"+r.URL.Query().Get("tag"))
}

func (d *standIn) removeImage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for id, tags := range d.images {
		if i := slices.Index(tags, name); i >= 0 {
			if d.images[id] = slices.Delete(slices.Clone(tags), i, i+1); len(d.images[id]) == 0 {
				delete(d.images, id)
			}
			return
		}
	}
	refuse(404, "No such image: "+name)(w, r)
}

// serve makes the stand-in listen.
func (d *standIn) serve() daemon.Endpoint {
	d.t.Helper()
	dir, err := os.MkdirTemp("", "d-")
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(d.t.Context(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		d.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(d)
	s.Listener = l
	s.Start()
	d.t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		_ = os.RemoveAll(dir)
	})
	return daemon.Endpoint{Engine: daemon.Docker, URL: &url.URL{Scheme: "unix", Path: filepath.Join(dir, "s")}, From: "a test"}
}

// open opens the stand-in with a folder of observers that nobody runs.
func (d *standIn) open(options docker.Options) *docker.Host {
	d.t.Helper()
	options.Programs = d.t.TempDir()
	if err := os.WriteFile(filepath.Join(options.Programs, "observe-amd64"), []byte("a stand-in"), 0o755); err != nil {
		d.t.Fatal(err)
	}
	h, err := docker.Open(d.t.Context(), d.serve(), options)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = h.Close(context.WithoutCancel(d.t.Context())) })
	return h
}

// configOf is an image's ID in an older store.
func configOf(t *testing.T, img v1.Image) string {
	t.Helper()
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}
