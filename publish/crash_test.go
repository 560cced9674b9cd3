// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/sign"
	"github.com/cudabuild/cudabuild/verify"
)

// childVariable makes this program publish what a file says, in place of running tests.
const childVariable = "CUDABUILD_TEST_PUBLISH"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		if err := publishChild(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// order is what a child is to publish.
type order struct {
	To, ID, Dir string
	Cells       []matrix.Cell
	Rules       matrix.Publish
	Key         []byte // in PEM, nil signs nothing
}

// me is the login of [registrytest.Tokens].
type me struct{}

func (me) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: registrytest.User, Password: registrytest.Password}), nil
}

// publishChild publishes, or goes on where a child before it was killed.
func publishChild(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var do order
	if err := json.Unmarshal(data, &do); err != nil {
		return err
	}
	o := publish.Options{To: do.To, Cells: do.Cells, Rules: do.Rules, ID: do.ID, Journals: filepath.Join(filepath.Dir(file), "push"), Inventory: verify.New(verify.Options{}).Inventory}
	o.Registry.Keychain = me{}
	if do.Key != nil {
		if o.Key, err = sign.Load(do.Key, nil); err != nil {
			return err
		}
	}
	if o.Record, err = record.Read(filepath.Join(do.Dir, "run.json")); err != nil {
		return err
	}
	if o.Images, err = image.OpenLayout(filepath.Join(do.Dir, "images")); err != nil {
		return err
	}
	p, err := publish.New(context.Background(), o)
	if err != nil {
		return err
	}
	if j, err := publish.ReadJournal(o.Journals, do.ID); err == nil {
		if err := p.Resume(j); err != nil {
			return err
		}
	}
	_, err = p.Run(context.Background(), nil)
	return err
}

// crash is a registry in which a family stands, and another that is to take its place.
type crash struct {
	registry *registrytest.Registry
	old, new family
	key      []byte // that signs the new one, in PEM; nil if none does
}

// TestCrash kills a push before and after each of its requests (`make kills`; else 12 of them). No tag but staging ones ever
// names what was not read back and let through; what goes on ends as if nothing had been. Every other push signs.
func TestCrash(t *testing.T) {
	t.Parallel()
	tokens := registrytest.NewTokens(t)
	c := crash{registry: registrytest.Start(t, tokens), old: newFamily(t, made{seed: 1, day: 1}), new: newFamily(t, made{seed: 2, day: 2})}
	o := c.old.options(c.registry.Host + "/template")
	o.Registry.Keychain = me{}
	mustRun(t, publisher(t, o), nil)

	proxy := registrytest.Proxy(t, c.registry.Host)
	if err := c.child(t, proxy, "undisturbed", t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	points, want := len(proxy.Requests()), c.stands(t, "undisturbed")
	sent, _ := proxy.Blobs()
	t.Logf("%d requests, %d bytes of blobs", points, sent)
	proxy.Forget()
	signs := c
	signs.key = newPEM(t)
	if err := signs.child(t, proxy, "signed", t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	wantSigned := signs.stands(t, "signed")
	sentSigned, _ := proxy.Blobs()
	if points < 100 || sent == 0 || len(want) < 40 {
		t.Fatalf("%d requests, %d bytes sent, %d files in the registry: too few to prove anything", points, sent, len(want))
	}
	slots := make(chan struct{}, 6)
	var wait sync.WaitGroup
	every := max(1, points/12)
	if require.Whole("kills") {
		every = 1
	}
	for point := 0; point < points; point += every {
		c, want, sent := c, want, sent
		if point/every%2 == 1 {
			c, want, sent = signs, wantSigned, sentSigned
		}
		for _, side := range []string{"before", "after"} {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				c.kill(t, point, side, want, sent)
			})
		}
	}
	wait.Wait()
}

// kill kills a push at one point and lets another go on.
func (c crash) kill(t *testing.T, point int, side string, want []string, undisturbed int64) {
	name, dir := fmt.Sprintf("%s-%d", side, point), t.TempDir()
	proxy := registrytest.Proxy(t, c.registry.Host)
	running := make(chan *os.Process, 1)
	hook := func(n int, _ *http.Request) registrytest.Fault {
		if n == point {
			process := <-running
			_ = process.Signal(syscall.SIGKILL)
			return registrytest.Fault{Reset: true}
		}
		return registrytest.Fault{}
	}
	if side == "before" {
		proxy.Arm(hook, nil)
	} else {
		proxy.Arm(nil, hook)
	}
	killed := c.child(t, proxy, name, dir, running)
	var exit *exec.ExitError
	if killed != nil && (!errors.As(killed, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) { // a run may need fewer requests than another
		t.Errorf("%s: %v", name, killed)
		return
	}
	first, _ := proxy.Blobs()
	before := proxy.Requests()
	inFlight := unrecorded(t, before, filepath.Join(dir, "push"))
	c.sound(t, name, dir)
	proxy.Arm(nil, nil)
	proxy.Forget()
	if err := c.child(t, proxy, name, dir, nil); err != nil && killed != nil {
		t.Errorf("%s: going on: %v", name, err)
		return
	}
	if diff := cmp.Diff(want, c.stands(t, name)); diff != "" {
		t.Errorf("%s: the registry (-undisturbed +got):\n%s", name, diff)
	}
	second, _ := proxy.Blobs()
	if all := first + second; float64(all) > 1.05*float64(undisturbed)+float64(inFlight) {
		t.Errorf("%s: %d bytes of blobs were sent, undisturbed %d, in flight %d\n%s\ngoing on:\n%s", name, all, undisturbed, inFlight, uploads(before), uploads(proxy.Requests()))
	}
}

// stands lists what is in a repository. Evidence has the repository's name in it, and so another
// digest in each: of that stands the kind, once for each artifact.
func (c crash) stands(t *testing.T, name string) (all []string) {
	t.Helper()
	ours := map[string]bool{}
	for _, f := range []family{c.old, c.new} {
		blobs, err := os.ReadDir(filepath.Join(f.dir, "images/blobs/sha256"))
		if err != nil {
			t.Error(err)
		}
		for _, b := range blobs {
			ours[b.Name()] = true
		}
	}
	for _, line := range c.registry.Stands(t, name) {
		file, link, _ := strings.Cut(line, " sha256:")
		switch {
		case ours[link]:
			all = append(all, line)
		case strings.Contains(file, "/tags/"):
			all = append(all, file)
		}
	}
	for _, cell := range c.new.record.Cells {
		r, err := c.look(t, name, cell.Digest)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, img := range r.Images {
			for _, d := range img.Documents {
				all = append(all, fmt.Sprintf("%s %s %s", img.Digest, d.Kind, d.State))
			}
		}
	}
	slices.Sort(all)
	return all
}

// look reads the evidence of an image.
func (c crash) look(t *testing.T, repo, digest string) (attest.Report, error) {
	o := attest.Options{}
	o.Registry.Keychain = me{}
	if c.key != nil {
		key, err := sign.Load(c.key, nil)
		if err != nil {
			return attest.Report{}, err
		}
		public := key.Public()
		o.Key = &public
	}
	return attest.Look(t.Context(), c.registry.Host+"/"+repo+"@"+digest, o)
}

// unrecorded are the bytes of blobs that were sent when a push was killed and that its journal does not have: the
// registry had not taken them, or the journal was being written.
func unrecorded(t *testing.T, requests []registrytest.Request, journals string) (sent int64) {
	recorded := ""
	files, _ := filepath.Glob(filepath.Join(journals, "*"))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			recorded += string(text)
		}
	}
	digests := map[string]string{} // by the path of the upload
	for _, r := range requests {
		if query, err := url.ParseQuery(r.Query); err == nil && r.Method == http.MethodPut && query.Get("digest") != "" {
			digests[r.Path] = `"what":"uploaded","digest":"` + query.Get("digest") + `"`
		}
	}
	for _, r := range requests {
		if r.Method == http.MethodPatch && (digests[r.Path] == "" || !strings.Contains(recorded, digests[r.Path])) {
			sent += r.Sent
		}
	}
	return sent
}

// uploads are the requests about blobs, a line each.
func uploads(requests []registrytest.Request) string {
	var lines []string
	for i, r := range requests {
		if strings.Contains(r.Path, "/blobs/") {
			lines = append(lines, fmt.Sprintf("%3d %s %s?%s: %d bytes, status %d", i, r.Method, path.Base(r.Path), r.Query, r.Sent, r.Status))
		}
	}
	return strings.Join(lines, "\n")
}

// child publishes the new family into a repository in which the old one stands, in a process
// of its own that is handed to running.
func (c crash) child(t *testing.T, proxy *registrytest.Server, repo, dir string, running chan<- *os.Process) error {
	if err := c.prepare(repo); err != nil {
		return err
	}
	data, err := json.Marshal(order{To: proxy.Host + "/" + repo, ID: "crash", Dir: c.new.dir, Cells: c.new.cells, Rules: c.new.matrix.Publish(), Key: c.key})
	file := filepath.Join(dir, "order.json")
	if err := errors.Join(err, os.WriteFile(file, data, 0o600)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childVariable+"="+file)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	if running != nil {
		running <- cmd.Process
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// prepare gives a repository what the template has, if there is no such repository.
func (c crash) prepare(name string) error {
	if _, err := os.Stat(c.registry.Repository(name)); err == nil {
		return nil
	}
	return os.CopyFS(c.registry.Repository(name), os.DirFS(c.registry.Repository("template")))
}

// sound makes sure that every tag names an image of one of the families that is all there, and
// one of the new family only once the journal says that it was let through.
func (c crash) sound(t *testing.T, name, dir string) {
	t.Helper()
	gated := map[string]bool{}
	if j, err := publish.ReadJournal(filepath.Join(dir, "push"), "crash"); err == nil {
		for _, e := range j.Entries {
			if e.What == "gated" {
				gated[e.Digest] = true
			}
		}
	}
	old, fresh := c.old.tags(), c.new.tags()
	stands := strings.Join(c.registry.Stands(t, name), "\n")
	for tag := range old {
		link, err := os.ReadFile(filepath.Join(c.registry.Repository(name), "_manifests/tags", tag, "current/link"))
		switch digest := string(link); {
		case err != nil:
			t.Errorf("%s: tag %s: %v", name, tag, err)
		case digest == old[tag]:
		case digest != fresh[tag]:
			t.Errorf("%s: tag %s names %s, which is of neither run", name, tag, digest)
		case !gated[digest]:
			t.Errorf("%s: tag %s names %s, which was not let through", name, tag, digest)
		default:
			for _, part := range c.new.parts(t, digest) {
				if !strings.Contains(stands, part) {
					t.Errorf("%s: tag %s names an image without its %s", name, tag, part)
				}
			}
			if r, err := c.look(t, name, digest); err != nil || r.State != attest.Valid {
				t.Errorf("%s: tag %s names an image without its evidence: %+v, %v", name, tag, r, err)
			}
		}
	}
	if entries, err := os.ReadDir(filepath.Join(c.registry.Repository(name), "_manifests/tags")); err != nil || len(entries) < len(old) {
		t.Errorf("%s: %d tags, %v", name, len(entries), err)
	} else {
		for _, e := range entries {
			if _, known := old[e.Name()]; !known && !strings.HasPrefix(e.Name(), "staging-crash-") && !strings.HasPrefix(e.Name(), "sha256-") {
				t.Errorf("%s: tag %s", name, e.Name())
			}
		}
	}
}

// parts are the digests of all that an image is made of, by their hex.
func (f family) parts(t *testing.T, digest string) (all []string) {
	t.Helper()
	for _, cell := range f.record.Cells {
		if cell.Digest != digest {
			continue
		}
		desc, err := f.images.Find(cell.ID)
		if err != nil {
			t.Error(err)
		}
		blobs, err := f.images.Blobs(t.Context(), desc)
		if err != nil {
			t.Error(err)
		}
		for _, b := range blobs {
			all = append(all, b.Digest.Encoded())
		}
	}
	return all
}
