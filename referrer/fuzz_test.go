// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// FuzzReferrers holds that a list that is read can be written with one more entry, and keeps the others, and without it
// again.
func FuzzReferrers(f *testing.F) {
	f.Add([]byte(`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"a": "b"}, "manifests": [
		{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:` + strings.Repeat("b", 64) + `", "size": 7, "artifactType": "x/y", "annotations": {"c": "d"}, "z": 1}]}`))
	f.Add([]byte(`{"schemaVersion": 2, "manifests": []}`))
	f.Add([]byte(`{"manifests": [], "manifests": [null, 1, {"digest": "sha256:0"}, {"size": "x", "digest": "sha256:` + strings.Repeat("c", 64) + `"}], "Manifests": 1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		subject := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
		before, err := parse(nil, raw, subject)
		if err != nil {
			return
		}
		_, d := Artifact{Type: "t/t", MediaType: "m/m"}.Manifest(v1.Descriptor{Digest: subject})
		l := &listing{found: before, raw: raw}
		longer, err := l.with([]v1.Descriptor{d})
		if err != nil {
			t.Fatalf("one more entry: %v", err)
		}
		after, err := parse(nil, longer, subject)
		ours := Found{Digest: d.Digest.String(), Type: "t/t", MediaType: string(types.OCIManifestSchema1), Size: d.Size, Subject: subject.String()}
		if err != nil || len(after) != len(before)+1 || cmp.Diff(ours, after[0]) != "" {
			t.Fatalf("written and read again: %v, %+v of %+v", err, after, before)
		}
		for i, f := range before {
			if f.Wrong != "" { // the number of an entry
				f.Wrong = after[i+1].Wrong
			}
			if diff := cmp.Diff(f, after[i+1]); diff != "" {
				t.Fatalf("an entry beside the new one (-want +got)\n%s", diff)
			}
		}
		keys, entries, err := open(longer)
		if err != nil {
			t.Fatal(err)
		}
		again, err := write(keys, without(entries, d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if less, err := parse(nil, again, subject); err != nil || cmp.Diff(before, less) != "" {
			t.Fatalf("without it again: %v (-want +got)\n%s", err, cmp.Diff(before, less))
		}
	})
}

// FuzzNextPage holds that a next page is one of the same registry.
func FuzzNextPage(f *testing.F) {
	f.Add(`</v2/repo/referrers/x?n=1>; rel="next"`)
	f.Add(`<https://elsewhere.example/>; rel=next, <?x>; rel="last"`)
	f.Fuzz(func(t *testing.T, link string) {
		repo, _ := name.NewRepository("registry.example/repo")
		r := &Repository{repo: repo}
		next, err := r.after(&http.Response{Header: http.Header{"Link": {link}}})
		if u, bad := url.Parse(next); bad != nil || next != "" && (u.Host != "registry.example" || u.Scheme != "https") || err != nil && next != "" {
			t.Fatalf("after(%q) = %q, %v", link, next, err)
		}
	})
}
