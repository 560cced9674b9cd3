// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	bk "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// build returns the image of a cell: the one an earlier run left, or a new one.
func (r *run) build(ctx context.Context, t *task) (built, error) {
	base, err := r.base(ctx, t.cell)
	if err != nil {
		return built{}, err
	}
	compiled, key, err := r.compile(ctx, t.cell, base)
	if err != nil {
		return built{}, err
	}
	if desc, ok := r.unchanged(ctx, key); ok {
		r.Display.Cached("[" + t.cell.ID + "] unchanged")
		t.evaluate()
		return built{desc: desc, cached: true}, nil
	}
	if err := t.ready(ctx); err != nil {
		return built{}, err
	}
	t.begun = time.Now()
	desc, err := r.solve(ctx, t, compiled)
	if err != nil {
		return built{}, err
	}
	r.memo.put(key, desc)
	return built{desc: desc}, nil
}

// compile returns the graph of a cell on a base, and the key of all its inputs.
func (r *run) compile(ctx context.Context, c matrix.Cell, base llb.Base) (*llb.Image, digest.Digest, error) {
	compiled, err := llb.Compile(ctx, r.Catalog, c, platform(c), base)
	if err != nil {
		return nil, "", err
	}
	key, err := memoKey(compiled, r.Compression)
	return compiled, key, err
}

// unchanged returns the image that these inputs gave before, if it is still whole.
func (r *run) unchanged(ctx context.Context, key digest.Digest) (ocispec.Descriptor, bool) {
	desc, ok := r.memo.get(key)
	if !ok {
		return desc, false
	}
	_, err := r.Images.Blobs(ctx, desc)
	return desc, err == nil
}

// evaluate tells the cells above that this one's graph is solved.
func (t *task) evaluate() {
	t.solved = true
	close(t.evaluated)
}

// solve runs the graph of a cell and exports its image into the store.
func (r *run) solve(ctx context.Context, t *task, compiled *llb.Image) (ocispec.Descriptor, error) {
	select {
	case r.jobs <- struct{}{}:
		defer func() { <-r.jobs }()
	case <-ctx.Done():
		return ocispec.Descriptor{}, ctx.Err()
	}
	e, err := r.openEngine(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	config, err := json.Marshal(compiled.Config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	frontend := func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		result, err := c.Solve(ctx, gateway.SolveRequest{Definition: compiled.Definition.ToPB(), Evaluate: true})
		if err != nil {
			return nil, err
		}
		t.evaluate()
		result.AddMeta(exptypes.ExporterImageConfigKey, config)
		return result, nil
	}
	statuses, seen := r.Display.Solve(t.cell.ID)
	response, err := e.Client.Build(ctx, r.solveOptions(), "cudabuild", frontend, statuses)
	<-seen
	if err != nil {
		return ocispec.Descriptor{}, r.diagnose(ctx, t, e, err)
	}
	return exported(response)
}

func (r *run) solveOptions() bk.SolveOpt {
	attrs := map[string]string{"tar": "false", "compression": r.Compression, "oci-mediatypes": "true"}
	if r.Compression != "zstd" { // the compression of bootstrapped roots
		attrs["force-compression"] = "true"
	}
	var attachables []session.Attachable
	if config := slices.Concat(r.AptConfig, r.Bases.AptConfig()); len(config) > 0 {
		attachables = append(attachables, secretsprovider.FromMap(map[string][]byte{llb.AptConfigSecret: config}))
	}
	return bk.SolveOpt{
		Exports:       []bk.ExportEntry{{Type: bk.ExporterOCI, Attrs: attrs, OutputStore: r.Images.Adopting(r.Engine.ContentDir())}},
		OCIStores:     map[string]content.Store{llb.BaseStore: r.Bases.Content()},
		FrontendAttrs: map[string]string{},
		Session:       attachables,
	}
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
