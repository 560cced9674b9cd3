// SPDX-License-Identifier: Apache-2.0

package referrer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
)

var someone = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}

func entry(n int, more string) string {
	return fmt.Sprintf(`{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%064x", "size": 7, "artifactType": "application/x"%s}`, n, more)
}

func listOf(entries ...string) string {
	return `{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [` + strings.Join(entries, ", ") + `]}`
}

// answers is a registry whose referrers API gives these pages, one after the other.
func answers(t *testing.T, link func(page int) string, pages ...string) *registrytest.Server {
	t.Helper()
	return registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			w.WriteHeader(map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[r.URL.Path == "/v2/"])
			return
		}
		page := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json; charset=utf-8")
		if to := link(page); to != "" {
			w.Header().Set("Link", to)
		}
		_, _ = w.Write([]byte(pages[min(page, len(pages)-1)]))
	}))
}

func last(int) string { return "" }

// TestPages follows the pages of the API.
func TestPages(t *testing.T) {
	t.Parallel()
	server := answers(t, func(page int) string {
		return []string{fmt.Sprintf(`</v2/>; rel="first", </v2/repo/referrers/%s?page=1>; title="more"; rel="next"`, someone), "<?page=2>; rel=next", ""}[page]
	}, listOf(entry(1, ""), entry(2, "")), listOf(entry(2, ""), entry(3, "")), listOf(entry(4, "")))
	found, err := open(t, server.Host+"/repo").List(t.Context(), someone)
	if err != nil || len(found) != 4 {
		t.Errorf("List = %+v, %v, want 4", found, err)
	}
}

// TestMediaTypes: which answers are those of the API, and which only an answer to every address.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[string]int{"application/json": 1, "application/vnd.oci.image.index.v1+json": 1, "text/html": 0, "": 0} {
		server := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{mediaType}
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write([]byte(listOf(entry(1, ""))))
		}))
		if found, err := open(t, server.Host+"/repo").List(t.Context(), someone); err != nil || len(found) != want {
			t.Errorf("%q: List = %v, %v, want %d", mediaType, found, err, want)
		}
	}
}

// TestHostileLists: what is listed by somebody who means harm, or cannot count, ends with the place.
func TestHostileLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		link  func(int) string
		pages []string
		want  string
	}{
		"page elsewhere":   {func(int) string { return `<http://127.0.0.2:1/v2/repo/referrers/x>; rel="next"` }, []string{listOf()}, `its next page is elsewhere, at "http://127.0.0.2:1`},
		"file":             {func(int) string { return `<file:///etc/passwd>; rel="next"` }, []string{listOf()}, "its next page is elsewhere"},
		"huge":             {last, []string{listOf(entry(1, `, "annotations": {"a": "`+strings.Repeat("a", 5<<20)+`"}`))}, "its referrers API gives a page of more than 4194304 bytes"},
		"an image":         {last, []string{`{"schemaVersion": 2, "config": {}, "layers": []}`}, "page 1: "},
		"not JSON":         {last, []string{"<html>"}, "page 1: "},
		"second page gone": {func(int) string { return `</v2/repo/nothing>; rel="next"` }, []string{listOf(entry(1, ""))}, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := answers(t, test.link, test.pages...)
			found, err := open(t, server.Host+"/repo").List(t.Context(), someone)
			if err == nil || found != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), server.Host+"/repo@"+someone.String()) {
				t.Errorf("List = %v, %.500v, want %q and the place", found, err, test.want)
			}
		})
	}
}

// TestBadEntries: what is wrong in a list is said, and hides nothing of the rest.
func TestBadEntries(t *testing.T) {
	t.Parallel()
	many := make([]string, 6000)
	for i := range many {
		many[i] = entry(i, "")
	}
	for name, test := range map[string]struct {
		link func(int) string
		list string
		want int // artifacts
		says string
	}{
		"endless pages": {func(page int) string { return fmt.Sprintf("<?page=%d>; rel=next", page+1) }, listOf(entry(1, "")), 1, "more than 100 pages"},
		"many entries":  {last, listOf(many...), 5000, "it goes on behind 5000 artifacts"},
		"a million":     {last, listOf(strings.Repeat("{}, ", 1_000_000) + entry(1, "")), 1, "1000000 of its entries have no digest, number 1 is the first"},
		"no digest":     {last, listOf(entry(1, ""), `{"mediaType": "x", "size": 1}`), 1, "1 of its entries have no digest, number 2"},
		"wrong digest":  {last, listOf(strings.Replace(entry(1, ""), "sha256:", "sha256:../", 1), entry(2, "")), 1, "1 of its entries have no digest, number 1"},
		"no entry":      {last, listOf("null", "[]", entry(1, "")), 1, "2 of its entries"},
		"entries twice": {last, strings.Replace(listOf(entry(1, "")), `"manifests"`, `"manifests": [], "manifests"`, 1), 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := open(t, answers(t, test.link, test.list).Host+"/repo").List(t.Context(), someone)
			var wrong []string
			for _, f := range found {
				if f.Digest == "" {
					wrong = append(wrong, f.Wrong)
				}
			}
			if err != nil || len(found)-len(wrong) != test.want || !strings.Contains(strings.Join(wrong, ""), test.says) || (len(wrong) > 0) != (test.says != "") {
				t.Errorf("List = %d artifacts, %q, %v, want %d and %q", len(found)-len(wrong), wrong, err, test.want, test.says)
			}
		})
	}
}

// TestLies: what others write about an artifact into the list under a tag takes nothing away, and is put right when the
// artifact is attached again.
func TestLies(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(entry map[string]any){
		"type":       func(e map[string]any) { e["artifactType"] = "application/vnd.example" },
		"no type":    func(e map[string]any) { delete(e, "artifactType") },
		"size":       func(e map[string]any) { e["size"] = 7 },
		"negative":   func(e map[string]any) { e["size"] = -1 },
		"no number":  func(e map[string]any) { e["size"] = "7" },
		"media type": func(e map[string]any) { e["mediaType"] = "text/plain" },
		"no media":   func(e map[string]any) { delete(e, "mediaType") },
		"says":       func(e map[string]any) { e["annotations"] = map[string]any{"n": "2"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := registrytest.Serve(t, lax(withAPI(false))).Host + "/lies"
			subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
			digest := attach(t, r, subject, artifact(1), true)
			want, before := listed(t, r, subject), list(t, repository, subject)
			rewrite(t, repository, subject, func(all []any) []any { lie(all[0].(map[string]any)); return all })
			got := listed(t, r, subject)
			if len(got) != 1 || got[0].Wrong == "" {
				t.Fatalf("List = %+v, want what is wrong", got)
			}
			got[0].Wrong = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("List (-want +got):\n%s", diff)
			}
			if a, err := r.Read(t.Context(), got[0]); err != nil || a.Type != artifact(1).Type {
				t.Errorf("Read = %+v, %v", a, err)
			}
			if again := attach(t, r, subject, artifact(1), false); again != digest {
				t.Errorf("Attach = %v, want %v", again, digest)
			}
			if diff := cmp.Diff(before, list(t, repository, subject)); diff != "" {
				t.Errorf("the list is not as it was (-want +got):\n%s", diff)
			}
		})
	}
}

// lax is a registry that takes any list, as the distribution project's does.
func lax(inner http.Handler) http.Handler {
	var lists sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isList := strings.Contains(r.URL.Path, "/manifests/sha256-")
		switch raw, there := lists.Load(r.URL.Path); {
		case isList && r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body)
			lists.Store(r.URL.Path, body)
			w.WriteHeader(http.StatusCreated)
		case isList && there:
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = w.Write(raw.([]byte))
		default:
			inner.ServeHTTP(w, r)
		}
	})
}

func listTag(t *testing.T, repository string, subject v1.Descriptor) name.Tag {
	t.Helper()
	tag, err := name.NewTag(repository + ":" + referrer.Tag(subject.Digest))
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// list is the list under the tag, as it is written.
func list(t *testing.T, repository string, subject v1.Descriptor) (all map[string]any) {
	t.Helper()
	got, err := remote.Get(listTag(t, repository, subject))
	if err == nil {
		err = json.Unmarshal(got.Manifest, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rewrite writes the list under the tag as others may.
func rewrite(t *testing.T, repository string, subject v1.Descriptor, change func([]any) []any) {
	t.Helper()
	all := list(t, repository, subject)
	all["manifests"] = change(all["manifests"].([]any))
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, repository, subject, string(raw))
}

func overwrite(t *testing.T, repository string, subject v1.Descriptor, raw string) {
	t.Helper()
	if err := remote.Put(listTag(t, repository, subject), index(raw)); err != nil {
		t.Fatal(err)
	}
}

// TestBesideBadEntries: what others wrote into a list keeps nobody from attaching and taking away, and stays.
func TestBesideBadEntries(t *testing.T) {
	t.Parallel()
	many := make([]any, 5500)
	for i := range many {
		var e any
		if err := json.Unmarshal([]byte(entry(i, "")), &e); err != nil {
			t.Fatal(err)
		}
		many[i] = e
	}
	for name, theirs := range map[string][]any{
		"nameless": {map[string]any{"size": 1.}, nil, "text"},
		"many":     many,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := registrytest.Serve(t, lax(withAPI(false))).Host + "/beside"
			subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
			one := attach(t, r, subject, artifact(1), true)
			rewrite(t, repository, subject, func(all []any) []any { return append(theirs, all...) })
			two := attach(t, r, subject, artifact(2), true)
			attach(t, r, subject, artifact(2), false)
			for _, digest := range []v1.Hash{one, two} {
				if _, err := r.Detach(t.Context(), subject.Digest, digest); err != nil {
					t.Errorf("Detach: %v", err)
				}
			}
			left := list(t, repository, subject)["manifests"].([]any)
			if name == "many" && len(left) == len(theirs)+1 { // it was behind all that is looked at
				left = left[:len(theirs)]
			}
			if diff := cmp.Diff(theirs, left); diff != "" {
				t.Errorf("left of the list (-want +got):\n%.2000s", diff)
			}
		})
	}
}

// TestUnreadableList: what nobody can read is no list.
func TestUnreadableList(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ list, want string }{
		"no entries": {`{"schemaVersion": 2}`, "a list that nobody can read (it has no entries)"},
		"a text":     {`{"manifests": "text"}`, "a list that nobody can read (json: "},
		"huge":       {listOf(entry(1, `, "annotations": {"a": "`+strings.Repeat("a", 5<<20)+`"}`)), "more than 4194304 bytes"},
		"full":       {listOf(entry(1, `, "annotations": {"a": "`+strings.Repeat("a", 4<<20-400)+`"}`)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := registrytest.Serve(t, lax(withAPI(false))).Host + "/unreadable"
			subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
			overwrite(t, repository, subject, test.list)
			_, err := r.List(t.Context(), subject.Digest)
			if wrong := (*referrer.NotListError)(nil); test.want != "" && (!errors.As(err, &wrong) || !strings.Contains(wrong.Is, test.want)) {
				t.Errorf("List: %v, want that it is no list, but %s", err, test.want)
			}
			_, _, err = r.Attach(t.Context(), subject, artifact(1))
			if !errors.As(err, new(*referrer.RefusedError)) || !errors.As(err, new(*referrer.NotListError)) {
				t.Errorf("Attach: %v, want that it is refused, since it is no list", err)
			}
			if was, err := r.Detach(t.Context(), subject.Digest, someone); err != nil || was {
				t.Errorf("Detach = %v, %v", was, err)
			}
		})
	}
}

// TestHostileArtifacts reads what is not what the list says.
func TestHostileArtifacts(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, withAPI(true))
	repository := server.Host + "/repo"
	r := open(t, repository)
	subject := push(t, repository, types.OCIManifestSchema1)
	attach(t, r, subject, artifact(1), true)
	good := listed(t, r, subject)[0]
	image := referrer.Found{Digest: subject.Digest.String(), MediaType: string(subject.MediaType), Size: subject.Size}
	attached := func(manifest string) referrer.Found {
		digest, size, _ := v1.SHA256(strings.NewReader(manifest))
		d := v1.Descriptor{Digest: digest, Size: size, MediaType: types.OCIManifestSchema1}
		if _, err := r.Add(t.Context(), subject.Digest, d, []byte(manifest), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		return referrer.Found{Digest: digest.String(), Size: size, MediaType: string(d.MediaType), Subject: subject.Digest.String()}
	}
	about := fmt.Sprintf(`"subject": {"mediaType": "m", "digest": %q, "size": 1}`, subject.Digest)
	with := func(layer string) string {
		return `{"schemaVersion": 2, "config": {"mediaType": "c", "digest": "` + someone.String() + `", "size": 2}, "layers": [` + layer + `], ` + about + `}`
	}
	changed := func(change func(*referrer.Found)) referrer.Found {
		f := good
		change(&f)
		return f
	}
	for name, test := range map[string]struct {
		found referrer.Found
		want  string
	}{
		"no digest":       {changed(func(f *referrer.Found) { f.Digest = "latest" }), "latest"},
		"another subject": {changed(func(f *referrer.Found) { f.Subject = someone.String() }), "not attached to " + someone.String()},
		"gone":            {changed(func(f *referrer.Found) { f.Digest = someone.String() }), "MANIFEST_UNKNOWN"},
		"two layers":      {image, "2 layers, not one"},
		"no layer":        {attached(with("")), "0 layers, not one"},
		"huge layer":      {attached(with(`{"mediaType": "d", "digest": "` + someone.String() + `", "size": 68719476736}`)), "68719476736 bytes, more than"},
		"layer gone":      {attached(with(`{"mediaType": "d", "digest": "` + someone.String() + `", "size": 3}`)), "blob " + someone.String()},
		"layer longer":    {attached(with(`{"mediaType": "d", "digest": "` + emptyDigest + `", "size": 1}`)), "more than 1 bytes"},
		"layer shorter":   {attached(with(`{"mediaType": "d", "digest": "` + emptyDigest + `", "size": 9}`)), "2 bytes, not 9"},
	} {
		if a, err := r.Read(t.Context(), test.found); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Read = %+v, %v, want %q", name, a, err, test.want)
		}
	}
}

// emptyDigest is that of {}, which is there.
const emptyDigest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// TestOtherDigest: a registry that gives another manifest under a digest.
func TestOtherDigest(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
		_, _ = w.Write([]byte(`{"a": 1}`))
	}))
	_, err := open(t, server.Host+"/repo").Read(t.Context(), referrer.Found{Digest: someone.String(), MediaType: string(types.OCIManifestSchema1), Size: 8})
	if err == nil || !strings.Contains(err.Error(), "what the registry gives has digest sha256:") {
		t.Errorf("Read: %v", err)
	}
}
