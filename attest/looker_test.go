// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/registry"
)

// TestLooker: many images of a repository are looked at together, each for itself, and the registry is asked once by each reader how to log in.
func TestLooker(t *testing.T) {
	t.Parallel()
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true)) //nolint:forbidigo // what it wants
	var greetings atomic.Int64
	s := shelfOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSuffix(r.URL.Path, "/") == "/v2" {
			greetings.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	s.attach(t, s.documents(t, s.subject.Digest.String())...)
	bare, err := random.Image(100, 1)
	if err == nil {
		err = remote.Write(s.repo.Tag("two"), bare)
	}
	if err != nil {
		t.Fatal(err)
	}
	looker, err := attest.NewLooker(t.Context(), s.repo, attest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	greetings.Store(0)
	tags := []string{"one", "two"}
	reports := make([]attest.Report, 40)
	err = registry.Each(t.Context(), len(reports), func(ctx context.Context, i int) (err error) {
		reports[i], err = looker.Look(ctx, s.repo.Tag(tags[i%2]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reports {
		if want := []attest.State{attest.Valid, attest.Incomplete}[i%2]; r.State != want {
			t.Errorf("image %d is %s, want %s", i, r.State, want)
		}
	}
	if n := greetings.Load(); n > 2 { // by the puller, and by what reads evidence
		t.Errorf("the registry was asked %d times how to log in", n)
	}
	for tag, want := range map[string]string{"one": s.subject.Digest.String(), "none": ""} {
		got := ""
		now, err := looker.Current(t.Context(), s.repo.Tag(tag))
		if now != nil {
			got = now.Digest.String()
		}
		if got != want || err != nil {
			t.Errorf("%s names %q, %v; want %q", tag, got, err, want)
		}
	}
}
