// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/solver/pb"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/llb"
)

func bootstrap() llb.Bootstrap {
	return llb.Bootstrap{
		OS: "debian13", Platform: "linux/arm64", Image: "docker.io/library/debian:trixie-slim",
		Install: "apt-get install mmdebstrap\n", Script: "mmdebstrap \"$@\" >$OUT/root.tar\n", Title: "run mmdebstrap",
		Arguments: []string{"--variant=minbase", "--", "trixie", "-"}, Env: []string{"OUT=/out", "EMPTY="}, Out: "/out",
	}
}

// TestGoldenBootstrap: an image, a step for the tools and one that uses them, both without
// privileges, and the folder that the last has filled.
func TestGoldenBootstrap(t *testing.T) {
	t.Parallel()
	def, pull, err := bootstrap().Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := parse(t, def)
	golden.Check(t, filepath.Join("testdata", "golden", "bootstrap.txt"), g.dump())
	if source := g.ops[g.at[pull]].GetSource(); source.GetIdentifier() != "docker-image://docker.io/library/debian:trixie-slim" {
		t.Errorf("the op that pulls the image is %v", source)
	}
}

// TestBootstrapAgain: that BuildKit is to do it again changes what it does, not what it is.
func TestBootstrapAgain(t *testing.T) {
	t.Parallel()
	b := bootstrap()
	once, _, err := b.Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Again = true
	again, _, err := b.Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one, two := parse(t, once), parse(t, again)
	if one.dump() != two.dump() {
		t.Errorf("again it is another graph:\n%s\nwant\n%s", two.dump(), one.dump())
	}
	for i, op := range two.ops {
		_, exec := op.Op.(*pb.Op_Exec)
		if ignored := again.Metadata[two.digests[i]].IgnoreCache; ignored != exec {
			t.Errorf("%s: its cache is ignored: %v, want %v", two.names[i], ignored, exec)
		}
	}
}
