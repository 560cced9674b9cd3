// SPDX-License-Identifier: Apache-2.0

package referrer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	many := make([]string, 6000)
	for i := range many {
		many[i] = entry(i, "")
	}
	for name, test := range map[string]struct {
		link  func(int) string
		pages []string
		want  string
	}{
		"endless pages":    {func(page int) string { return fmt.Sprintf("<?page=%d>; rel=next", page+1) }, []string{listOf()}, "more than 100 pages"},
		"page elsewhere":   {func(int) string { return `<http://127.0.0.2:1/v2/repo/referrers/x>; rel="next"` }, []string{listOf()}, `its next page is elsewhere, at "http://127.0.0.2:1`},
		"file":             {func(int) string { return `<file:///etc/passwd>; rel="next"` }, []string{listOf()}, "its next page is elsewhere"},
		"many entries":     {last, []string{listOf(many...)}, "page 1: it has more than 5000 entries"},
		"a million":        {last, []string{listOf(strings.Repeat("{}, ", 1_000_000) + "{}")}, "more than"},
		"huge":             {last, []string{listOf(entry(1, `, "annotations": {"a": "`+strings.Repeat("a", 5<<20)+`"}`))}, "more than 4194304 bytes"},
		"no digest":        {last, []string{listOf(entry(1, ""), `{"mediaType": "x", "size": 1}`)}, "page 1: entry 1 has no digest, size or media type"},
		"negative":         {last, []string{strings.Replace(listOf(entry(1, "")), "7", "-7", 1)}, "entry 0"},
		"wrong digest":     {last, []string{strings.Replace(listOf(entry(1, "")), "sha256:", "sha256:../", 1)}, "page 1: index: "},
		"an image":         {last, []string{`{"schemaVersion": 2, "config": {}, "layers": []}`}, "page 1: index: "},
		"not JSON":         {last, []string{"<html>"}, "page 1: index: "},
		"digest twice":     {last, []string{listOf(entry(1, `, "digest": "sha256:00"`))}, "twice"},
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
		"wrong size":      {changed(func(f *referrer.Found) { f.Size++ }), "bytes, not"},
		"huge manifest":   {changed(func(f *referrer.Found) { f.Size = 1 << 40 }), "1099511627776 bytes"},
		"an index":        {changed(func(f *referrer.Found) { f.MediaType = string(types.OCIImageIndex) }), "index"},
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
