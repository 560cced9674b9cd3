// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/retire"
)

// TestNested: an index keeps what indexes in it name, and one that nobody can follow keeps all.
func TestNested(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil).Host
	for name, levels := range map[string]int{"one": 1, "some": 3, "too many": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "nested/" + strings.ReplaceAll(name, " ", "")
			repo := repository(t, looking(t, upstream, byTag).Host, path)
			digests := filled(t, repo)
			nested := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: images(t)["base"].(v1.Image)})
			for range levels {
				nested = mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: nested}), types.OCIImageIndex)
			}
			if err := remote.WriteIndex(repo.Tag("nested"), nested); err != nil {
				t.Fatal(err)
			}
			p := planned(t, repo)
			for _, i := range p.Images {
				if i.Digest == digests["base"] && !slices.Equal(i.KeptBy, []string{"nested"}) {
					t.Errorf("kept by %v", i.KeptBy)
				}
				if keeps := slices.Contains(i.KeptBy, "nested"); i.Digest == digests["nbody"] && keeps != (name == "too many") {
					t.Errorf("nested keeps the other one: %t", keeps)
				}
			}
			done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
			if hint.Code(err, 0) != 1 || slices.Contains(done.Images, digests["base"]) {
				t.Errorf("Do = %+v, %v", done, err)
			}
			if _, err := remote.Image(repository(t, upstream, path).Digest(digests["base"])); err != nil {
				t.Errorf("what nested needs: %v", err)
			}
		})
	}
}

// TestNoRegistry: a server that is none, or lists tags for ever, is no repository without tags.
func TestNoRegistry(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"nothing is there": http.NotFound,
		"a page for all":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"tags for ever": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `</v2/team/cuda/tags/list?n=1>; rel="next"`)
			fmt.Fprint(w, `{"name":"team/cuda","tags":["a"]}`)
		},
	} {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		p, err := retirer(t.Context(), t, repository(t, strings.TrimPrefix(server.URL, "http://"), "team/cuda")).Plan(t.Context(), ended())
		if err == nil || hint.Code(err, 3) != 3 || strings.Contains(err.Error(), "there is no repository") {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestManyTags: reading many tags takes a while, and is said.
func TestManyTags(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{999: 0, 1000: 1} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			if !strings.HasSuffix(r.URL.Path, "/tags/list") {
				http.NotFound(w, r)
				return
			}
			list := make([]string, n)
			for i := range list {
				list[i] = fmt.Sprintf("%q", fmt.Sprint("t", i))
			}
			fmt.Fprintf(w, `{"name":"team/cuda","tags":[%s]}`, strings.Join(list, ","))
		}))
		t.Cleanup(server.Close)
		var said []string
		r, err := retire.New(t.Context(), repository(t, strings.TrimPrefix(server.URL, "http://"), "team/cuda"), registry.Options{Say: func(line string) { said = append(said, line) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Plan(t.Context(), ended()); err != nil || len(said) != want {
			t.Errorf("%d tags: said %q, %v", n, said, err)
		}
	}
}

// TestUnread: a tag that cannot be read is named, and nothing goes: it may need what is to go.
func TestUnread(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	repo := repository(t, proxy.Host, "team/cuda")
	digests := filled(t, repo)
	p := planned(t, repo)
	proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if strings.HasSuffix(r.URL.Path, "/manifests/mine") {
			return registrytest.Fault{Status: http.StatusInternalServerError}
		}
		return registrytest.Fault{}
	}, nil)
	done, err := retirer(t.Context(), t, repo).Do(t.Context(), p)
	if err == nil || !strings.HasPrefix(err.Error(), "tag mine cannot be read: ") || hint.Of(err) == "" || hint.Code(err, 3) != 3 || len(done.Ahead) != len(goes) {
		t.Errorf("Do = %+v, %v", done, err)
	}
	proxy.Arm(nil, nil)
	if diff := cmp.Diff(tags, standing(t, repo, digests)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestKeeps: a tag that the matrix keeps stays, with its reason, and so keeps its image where that would go with others.
func TestKeeps(t *testing.T) {
	t.Parallel()
	repo := repository(t, registrytest.Start(t, nil).Host, "team/cuda")
	digests := filled(t, repo)
	cells := ended()
	cells[0].Keeps = map[string]string{"11.2-base": "because"}
	p, err := retirer(t.Context(), t, repo).Plan(t.Context(), cells)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(p.Left, retire.Left{Tag: "11.2-base", Why: "because"}) {
		t.Errorf("left: %+v", p.Left)
	}
	for _, i := range p.Images {
		if i.Digest == digests["base"] && (len(i.Tags) != 1 || !slices.Equal(i.KeptBy, []string{"11.2-base"})) {
			t.Errorf("base: %+v", i)
		}
	}
}
