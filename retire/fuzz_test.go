// SPDX-License-Identifier: Apache-2.0

package retire_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/retire"
)

// FuzzParsePlan: what is read as a plan names nothing but tags of images, and is read again as it is.
func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(`{"version":1,"to":"r.example/x","images":[{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","tags":[{"name":"11.2-base-debian11","cell":"11.2-base-debian11","ends":{"date":"2026-08-31","what":"Debian 11","source":"x"}}]}]}`))
	f.Add([]byte(`{"version":1,"to":"r.example/x","images":[],"left":[{"tag":"latest","why":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := retire.ParsePlan(data)
		if (p == nil) != (err != nil) {
			t.Fatalf("ParsePlan = %v, %v", p, err)
		}
		if err != nil {
			return
		}
		for _, i := range p.Images {
			for _, tag := range i.Tags {
				if ref, err := name.NewTag(p.To + ":" + tag.Name); err != nil || ref.TagStr() != tag.Name || referrer.IsTag(tag.Name) {
					t.Errorf("tag %q of %q: %v", tag.Name, p.To, err)
				}
			}
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := retire.ParsePlan(text)
		if diff := cmp.Diff(p, again); err != nil || diff != "" {
			t.Errorf("read again: %v\n%s", err, diff)
		}
	})
}
