// SPDX-License-Identifier: Apache-2.0

package docker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/verify"
)

// sample is an image in name only, of a layer with that compression.
func sample(t *testing.T, enc imagetest.Encoding) v1.Image {
	t.Helper()
	img := imagetest.New(imagetest.Layer(enc, imagetest.Files(map[string]imagetest.Entry{"usr/bin/deviceQuery": imagetest.File([]byte("#!/bin/sh\n"))})))
	img, err := mutate.Config(img, v1.Config{Cmd: []string{"deviceQuery"}, Env: []string{"NVIDIA_VISIBLE_DEVICES=all", "A=b"}, User: "app", WorkingDir: "/srv"})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := layout.Write(t.TempDir(), empty.Index)
	if err == nil {
		err = dir.AppendImage(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if img, err = dir.Image(digest); err != nil { // which can be read without its compression
		t.Fatal(err)
	}
	return img
}

const onDisk = "oci:images:sample"

func subject(t *testing.T, ref string, img v1.Image) predict.Subject {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	src := image.Source{Ref: ref, Digest: digest, Image: img}
	test, err := predict.Sample(src)
	if err != nil {
		t.Fatal(err)
	}
	s, err := predict.New(src, test)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clean wants that nothing is left in the daemon.
func (d *standIn) clean(h *docker.Host) {
	d.t.Helper()
	if err := h.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
	if len(d.containers)+len(d.images) > 0 {
		d.t.Errorf("left in the daemon: %d containers, images %v", len(d.containers), d.images)
	}
}

// TestRow takes an image through the observer by each way that GPUs come in.
func TestRow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		version, info string
		enc           imagetest.Encoding
		want          daemon.HostConfig // what is said of GPUs there
		visible       string
		archive       string // a name in it, or, after a !, none
	}{
		"docker 29": {docker29, withCDI, imagetest.Zstd, daemon.HostConfig{DeviceRequests: []daemon.DeviceRequest{{Driver: "cdi", DeviceIDs: []string{"nvidia.com/gpu=GPU-1"}}}}, "void", "index.json"},
		"docker 25, which lists none": {
			docker25, `{"Architecture":"x86_64","CDISpecDirs":["/etc/cdi"]}`, imagetest.Gzip,
			daemon.HostConfig{DeviceRequests: []daemon.DeviceRequest{{Driver: "cdi", DeviceIDs: []string{"nvidia.com/gpu=1"}}}},
			"void", "oci-layout",
		},
		"docker 20.10": {docker20, withRuntime, imagetest.Zstd, daemon.HostConfig{Runtime: "nvidia"}, "GPU-1", "!index.json"},
		"podman":       {podman4, withRuntime, imagetest.Zstd, daemon.HostConfig{DeviceRequests: []daemon.DeviceRequest{{DeviceIDs: []string{"nvidia.com/gpu=1"}}}}, "", "index.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			d.version, d.info = test.version, test.info
			var ran daemon.Container
			runs := d.runs
			d.runs = func(c daemon.Container) observe.Seen { ran = c; return runs(c) }
			h := d.open(docker.Options{})
			img := sample(t, test.enc)
			facts, err := h.Look(t.Context(), onDisk, img, false)
			if err != nil || len(facts.GPUs) != 2 || facts.Driver != "580.159.04" || facts.CUDA != "13.0" || facts.GPUs[1].Capability != "9.0" || !facts.StandIn || facts.Daemon == "" {
				t.Fatalf("Look = %+v, %v", facts, err)
			}
			o := observer.Observer{
				Host: host.Host{Facts: facts, GPUs: facts.GPUs[1:]}, Verifier: verify.New(verify.Options{CacheDir: t.TempDir(), TempDir: t.TempDir()}),
				Engines: []container.Engine{container.Docker}, Repeat: 2, Limit: time.Minute, Ledger: t.TempDir(), Elsewhere: h,
			}
			s := subject(t, onDisk, img)
			rows, err := o.Image(t.Context(), image.Source{Ref: s.Ref, Image: img}, s.Test)
			if err != nil || len(rows) != 2 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			r := rows[1]
			if r.Result != gpu.Passed || r.Engine != "docker" || !r.StandIn || !slices.Equal(r.Devices, []string{"GPU-1"}) || r.Under.Daemon != facts.Daemon || r.Seen == nil || len(r.Seen.Devices) != 1 {
				t.Errorf("row %+v, under %+v", r, r.Under)
			}
			if got := ran.HostConfig; got.Runtime != test.want.Runtime || !equalRequests(got.DeviceRequests, test.want.DeviceRequests) {
				t.Errorf("asked for %+v, %q, want %+v", got.DeviceRequests, got.Runtime, test.want)
			}
			if test.visible != "" && !slices.Contains(ran.Env, "NVIDIA_VISIBLE_DEVICES="+test.visible) {
				t.Errorf("environment %v, want that %s is visible", ran.Env, test.visible)
			}
			if len(d.loaded) != 1 || slices.Contains(d.loaded[0], strings.TrimPrefix(test.archive, "!")) == strings.HasPrefix(test.archive, "!") {
				t.Errorf("loaded %v, want one archive with %s", d.loaded, test.archive)
			}
			d.clean(h)
		})
	}
}

func equalRequests(a, b []daemon.DeviceRequest) bool {
	return slices.EqualFunc(a, b, func(a, b daemon.DeviceRequest) bool {
		return a.Driver == b.Driver && slices.Equal(a.DeviceIDs, b.DeviceIDs)
	})
}

// A sample's container is as shut as engine direct's.
func TestShut(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	var ran daemon.Container
	d.runs = func(c daemon.Container) observe.Seen { ran = c; return row(c) }
	h := d.open(docker.Options{})
	if _, _, err := h.Observe(t.Context(), subject(t, onDisk, sample(t, imagetest.Gzip)), nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	c := ran.HostConfig
	if c.NetworkMode != "none" || !slices.Equal(c.CapDrop, []string{"ALL"}) || !slices.Equal(c.SecurityOpt, []string{"no-new-privileges"}) || c.PidsLimit != 4915 || c.ShmSize != 1<<30 || c.LogConfig.Type != "none" || c.Tmpfs["/tmp"] == "" {
		t.Errorf("container %+v", c)
	}
	if ran.User != "0:0" || ran.WorkingDir != "/" || len(c.DeviceRequests) > 0 || !slices.Contains(ran.Env, "NVIDIA_VISIBLE_DEVICES=void") || !slices.Contains(ran.Env, "A=b") {
		t.Errorf("container %+v", ran)
	}
	d.clean(h)
}

// What goes wrong is an error or a row, as it is about the host or the image, and leaves nothing.
func TestFaults(t *testing.T) {
	t.Parallel()
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		at      string
		fault   http.HandlerFunc
		runs    func(daemon.Container) observe.Seen
		err     string
		problem string
	}{
		"load refused":        {at: "POST /images/load", fault: refuse(500, "no space left on device"), err: "does not load it: no space left on device"},
		"load fails late":     {at: "POST /images/load", fault: newStandIn(t).say(`{"errorDetail":{"message":"invalid tar header"}}`), err: "invalid tar header"},
		"another image":       {at: "GET /images/{name...}", fault: newStandIn(t).say(`{"Id":"sha256:00"}`), err: "has another image under that name: sha256:00"},
		"create refused":      {at: "POST /containers/create", fault: refuse(400, "unknown runtime"), err: "unknown runtime"},
		"no ID":               {at: "POST /containers/create", fault: newStandIn(t).say(`{}`), err: "without an ID"},
		"put refused":         {at: "PUT /containers/{id}/archive", fault: refuse(403, "read-only"), err: "put the observer into the container: read-only"},
		"not started":         {at: "POST /containers/{id}/start", fault: refuse(500, "exec format error"), problem: "start: exec format error"},
		"daemon dies":         {at: "POST /containers/{id}/start", fault: abort, err: "EOF"},
		"wait refused":        {at: "POST /containers/{id}/wait", fault: refuse(404, "No such container"), err: "No such container"},
		"out of memory":       {at: "GET /containers/{id}/json", fault: newStandIn(t).say(`{"State":{"OOMKilled":true}}`), runs: cut, problem: "OOMKilled"},
		"no row":              {runs: cut, err: "ended with code 137 and left no row"},
		"stopped":             {runs: func(c daemon.Container) observe.Seen { s := row(c, 0); s.Stopped = true; return s }, err: "somebody stopped"},
		"row gone":            {at: "GET /containers/{id}/archive", fault: refuse(404, "Could not find the file"), err: "left no row: Could not find the file"},
		"program not there":   {runs: func(c daemon.Container) observe.Seen { s := row(c, 0); s.Problem = "no such program"; return s }, problem: "no such program"},
		"another GPU":         {runs: func(c daemon.Container) observe.Seen { return row(c, 1) }, problem: "GPU GPU-1 (0000:01:00.0), which it was not given"},
		"removal refused":     {at: "DELETE /containers/{id}", fault: refuse(500, "device busy"), err: "device busy"},
		"a row from tomorrow": {runs: func(c daemon.Container) observe.Seen { s := row(c, 0); s.Version = 99; return s }, err: "is of version 99"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			if test.fault != nil {
				d.faults[test.at] = test.fault
			}
			if test.runs != nil {
				d.runs = test.runs
			}
			h := d.open(docker.Options{})
			gpus := []gpu.GPU{{Index: 0, UUID: "GPU-0", BusID: "0000:00:00.0"}}
			out, _, err := h.Observe(t.Context(), subject(t, onDisk, sample(t, imagetest.Gzip)), gpus, time.Minute)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || !strings.Contains(out.Problem, test.problem) {
				t.Errorf("Observe = %+v, %v, want %q, %q", out, err, test.problem, test.err)
			}
			if name != "removal refused" {
				d.clean(h)
			}
		})
	}
}

// cut is a row that the observer did not come to write.
func cut(daemon.Container) observe.Seen { return observe.Seen{} }

// A container whose making was answered with nothing is found at the end.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	d.faults["POST /containers/create"] = func(w http.ResponseWriter, r *http.Request) {
		d.create(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	h := d.open(docker.Options{})
	if _, _, err := h.Observe(t.Context(), subject(t, onDisk, sample(t, imagetest.Gzip)), nil, time.Minute); err == nil {
		t.Error("no error of an answer that was lost")
	}
	d.mu.Lock() // a connection that breaks tells nothing of what was done before
	made := len(d.containers)
	d.mu.Unlock()
	if made != 1 {
		t.Errorf("%d containers, want the one that nobody knows of", made)
	}
	d.clean(h)
}

// A container that hangs is ended after the limit and a minute, and one whose caller gives up at once.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	stop := errors.New("interrupted")
	for name, test := range map[string]struct {
		limit   time.Duration
		givesUp bool
		want    error
	}{
		"the caller":           {time.Minute, true, stop},
		"the time, 0.2 s here": {200*time.Millisecond - time.Minute, false, docker.ErrHangs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			d.faults["POST /containers/{id}/wait"] = func(_ http.ResponseWriter, r *http.Request) {
				if test.givesUp {
					cancel(stop)
				}
				<-r.Context().Done()
			}
			h := d.open(docker.Options{})
			if _, _, err := h.Observe(ctx, subject(t, onDisk, sample(t, imagetest.Gzip)), nil, test.limit); !errors.Is(err, test.want) {
				t.Errorf("Observe = %v, want %v", err, test.want)
			}
			d.clean(h)
		})
	}
}

func TestNoGPUs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ version, info, want, hint string }{
		"20.10":                     {docker20, `{}`, "docker 20.10.24 knows no CDI (25 does)", "install nvidia-container-toolkit"},
		"25 with CDI switched off":  {docker25, `{}`, "does not look for CDI specifications", "--cdi.enabled"},
		"29 without specifications": {docker29, `{"CDISpecDirs":["/etc/cdi","/run/cdi"]}`, "finds no device nvidia.com/gpu=* in /etc/cdi, /run/cdi", "nvidia-ctk cdi generate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			d.version, d.info = test.version, test.info
			h := d.open(docker.Options{})
			_, err := h.Look(t.Context(), onDisk, sample(t, imagetest.Gzip), false)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(hint.Of(err), test.hint) {
				t.Errorf("Look = %v (%s), want %q (%q)", err, hint.Of(err), test.want, test.hint)
			}
		})
	}
}

// A runtime that is asked for and not there is no other one: podman would start the program without GPUs.
func TestNoRuntime(t *testing.T) {
	t.Parallel()
	for version, todo := range map[string]string{docker20: "nvidia-ctk runtime configure", docker29: "nvidia-ctk runtime configure", podman4: "nvidia-ctk cdi generate"} {
		d := newStandIn(t)
		d.version = version
		h := d.open(docker.Options{Runtime: "nvidia"})
		if _, err := h.Attach(t.Context(), program(t), container.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}); err == nil || !strings.Contains(err.Error(), `has no runtime "nvidia", but runc`) || !strings.Contains(hint.Of(err), todo) {
			t.Errorf("Attach = %v (%s), want a hint of %s", err, hint.Of(err), todo)
		}
		d.clean(h)
	}
}

// What a daemon says of devices that it does not know goes with what to do.
func TestUnknownGPU(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	h := d.open(docker.Options{})
	p := program(t)
	p.GPUs = []string{"7"}
	if _, err := h.Attach(t.Context(), p, container.Streams{}); err == nil || !strings.Contains(err.Error(), "no device nvidia.com/gpu=7") || !strings.Contains(hint.Of(err), "0, GPU-1, all") {
		t.Errorf("Attach = %v (%s)", err, hint.Of(err))
	}
	d.clean(h)

	d = newStandIn(t)
	d.version = podman4
	d.faults["POST /containers/{id}/start"] = refuse(500, "unresolvable CDI devices nvidia.com/gpu=all")
	h = d.open(docker.Options{})
	if _, err := h.Look(t.Context(), onDisk, sample(t, imagetest.Gzip), false); err == nil || !strings.Contains(err.Error(), "unresolvable") || !strings.Contains(hint.Of(err), "nvidia-ctk cdi list") {
		t.Errorf("Look = %v (%s)", err, hint.Of(err))
	}
	d.clean(h)
}

// An observer that does not know its command line, exit code 2, is of another version.
func TestOlderObserver(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	d.runs = cut
	d.faults["GET /containers/{id}/json"] = d.say(`{"State":{"Status":"exited","ExitCode":2}}`)
	_, err := d.open(docker.Options{}).Look(t.Context(), onDisk, sample(t, imagetest.Gzip), false)
	if err == nil || !strings.Contains(err.Error(), "left no row") || !strings.Contains(hint.Of(err), "of another version than this program: 'make tools'") {
		t.Errorf("Look = %v (%s)", err, hint.Of(err))
	}
}

// Folders of this host go to a daemon of this host.
func TestVolumeElsewhere(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	h := d.open(docker.Options{})
	docker.Elsewhere(h, "daemon.example:2376")
	p := program(t)
	p.Open.Binds = []container.Bind{{Source: "/a", Target: "/b"}}
	if _, err := h.Attach(t.Context(), p, container.Streams{}); err == nil || !strings.Contains(err.Error(), "--volume /a") || !strings.Contains(hint.Of(err), "a daemon of this host") {
		t.Errorf("Attach = %v (%s)", err, hint.Of(err))
	}
}

func TestNoObserver(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	d.info = strings.Replace(withCDI, "x86_64", "riscv64", 1)
	_, err := d.open(docker.Options{}).Look(t.Context(), onDisk, sample(t, imagetest.Gzip), false)
	if err == nil || !strings.Contains(err.Error(), "observe-riscv64 is not in") {
		t.Errorf("Look = %v", err)
	}
}

// TestImages: an image comes once, and what was there before stays.
func TestImages(t *testing.T) {
	t.Parallel()
	img := sample(t, imagetest.Zstd)
	config := configOf(t, img)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	remote := "127.0.0.1:1/cuda@" + digest.String()
	other := docker.Repository + ":00000000-1.7.7.99999999999.abcdefgh" // of another host
	for name, test := range map[string]struct {
		ref, version string
		there        map[string][]string // tags by ID
		pulled       string              // ID
		want         string              // error
		asked        string
		left         map[string][]string
	}{
		"pulled":                 {ref: remote, pulled: config, asked: "POST /images/create", left: map[string][]string{config: {remote}}},
		"pulled, new store":      {ref: remote, pulled: digest.String(), asked: "POST /images/create", left: map[string][]string{digest.String(): {remote}}},
		"not to be pulled":       {ref: remote, want: "docker 29.0.0 cannot pull it: manifest unknown", asked: "POST /images/create"},
		"zstd for docker 20.10":  {ref: remote, version: docker20, want: "docker 20.10.24 reads no zstd layers (docker 23 does)"},
		"there":                  {ref: onDisk, there: map[string][]string{config: {"mine:latest"}}, left: map[string][]string{config: {"mine:latest"}}},
		"there by its manifest":  {ref: onDisk, there: map[string][]string{digest.String(): nil}, left: map[string][]string{digest.String(): nil}},
		"streamed by another":    {ref: onDisk, there: map[string][]string{config: {other}}, asked: "POST /images/" + config + "/tag", left: map[string][]string{config: {other}}},
		"zstd to docker 20.10":   {ref: onDisk, version: docker20, asked: "POST /images/load"},
		"streamed to containerd": {ref: onDisk, asked: "POST /images/load"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			if test.version != "" {
				d.version, d.info = test.version, withRuntime
			}
			for id, tags := range test.there {
				d.images[id] = tags
			}
			d.pulled[remote] = test.pulled
			h := d.open(docker.Options{})
			var err error
			for range 2 {
				_, _, err = h.Observe(t.Context(), subject(t, test.ref, img), nil, time.Minute)
			}
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || hint.Of(err) == "") {
				t.Errorf("Observe = %v (%s), want %q", err, hint.Of(err), test.want)
			}
			asked := slices.DeleteFunc(slices.Clone(d.asked), func(r string) bool {
				return !strings.HasPrefix(r, "POST /images/")
			})
			if asked = slices.Compact(asked); test.asked == "" && len(asked) > 0 || test.asked != "" && !slices.Equal(asked, []string{test.asked}) {
				t.Errorf("asked %v, want %q", asked, test.asked)
			}
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if len(d.images) != len(test.left) {
				t.Errorf("left %v, want %v", d.images, test.left)
			}
			for id, tags := range test.left {
				if !slices.Equal(d.images[id], tags) {
					t.Errorf("left %v, want %v", d.images, test.left)
				}
			}
		})
	}
}

// TestCredentials: a daemon gets those for the registry, but not where others can read along.
func TestCredentials(t *testing.T) {
	t.Parallel()
	img := sample(t, imagetest.Gzip)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	remote := "registry.example/cuda@" + digest.String()
	keys := keychain{&authn.Basic{Username: "me", Password: "secret"}}
	for name, host := range map[string]string{"socket": "", "tcp": "daemon.example:2375"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			d.pulled[remote] = configOf(t, img)
			got := ""
			d.faults["POST /images/create"] = func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("X-Registry-Auth")
				d.pull(w, r)
			}
			h := d.open(docker.Options{Registry: registry.Options{Keychain: keys}})
			if host != "" {
				docker.Elsewhere(h, host)
			}
			_, _, err := h.Observe(t.Context(), subject(t, remote, img), nil, time.Minute)
			if host == "" && (err != nil || got == "") || host != "" && (err == nil || got != "" || !strings.Contains(err.Error(), "would go to docker at tcp://daemon.example:2375 (a test) unencrypted")) {
				t.Errorf("Observe = %v, with credentials %q", err, got)
			}
		})
	}
}

type keychain struct{ authn.Authenticator }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }

// TestSweep: what a client that was killed has left is gone after the next one has begun; what others use, and
// what is nobody's of ours, stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	killed := exec.CommandContext(t.Context(), "true")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	mine := docker.NewMark(time.Time{})
	parts := strings.Split(mine, ".")
	with := func(i int, value string) string {
		changed := slices.Clone(parts)
		changed[i] = value
		return strings.Join(changed, ".")
	}
	_ = killed.Wait()
	d := newStandIn(t)
	for id, mark := range map[string]string{
		"dead":        with(1, "999999999"),
		"another":     with(2, "1"), // its number is somebody else's now
		"overdue":     strings.Replace(with(0, "00000000-2"), ".0.", ".1.", 1),
		"alive":       mine,
		"elsewhere":   with(0, "00000000-1"),
		"not a mark":  "../../etc",
		"in the time": strings.Replace(with(0, "00000000-1"), ".0.", ".99999999999.", 1),
	} {
		d.containers[id] = &made{Container: daemon.Container{Labels: map[string]string{docker.Label: mark}}}
		d.images["sha256:"+id] = []string{docker.Repository + ":" + mark, "kept:" + id}
	}
	d.open(docker.Options{})
	for _, id := range []string{"dead", "another", "overdue"} {
		if d.containers[id] != nil || len(d.images["sha256:"+id]) != 1 {
			t.Errorf("%s stays: %v", id, d.images["sha256:"+id])
		}
	}
	for _, id := range []string{"alive", "elsewhere", "not a mark", "in the time"} {
		if d.containers[id] == nil || len(d.images["sha256:"+id]) != 2 {
			t.Errorf("%s is gone", id)
		}
	}
}

func TestSweepRefused(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	d.faults["GET /images/json"] = refuse(500, "store is locked")
	if _, err := docker.Open(t.Context(), d.serve(), docker.Options{}); err == nil || !strings.Contains(err.Error(), "store is locked") {
		t.Errorf("Open = %v", err)
	}
}

func program(t *testing.T) docker.Program {
	return docker.Program{Ref: onDisk, Image: sample(t, imagetest.Gzip), Args: []string{"cat", "-u"}, Env: []string{"A=b"}, GPUs: []string{"0", "all"}}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	d.info = withRuntime
	var asked *made
	d.faults["POST /containers/{id}/start"] = func(_ http.ResponseWriter, r *http.Request) { asked = d.containers[r.PathValue("id")] }
	h := d.open(docker.Options{Runtime: "nvidia"})
	p := program(t)
	p.Open = container.Open{Dir: "/w", User: "app", Network: true, HostIPC: true, ShmBytes: 5, Binds: []container.Bind{{Source: "/a:z", Target: "/b", ReadOnly: true}}}
	p.Bounds = container.Bounds{Memory: 7, Ulimits: []container.Ulimit{{Name: "memlock", Soft: -1, Hard: -1}}}
	var out, errs bytes.Buffer
	code, err := h.Attach(t.Context(), p, container.Streams{In: strings.NewReader("said"), Out: &out, Err: &errs})
	if err != nil || code != 7 || out.String() != "said" || errs.String() != "done" {
		t.Errorf("Attach = %d, %v, %q, %q", code, err, &out, &errs)
	}
	c := asked.HostConfig
	if !slices.Equal(asked.Entrypoint, []string{"cat"}) || !slices.Equal(asked.Cmd, []string{"-u"}) || asked.User != "app" || asked.WorkingDir != "/w" || !slices.Contains(asked.Env, "NVIDIA_VISIBLE_DEVICES=0,all") ||
		c.NetworkMode != "host" || c.IpcMode != "host" || c.ShmSize != 5 || !slices.Equal(c.Mounts, []daemon.Mount{{Type: "bind", Source: "/a:z", Target: "/b", ReadOnly: true}}) || c.Memory != 7 || len(c.Ulimits) != 1 || c.Runtime != "nvidia" {
		t.Errorf("container %+v", asked.Container)
	}
	d.clean(h)
}

// TestSignals: a program gets signals; one that takes no notice is ended by the third.
func TestSignals(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	var asked *made
	d.faults["POST /containers/{id}/start"] = func(_ http.ResponseWriter, r *http.Request) { asked = d.containers[r.PathValue("id")] }
	h := d.open(docker.Options{})
	signals := make(chan os.Signal, 4)
	for _, s := range []os.Signal{unix.SIGUSR1, unix.SIGWINCH, unix.SIGTERM, os.Interrupt, unix.SIGTERM}[:4] {
		signals <- s
	}
	go func() { signals <- unix.SIGTERM }()
	code, err := h.Attach(t.Context(), program(t), container.Streams{Out: io.Discard, Err: io.Discard, Signals: signals})
	if err != nil || code != 137 || !slices.Equal(asked.kills, []string{"10", "15", "2", "9"}) {
		t.Errorf("Attach = %d, %v after signals %v", code, err, asked.kills)
	}
	d.clean(h)
}

func TestAttachFaults(t *testing.T) {
	t.Parallel()
	hang := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\n\r\n\x01\x00\x00")
			_ = conn.Close()
		}
	}
	id := strings.Repeat("0e98f", 13)[:64]
	ended := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"StatusCode":0}`) }
	for name, test := range map[string]struct {
		faults map[string]http.HandlerFunc
		want   string
	}{
		"not attached": {map[string]http.HandlerFunc{"POST /containers/{id}/attach": refuse(409, "is paused")}, "start: is paused"},
		"not started":  {map[string]http.HandlerFunc{"POST /containers/{id}/start": refuse(404, `runc create failed: exec: "cat": executable file not found in $PATH: unknown`)}, `start: "cat": not found in the image's PATH`},
		"podman's words": {
			map[string]http.HandlerFunc{"POST /containers/{id}/attach": refuse(500, "preparing container "+id+" for attach: runc: runc create failed: exec: \"cat\": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found")},
			`start: "cat": not found in the image's PATH`,
		},
		"podman's folder": {map[string]http.HandlerFunc{"POST /containers/{id}/attach": refuse(500, `preparing container `+id+` for attach: workdir "/etc/passwd" exists on container `+id+`, but is not a directory`)}, `start: workdir "/etc/passwd" exists, but is not a directory`},
		"daemon restarts": {map[string]http.HandlerFunc{"POST /containers/{id}/attach": hang, "POST /containers/{id}/wait": once(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, newStandIn(t).say(`{"StatusCode":255}`))}, "the daemon went away while the program ran: it is back, and says that the program ended with code 255"},
		"output is cut":   {map[string]http.HandlerFunc{"POST /containers/{id}/attach": hang, "POST /containers/{id}/wait": ended}, "output was cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			d.faults = test.faults
			h := d.open(docker.Options{})
			_, err := h.Attach(t.Context(), program(t), container.Streams{Out: io.Discard, Err: io.Discard})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Attach = %v, want %q", err, test.want)
			}
			d.clean(h)
		})
	}
}

// once answers the first request in another way than those after it.
func once(first, then http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) {
		if asked.CompareAndSwap(false, true) {
			first(w, r)
		}
		then(w, r)
	}
}

func FuzzMark(f *testing.F) {
	f.Add(docker.NewMark(time.Time{}))
	f.Add("4f5e9c01-4026531836.1.2.3.abcdefgh")
	f.Fuzz(func(t *testing.T, text string) {
		if ok, abandoned := docker.Abandoned(text, time.Unix(0, 0)); abandoned && (!ok || strings.ContainsAny(text, "/: ")) {
			t.Errorf("%q is a mark", text)
		}
	})
}
