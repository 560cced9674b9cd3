// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// host is a registry in memory that counts requests and can do something before one.
type host struct {
	address string

	mu     sync.Mutex
	seen   []string // METHOD PATH
	before func(method, path string)
}

func newHost(tb testing.TB) *host {
	tb.Helper()
	h := &host{}
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // what it wants
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.seen = append(h.seen, r.Method+" "+r.URL.Path)
		before := h.before
		h.mu.Unlock()
		if before != nil {
			before(r.Method, r.URL.Path)
		}
		inner.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	h.address = strings.TrimPrefix(server.URL, "http://")
	return h
}

// sent counts requests whose line begins so, and forgets all.
func (h *host) sent(prefix string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.seen {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	h.seen = nil
	return n
}

func (h *host) on(do func(method, path string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = do
}

// tagsIn returns the tags of a repository with their digests, without those of lists of evidence.
func tagsIn(tb testing.TB, repository string) map[string]string {
	tb.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{}
	list, err := remote.List(repo)
	if err != nil {
		return all // no such repository
	}
	for _, tag := range list {
		if strings.HasPrefix(tag, "sha256-") {
			continue
		}
		desc, err := remote.Head(repo.Tag(tag))
		if err != nil {
			tb.Fatalf("tag %s: %v", tag, err)
		}
		all[tag] = desc.Digest.String()
	}
	return all
}

func mustRun(tb testing.TB, p *publish.Publisher, want *publish.Plan) *publish.Result {
	tb.Helper()
	result, err := p.Run(tb.Context(), want)
	if err != nil {
		tb.Fatalf("Run: %v", err)
	}
	return result
}

func sameTags(tb testing.TB, repository string, want map[string]string) {
	tb.Helper()
	if diff := cmp.Diff(want, tagsIn(tb, repository)); diff != "" {
		tb.Errorf("tags of %s (-want +got):\n%s", repository, diff)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	to := h.address + "/team/cuda"
	result := mustRun(t, publisher(t, f.options(to)), nil)
	sameTags(t, to, f.tags())
	var phases []string
	for _, p := range result.Phases {
		phases = append(phases, p.Name)
		if p.Reason != "" || p.Done != p.Of || p.Bytes != p.OfBytes {
			t.Errorf("phase %+v is not at its end", p)
		}
	}
	if diff := cmp.Diff([]string{"preflight", "upload", "read back", "gate", "attach", "promote"}, phases); diff != "" {
		t.Error(diff)
	}
	if result.Plan.Totals.New != len(f.tags()) || result.Plan.Totals.UploadBytes != result.Plan.Totals.Bytes {
		t.Errorf("totals %+v", result.Plan.Totals)
	}
	h.sent("")
	result = mustRun(t, publisher(t, f.options(to)), nil)
	if n := h.sent("PATCH ") + h.sent("PUT "); n > 0 || result.Plan.Totals.Same != len(f.tags()) || result.Plan.Totals.UploadBytes > 0 {
		t.Errorf("a second push wrote %d times, totals %+v", n, result.Plan.Totals)
	}
}

// TestMount: another repository of the registry has the blobs already. The registry in memory
// has one store for all repositories.
func TestMount(t *testing.T) {
	t.Parallel()
	r, f := registrytest.Start(t, nil), newFamily(t, made{seed: 1, day: 1})
	mustRun(t, publisher(t, f.options(r.Host+"/team/cuda")), nil)
	proxy := registrytest.Proxy(t, r.Host)
	o := f.options(proxy.Host + "/other/cuda")
	o.Journals, o.NoEvidence = t.TempDir(), true // evidence is small, and of its own in each repository
	mustRun(t, publisher(t, o), nil)             // the proxy is another registry: nothing to mount
	o.To = proxy.Host + "/third/cuda"
	o.ID = publish.NewRunID()
	proxy.Forget()
	result := mustRun(t, publisher(t, o), nil)
	sent, _ := proxy.Blobs()
	if totals := result.Plan.Totals; totals.MountBytes != totals.Bytes || totals.UploadBytes != 0 || sent != 0 {
		t.Errorf("totals %+v, %d bytes sent, want all mounted", totals, sent)
	}
	sameTags(t, o.To, f.tags())
}

func TestRefusedTags(t *testing.T) {
	t.Parallel()
	const immutable = "publish: {immutable: [\"12.4-*\"]}\n"
	for _, tc := range []struct {
		name      string
		old, new  made
		change    func(*publish.Options)
		want      string // in the error; "" passes
		oldTweaks func(*family)
	}{
		{name: "immutable", old: made{seed: 1, day: 1}, new: made{seed: 2, day: 2, extra: immutable}, want: `"12.4-*" in publish.immutable`},
		{name: "immutable and the same", old: made{seed: 1, day: 1}, new: made{seed: 1, day: 1, extra: immutable}},
		{name: "older", old: made{seed: 1, day: 2}, new: made{seed: 2, day: 1}, want: "--older moves it"},
		{name: "older, asked for", old: made{seed: 1, day: 2}, new: made{seed: 2, day: 1}, change: func(o *publish.Options) { o.Older = true }},
		{name: "newer", old: made{seed: 1, day: 1}, new: made{seed: 2, day: 2}},
		{name: "fewer platforms", old: made{seed: 1, day: 1}, new: made{seed: 2, day: 2}, oldTweaks: func(f *family) { f.swap("12.4.1-base-ubuntu22.04", "12.4-base-debian13") }, want: "[linux/arm64] too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			to := h.address + "/cuda"
			old, f := newFamily(t, tc.old), newFamily(t, tc.new)
			if tc.oldTweaks != nil {
				tc.oldTweaks(&old)
			}
			mustRun(t, publisher(t, old.options(to)), nil)
			before := tagsIn(t, to)
			h.sent("")
			o := f.options(to)
			if tc.change != nil {
				tc.change(&o)
			}
			_, err := publisher(t, o).Run(t.Context(), nil)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				sameTags(t, to, f.tags())
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || hint.Code(err, 3) != 1 {
				t.Errorf("Run: %v (code %d), want one with %q and code 1", err, hint.Code(err, 3), tc.want)
			}
			if n := h.sent("PUT "); n > 0 {
				t.Errorf("%d requests PUT before it was refused", n)
			}
			sameTags(t, to, before)
		})
	}
}

// swap gives one cell the image of another.
func (f *family) swap(from, to string) {
	byID := map[string]*record.Cell{}
	for i := range f.record.Cells {
		byID[f.record.Cells[i].ID] = &f.record.Cells[i]
	}
	byID[to].Digest, byID[to].Images = byID[from].Digest, byID[from].Images
	path := filepath.Join(f.dir, "images", "index.json")
	index, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	index = bytes.ReplaceAll(index, []byte(`"`+to+`"`), []byte(`"gone"`))
	index = bytes.ReplaceAll(index, []byte(`"`+from+`"`), []byte(`"`+to+`"`))
	index = bytes.ReplaceAll(index, []byte(":"+to+`"`), []byte(`:gone"`))
	index = bytes.ReplaceAll(index, []byte(":"+from+`"`), []byte(":"+to+`"`))
	if err := os.WriteFile(path, index, 0o600); err != nil {
		panic(err)
	}
	for i, c := range f.cells {
		if c.ID == to {
			f.cells = f.cells[i : i+1]
			return
		}
	}
}

// TestForeignMove: somebody else moves a tag while we do.
func TestForeignMove(t *testing.T) {
	t.Parallel()
	h, old, f := newHost(t), newFamily(t, made{seed: 1, day: 1}), newFamily(t, made{seed: 2, day: 2})
	to := h.address + "/cuda"
	mustRun(t, publisher(t, old.options(to)), nil)
	repo, err := name.NewRepository(to)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := remote.Get(repo.Tag("12.4-nbody"))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	h.on(func(method, path string) {
		if method == http.MethodPut && strings.HasSuffix(path, "/manifests/12.4-base-debian13") {
			once.Do(func() {
				if err := remote.Tag(repo.Tag("latest"), theirs); err != nil {
					t.Error(err)
				}
			})
		}
	})
	p := publisher(t, f.options(to))
	_, err = p.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "tag latest") || !strings.Contains(err.Error(), "somebody else moved it") || hint.Code(err, 3) != 1 {
		t.Fatalf("Run: %v, want the foreign move of latest", err)
	}
	if got := tagsIn(t, to)["latest"]; got != theirs.Digest.String() {
		t.Errorf("latest names %s, and somebody else moved it to %s", got, theirs.Digest)
	}
	// Going on says so, too; undoing puts back what was moved and leaves theirs.
	j, err := publish.ReadJournal(filepath.Join(f.dir, "push"), "")
	if err != nil {
		t.Fatal(err)
	}
	o := f.options(to)
	o.ID = j.Run
	again := publisher(t, o)
	if err := again.Resume(j); err != nil {
		t.Fatal(err)
	}
	if _, err = again.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "by somebody else since") {
		t.Errorf("Resume: %v", err)
	}
	if undone, err := publisher(t, o).Undo(t.Context(), j); err != nil && (len(undone.Left) != 1 || !strings.HasPrefix(undone.Left[0], "latest: somebody else")) {
		t.Errorf("Undo: %v, %v", undone, err)
	}
	want := old.tags()
	want["latest"] = theirs.Digest.String()
	sameTags(t, to, want)
}

// TestAmbiguous: of what a tag names tools read different things, so nobody can say whether it
// is older; it is no artifact, which has no age.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	to := h.address + "/cuda"
	repo, err := name.NewRepository(to)
	if err != nil {
		t.Fatal(err)
	}
	twice := strange(`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {}, "layers": [], "layers": []}`)
	if err := remote.Put(repo.Tag("latest"), twice); err != nil {
		t.Fatal(err)
	}
	_, err = publisher(t, f.options(to)).Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "tag latest names sha256:") || !strings.Contains(err.Error(), `"layers" twice`) {
		t.Errorf("Run: %v, want an error about what latest names", err)
	}
	o := f.options(to)
	o.Older, o.FewerPlatforms = true, true
	mustRun(t, publisher(t, o), nil)
	sameTags(t, to, f.tags())
}

// strange is a manifest as it is.
type strange string

func (s strange) RawManifest() ([]byte, error)        { return []byte(s), nil }
func (s strange) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// TestPlanFile: what was planned is done, or nothing.
func TestPlanFile(t *testing.T) {
	t.Parallel()
	h, old, f := newHost(t), newFamily(t, made{seed: 1, day: 1}), newFamily(t, made{seed: 2, day: 2})
	to := h.address + "/cuda"
	plan, err := publisher(t, f.options(to)).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tagsIn(t, to)) > 0 || h.sent("POST ") > 0 {
		t.Error("planning wrote into the repository")
	}
	mustRun(t, publisher(t, old.options(to)), nil)
	_, err = publisher(t, f.options(to)).Run(t.Context(), plan)
	if err == nil || !strings.Contains(err.Error(), "tag latest named nothing and names sha256:") || hint.Code(err, 3) != 1 {
		t.Errorf("Run: %v, want that the world has moved", err)
	}
	sameTags(t, to, old.tags())
	if plan, err = publisher(t, f.options(to)).Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, publisher(t, f.options(to)), plan)
	sameTags(t, to, f.tags())
}

// TestStaged: one run stages, another one without images on disk promotes.
func TestStaged(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	to := h.address + "/cuda"
	o := f.options(to)
	o.ID, o.StageOnly = "42.1", true
	mustRun(t, publisher(t, o), nil)
	staged := map[string]string{}
	for i, c := range f.cells {
		staged["staging-42.1-"+c.ID] = f.record.Cells[i].Digest
	}
	sameTags(t, to, staged)
	o.StageOnly, o.Images, o.Journals = false, nil, t.TempDir()
	mustRun(t, publisher(t, o), nil)
	sameTags(t, to, f.tags())

	o.ID = "43.1"
	other := newFamily(t, made{seed: 2, day: 2})
	o.Record = other.record
	var missing *publish.NotReadyError
	if _, err := publisher(t, o).Run(t.Context(), nil); !errors.As(err, &missing) || !strings.Contains(err.Error(), "no tag staging-43.1-") {
		t.Errorf("Run: %v, want that nothing is staged", err)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	h, old, f := newHost(t), newFamily(t, made{seed: 1, day: 1}), newFamily(t, made{seed: 2, day: 2})
	to := h.address + "/cuda"
	some := old.options(to)
	some.Cells = old.cells[:2]
	mustRun(t, publisher(t, some), nil)
	before := tagsIn(t, to)
	p := publisher(t, f.options(to))
	mustRun(t, p, nil)
	j, err := publish.ReadJournal(filepath.Join(f.dir, "push"), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publisher(t, f.options(to)).Abandon(t.Context(), j); err == nil || hint.Code(err, 3) != 1 {
		t.Errorf("Abandon of a run that has moved tags: %v", err)
	}
	undone, err := publisher(t, f.options(to)).Undo(t.Context(), j)
	if err != nil || len(undone.Back) != len(f.tags()) {
		t.Errorf("Undo: %v, %v", undone, err)
	}
	sameTags(t, to, before)
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tc := range map[string]struct {
		change func(*family)
		want   string
	}{
		"failed":      {func(f *family) { f.record.Cells[1].Status, f.record.Cells[1].Reason = record.Failed, "nvcc: no" }, "it failed: nvcc: no"},
		"not built":   {func(f *family) { f.record.Cells = f.record.Cells[:2] }, "no run has built it"},
		"other image": {func(f *family) { f.record.Cells[1].Digest = f.record.Cells[0].Digest }, "under its tag, and the record"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFamily(t, made{seed: 1, day: 1})
			tc.change(&f)
			_, err := publisher(t, f.options(h.address+"/"+strings.ReplaceAll(name, " ", "-"))).Run(t.Context(), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || hint.Code(err, 3) != 1 || hint.Of(err) == "" {
				t.Errorf("Run: %v, hint %q, want one with %q", err, hint.Of(err), tc.want)
			}
		})
	}
}

func row(f family, cell, sample, driver, capability string, result gpu.Result, at int) gpu.Observation {
	var digest string
	for _, c := range f.record.Cells {
		if c.ID == cell {
			digest = c.Images[0].Digest
		}
	}
	return gpu.Observation{
		Host: gpu.Host{Driver: driver, GPUs: []gpu.GPU{{UUID: "GPU-1", Name: "stand-in", Capability: capability}}},
		Row:  gpu.Row{Digest: digest, Sample: sample, Devices: []string{"GPU-1"}, Result: result, Started: time.Unix(int64(at), 0)},
	}
}

func TestGates(t *testing.T) {
	t.Parallel()
	const want = "publish: {require: {verify: pass, gpu: [{driver: \">=535 <590\", gpu: [sm_90], samples: [nbody]}]}}\n"
	all := func(f family) []gpu.Observation {
		return []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Passed, 1)}
	}
	for name, tc := range map[string]struct {
		rows   func(family) []gpu.Observation
		change func(*family)
		code   int
		want   string // in the error
	}{
		"met":    {rows: all},
		"no row": {code: 3, want: "cudabuild gpu "},
		"other driver": {rows: func(f family) []gpu.Observation {
			return []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "525.1", "9.0", gpu.Passed, 1)}
		}, code: 3, want: "no row"},
		"other GPU": {rows: func(f family) []gpu.Observation {
			return []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "580.1", "8.0", gpu.Passed, 1)}
		}, code: 3, want: "no row"},
		"other image": {rows: func(f family) []gpu.Observation {
			return []gpu.Observation{row(f, "12.4-deviceQuery-debian13", "nbody", "580.1", "9.0", gpu.Passed, 1)}
		}, code: 3, want: "no row"},
		"stand-in": {rows: func(f family) []gpu.Observation {
			o := all(f)
			o[0].Row.StandIn = true
			return o
		}, code: 3, want: "no row"},
		"failed since": {rows: func(f family) []gpu.Observation {
			failed := row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Failed, 2)
			failed.Row.Reason = "exit code 1\n  bad\n"
			return append(all(f), failed)
		}, code: 1, want: "fail on stand-in, driver 580.1, 1970-01-01, image sha256:"},
		"passed since": {rows: func(f family) []gpu.Observation {
			return append(all(f), row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Failed, 0))
		}},
		"another node of a fleet": {rows: func(f family) []gpu.Observation { // whose GPUs the ledger has
			o := all(f)
			o[0].Row.Devices, o[0].Row.Asked = []string{"GPU-2"}, &gpu.Asked{GPUs: 1}
			return o
		}},
		"killed in a fleet": {rows: func(f family) []gpu.Observation {
			killed := row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Failed, 2)
			killed.Row.Devices, killed.Row.Asked, killed.Row.Reason = []string{}, &gpu.Asked{GPUs: 1}, "killed"
			return append(all(f), killed)
		}, code: 1, want: "killed"},
		"a fleet without GPUs": {rows: func(f family) []gpu.Observation {
			o := all(f)
			o[0].Row.Devices, o[0].Row.Asked = []string{}, &gpu.Asked{}
			return o
		}, code: 3, want: "no row"},
		"a warning":  {rows: all, change: func(f *family) { f.record.Cells[0].Images[0].Verdict = verify.Warn }, code: 1, want: "verify pass: warn"},
		"no verdict": {rows: all, change: func(f *family) { f.record.Cells[0].Images[0].Digest = "sha256:1" }, code: 3, want: "no verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: want})
			f.cells = f.cells[:5] // of one release
			if tc.change != nil {
				tc.change(&f)
			}
			o := f.options(h.address + "/cuda")
			if tc.rows != nil {
				o.Rows = tc.rows(f)
			}
			_, err := publisher(t, o).Run(t.Context(), nil)
			if tc.code == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || hint.Code(err, 0) != tc.code {
				t.Errorf("Run: %v (code %d), want one with %q and code %d", err, hint.Code(err, 0), tc.want, tc.code)
			}
			for tag := range tagsIn(t, h.address+"/cuda") {
				if !strings.HasPrefix(tag, "staging-") {
					t.Errorf("tag %s is there", tag)
				}
			}
		})
	}
}

// TestGatesOfTests: a test of one's own is asked of the cells that it is of, and answered by rows
// of its definition that were judged by its expectation.
func TestGatesOfTests(t *testing.T) {
	t.Parallel()
	const want = `tests: [{name: smoke, image: "*-runtime-*", run: [/opt/smoke]}]
publish: {require: {gpu: [{driver: "580", gpu: [sm_90], samples: [smoke]}]}}
`
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: want})
	f.cells = f.cells[:5] // of one release
	test := f.matrix.Publish().Tests[0]
	digest := test.Digest()
	for name, tc := range map[string]struct {
		cell, digest string
		expect       string // behind that of the test
		dry          bool
		want         string
	}{
		"met":                {cell: "12.4-runtime-debian13", digest: digest},
		"another definition": {cell: "12.4-runtime-debian13", digest: "sha256:1", want: "gpu --tests team.yaml "},
		"expected otherwise": {cell: "12.4-runtime-debian13", digest: digest, expect: "0", want: "no row"},
		"a sample so called": {cell: "12.4-runtime-debian13", want: "no row"},
		"another image":      {cell: "12.4-base-debian13", digest: digest, want: "no row"},
		"only loaded":        {cell: "12.4-runtime-debian13", digest: digest, dry: true, want: "no row"},
	} {
		o := f.options(h.address + "/" + strings.ReplaceAll(name, " ", "-"))
		r := row(f, tc.cell, "smoke", "580.1", "9.0", gpu.Passed, 1)
		r.Row.Test, r.Row.Expect, r.Row.Dry = tc.digest, test.ExpectDigest()+tc.expect, tc.dry
		o.Rows = []gpu.Observation{r}
		_, err := publisher(t, o).Run(t.Context(), nil)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestGateOfNoSample: a sample that a release is too old for is not asked of its images.
func TestGateOfNoSample(t *testing.T) {
	t.Parallel()
	const want = "publish: {require: {gpu: [{driver: \"535\", gpu: [sm_90], samples: [cublas]}]}}\n"
	for cuda, code := range map[string]int{"12.4": 1, "9.0": 0} {
		h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: want})
		f.cells = f.cells[:1]
		recipe := *f.cells[0].Recipe
		recipe.Release.CUDA = cuda
		f.cells[0].Recipe = &recipe
		if _, err := publisher(t, f.options(h.address+"/cuda")).Run(t.Context(), nil); hint.Code(err, 0) != code {
			t.Errorf("CUDA %s: %v (code %d), want code %d", cuda, err, hint.Code(err, 0), code)
		}
	}
}

// TestResumeForGate: rows that come later let a run go on.
func TestResumeForGate(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: "publish: {require: {gpu: [{driver: \"535\", gpu: [sm_90], samples: [nbody]}]}}\n"})
	f.cells = f.cells[:5]
	o := f.options(h.address + "/cuda")
	o.NoEvidence = true // it comes behind the gate, and is sent then
	var missing *publish.MissingError
	if _, err := publisher(t, o).Run(t.Context(), nil); !errors.As(err, &missing) {
		t.Fatalf("Run: %v", err)
	}
	// A run that was killed before its plan was on disk is not in the way.
	if err := os.WriteFile(filepath.Join(o.Journals, "killed.jsonl"), []byte(`{"what":"plan"`), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := publish.ReadJournal(o.Journals, "")
	if err != nil || j.Run != o.ID {
		t.Fatalf("ReadJournal: %v, %v", j.Run, err)
	}
	if _, err := publish.ReadJournal(o.Journals, "killed"); err == nil || hint.Code(err, 3) != 2 {
		t.Errorf("ReadJournal of a run without a plan: %v", err)
	}
	o.Rows = []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "535.161.07", "9.0", gpu.Passed, 1)}
	p := publisher(t, o)
	if err := p.Resume(j); err != nil {
		t.Fatal(err)
	}
	h.sent("")
	mustRun(t, p, nil)
	if n := h.sent("PATCH "); n > 0 {
		t.Errorf("%d blobs were sent again", n)
	}
	want := f.tags()
	maps.DeleteFunc(want, func(tag, _ string) bool { return strings.HasPrefix(tag, "12.4.1") })
	sameTags(t, h.address+"/cuda", want)
}

func TestParseRepository(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"ghcr.io/acme/cuda", "ghcr.io/acme/cuda"},
		{"registry:5000/cuda", "registry:5000/cuda"},
		{"localhost:5000/cuda", "localhost:5000/cuda"},
		{"acme/cuda", "index.docker.io/acme/cuda"},
		{"cuda", ""},
		{"ghcr.io/acme/cuda:latest", ""},
		{"ghcr.io/Acme/cuda", ""},
		{"registry:5000/team/cuda/", ""},
		{"docker://ghcr.io/acme/cuda", ""},
		{":latest", ""},
		{"registry:5000/x", ""},
		{"", ""},
	} {
		repo, err := publish.ParseRepository(tc.in)
		if err != nil && hint.Code(err, 3) != 2 {
			t.Errorf("ParseRepository(%q): %v, want an error of usage", tc.in, err)
		}
		if (err == nil) != (tc.want != "") || err == nil && repo.Name() != tc.want {
			t.Errorf("ParseRepository(%q) = %v, %v, want %q", tc.in, repo, err, tc.want)
		}
	}
}
