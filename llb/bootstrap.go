// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// SourcesSecret is the ID of an optional secret with the repositories that a bootstrap is to
// use, in apt's form. They may be those of a mirror.
const SourcesSecret = "cudabuild-sources.list"

// Bootstrap makes a root file system in two steps: Install brings its tools into an image,
// and Script runs them. They see the secrets [AptConfigSecret] and [SourcesSecret].
type Bootstrap struct {
	OS, Platform    string
	Image           string // of a registry, which the BuildKit at hand pulls by itself
	Install, Script string // for sh -eu
	Title           string // of Script
	Arguments, Env  []string
	Out             string          // the folder that has the result
	Again           bool            // what BuildKit remembers of the steps does not do
	Proxy           *bkllb.ProxyEnv // as [Compiler.Proxy]
}

// Compile returns the graph of what is in Out, and its op that pulls the image.
func (b Bootstrap) Compile(ctx context.Context) (def *bkllb.Definition, pull digest.Digest, err error) {
	p, err := platforms.Parse(b.Platform)
	if err != nil {
		return nil, "", fmt.Errorf("bootstrap of %s: %w", b.OS, err)
	}
	tools := bkllb.Image(b.Image, bkllb.Platform(p), b.title("root for mmdebstrap")).
		Run(b.step(b.Install, nil, nil), b.title("install mmdebstrap")).Root()
	made := tools.Run(b.step(b.Script, b.Arguments, b.Env), b.title(b.Title)).AddMount(b.Out, bkllb.Scratch())
	if def, err = made.Marshal(ctx, bkllb.Platform(p), bkllb.LocalUniqueID("cudabuild")); err != nil {
		return nil, "", fmt.Errorf("bootstrap of %s: %w", b.OS, err)
	}
	for _, data := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(data); err == nil && op.GetSource() != nil {
			pull = digest.FromBytes(data)
		}
	}
	return def, pull, nil
}

func (b Bootstrap) step(script string, arguments, env []string) bkllb.RunOption {
	opts := runOptions{
		new(files).script(file{b.OS, "script", "/step", script, 0}, arguments...),
		bkllb.AddSecret("/run/cudabuild/apt.conf", bkllb.SecretID(AptConfigSecret), bkllb.SecretOptional),
		bkllb.AddSecret("/run/cudabuild/sources.list", bkllb.SecretID(SourcesSecret), bkllb.SecretOptional),
	}
	if b.Again {
		opts = append(opts, bkllb.IgnoreCache)
	}
	if b.Proxy != nil {
		opts = append(opts, bkllb.WithProxy(*b.Proxy))
	}
	for _, variable := range append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, env...) {
		name, value, _ := strings.Cut(variable, "=")
		opts = append(opts, bkllb.AddEnv(name, value))
	}
	return opts
}

func (b Bootstrap) title(text string) bkllb.ConstraintsOpt {
	return bkllb.WithCustomNamef("[%s %s] %s", b.OS, strings.TrimPrefix(b.Platform, "linux/"), text)
}
