// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	bk "github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// build returns the image of a cell, or the index of its images.
func (r *run) build(ctx context.Context, t *task) (index, error) {
	images, errs := make([]built, len(t.manifests)), make([]error, len(t.manifests))
	var group sync.WaitGroup
	for i, m := range t.manifests {
		group.Go(func() {
			images[i], errs[i] = r.image(ctx, m)
			errs[i] = m.failure(errs[i])
		})
	}
	group.Wait()
	if err := failures(errs); err != nil {
		return index{}, err
	}
	return r.join(ctx, t, images)
}

// join makes an index of images, which costs nothing if it is there already.
func (r *run) join(ctx context.Context, t *task, images []built) (index, error) {
	if len(images) == 1 {
		return index{images[0], images}, nil
	}
	x := index{built{cached: true}, images}
	var descs []ocispec.Descriptor
	for i, b := range images {
		platform, err := platforms.Parse(t.manifests[i].platform)
		if err != nil {
			return index{}, err
		}
		b.desc.Platform = &platform
		descs = append(descs, b.desc)
		x.cached = x.cached && b.cached
	}
	var err error
	x.desc, err = r.Images.Join(ctx, descs...)
	return x, err
}

// image returns one image of a cell: the one an earlier run left, or a new one.
func (r *run) image(ctx context.Context, m *manifest) (built, error) {
	defer m.close()
	base, err := r.base(ctx, m)
	if err != nil {
		return built{}, err
	}
	compiled, key, err := r.compile(ctx, m, base)
	if err != nil {
		return built{}, err
	}
	m.plan = key
	known, ok := r.unchanged(ctx, key)
	if m.spare = ok; ok && !r.owes(ctx, m) {
		r.Display.Cached("[" + m.name() + "] unchanged")
		m.evaluate()
		return built{known.Descriptor, r.noted(m, key, known), true}, nil
	}
	if err := m.ready(ctx); err != nil {
		return built{}, err
	}
	if r.solved != nil {
		if compiled, err = r.solved.Compile(ctx, m.cell, m.platform, base); err != nil {
			return built{}, err
		}
	}
	m.begun = time.Now()
	desc, err := r.solve(ctx, m, compiled)
	switch {
	case err != nil && m.spare && ctx.Err() == nil:
		m.unmade, m.by = err, nil
		m.evaluate()
		return built{known.Descriptor, r.noted(m, key, known), true}, nil
	case err != nil:
		return built{}, err
	}
	made := r.made(m, key, desc)
	made.Parts, made.Tools = slices.Concat(made.Parts, r.lockParts(), m.cacheParts()), r.tools(m)
	r.otherTools(made.Tools)
	r.memo.put(key, remembered{desc, &made})
	return built{desc: desc, made: made}, nil
}

// solvedBy makes graphs whose steps find a proxy in their environment. It never sees a
// login: BuildKit keeps graphs.
func solvedBy(p proxy.Proxy) *llb.Compiler {
	if p = p.Open(); len(p.Variables()) == 0 {
		return nil
	}
	return &llb.Compiler{Proxy: &bkllb.ProxyEnv{HTTPProxy: p.HTTP, HTTPSProxy: p.HTTPS, FTPProxy: p.FTP, NoProxy: p.No, AllProxy: p.All}}
}

// compile returns the graph of an image on a base, and the key of all its inputs.
func (r *run) compile(ctx context.Context, m *manifest, base llb.Base) (*llb.Image, digest.Digest, error) {
	compiled, err := r.compiler.Compile(ctx, m.cell, m.platform, base)
	if err != nil {
		return nil, "", err
	}
	key, err := memoKey(compiled, r.Compression)
	return compiled, key, err
}

// unchanged returns the image that these inputs gave before, if it is still whole.
func (r *run) unchanged(ctx context.Context, key digest.Digest) (remembered, bool) {
	known, ok := r.memo.get(key)
	if !ok {
		return known, false
	}
	_, err := r.Images.Blobs(ctx, known.Descriptor)
	return known, err == nil
}

// solve runs the graph of an image and exports it into the store.
func (r *run) solve(ctx context.Context, m *manifest, compiled *llb.Image) (desc ocispec.Descriptor, err error) {
	config, err := json.Marshal(compiled.Config)
	if err != nil {
		return desc, err
	}
	err = r.at(ctx, m, func(there context.Context, b *builder) error {
		options, imports, err := r.withCaches(ctx, b, m, r.solveOptions(b, m.platform))
		if err != nil {
			return err
		}
		frontend := func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
			result, err := c.Solve(ctx, gateway.SolveRequest{Definition: compiled.Definition.ToPB(), Evaluate: true, CacheImports: imports})
			if err != nil {
				return nil, err
			}
			m.evaluate()
			result.AddMeta(exptypes.ExporterImageConfigKey, config)
			return result, nil
		}
		m.by = b
		statuses, seen := r.Display.Solve(m.name())
		response, err := b.engine.Client.Build(there, options, "cudabuild", frontend, statuses)
		<-seen
		if err != nil {
			return r.diagnose(ctx, m, b, err)
		}
		m.written(response)
		desc, err = exported(response)
		return err
	})
	return desc, err
}

func (r *run) solveOptions(b *builder, platform string) bk.SolveOpt {
	attrs := map[string]string{"tar": "false", "compression": r.Compression, "oci-mediatypes": "true"}
	if r.Compression != matrix.Zstd { // the compression of bootstrapped roots
		attrs["force-compression"] = "true"
	}
	return bk.SolveOpt{
		Exports:       []bk.ExportEntry{{Type: bk.ExporterOCI, Attrs: attrs, OutputStore: r.output()}},
		OCIStores:     map[string]content.Store{llb.BaseStore: r.Bases.Content()},
		FrontendAttrs: map[string]string{"platform": platform}, // without, the exporter warns of one that is not its own
		Session:       r.attachables(b),
	}
}

// attachables are what a BuildKit may ask of us, beside content.
func (r *run) attachables(b *builder) []session.Attachable {
	all := []session.Attachable{r.credentials(b)}
	if config := r.aptConfig(); len(config) > 0 {
		all = append(all, secretsprovider.FromMap(map[string][]byte{llb.AptConfigSecret: config}))
	}
	return all
}

// output is where BuildKit exports images to.
func (r *run) output() content.Store { return r.Images.Adopting(r.Engine.ContentDir()) }

// aptConfig is what the apt of steps is to know of this machine: a secret.
func (r *run) aptConfig() []byte {
	return slices.Concat([]byte(r.Proxy.Apt()), r.AptConfig, r.Bases.AptConfig())
}

// exported reads the descriptor of the exported image out of a solve's response.
func exported(response *bk.SolveResponse) (desc ocispec.Descriptor, err error) {
	data, err := base64.StdEncoding.DecodeString(response.ExporterResponse[exptypes.ExporterImageDescriptorKey])
	if err == nil {
		err = json.Unmarshal(data, &desc)
	}
	if err != nil {
		return desc, fmt.Errorf("exported image has no readable descriptor: %w", err)
	}
	desc.Annotations = nil
	return desc, desc.Digest.Validate()
}
