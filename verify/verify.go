// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// Options tunes a [Verifier]. The zero value is good.
type Options struct {
	// CacheDir keeps what was learned about each layer, by digest, build of cudabuild and copy.
	// "" keeps it in memory only, and so does, with a warning, a folder to which others
	// than this user and root may write.
	CacheDir string
	// TrustDigests spares hashing: the blobs come from a builder of our own that has
	// just hashed them. What was damaged since then shows in the checksums of zstd and
	// gzip. Never set it for somebody else's image.
	TrustDigests bool
	// TempDir is where content is held that has to be read out of order: zip files, and the
	// middle of large programs, in files without a name. "" is the folder of temporary files.
	TempDir string
	// Parallel is how many layers are read at once; 0 means one a CPU, at most 6. Memory
	// goes by it (docs/verify.md, promise 5).
	Parallel int
	// MaxLayerBytes bounds a decoded layer, MaxEntries its entries. 0 means 256 GiB
	// and 5 million.
	MaxLayerBytes int64
	MaxEntries    int
	// MaxRatio bounds how much smaller a blob may be than its content, once that
	// exceeds MaxRatioAfter bytes. 0 means 500 and 4 GiB.
	MaxRatio      int64
	MaxRatioAfter int64
	// Nested has the content of archives inside layers examined as well: packages,
	// wheels, zip files and tar archives, up to 4 deep and 64 GiB decoded a layer, but no more than 256 MiB
	// and 500 times its blob. An archive
	// that cannot be read then makes the verdict "unknown". Without it only what
	// archives list is judged. It takes time.
	Nested bool
	// Strict denies the forward-compatibility package where it is fine otherwise.
	Strict bool
	// Policy holds exceptions from the rules; nil is none.
	Policy *Policy
}

// maxParallel is how many layers are read at once where there are processors enough.
const maxParallel = 6

func (o Options) withDefaults() Options {
	o.Parallel = cmp.Or(o.Parallel, min(runtime.GOMAXPROCS(0), maxParallel))
	o.MaxLayerBytes = cmp.Or(o.MaxLayerBytes, 256<<30)
	o.MaxEntries = cmp.Or(o.MaxEntries, 5_000_000)
	o.MaxRatio = cmp.Or(o.MaxRatio, 500)
	o.MaxRatioAfter = cmp.Or(o.MaxRatioAfter, 4<<30)
	return o
}

// Verifier judges images and remembers the layers it has seen, so that a layer that
// several images share is read once, if it is the same file, or the same blob of the same
// repository: every copy is read. It is safe for concurrent use.
type Verifier struct {
	opts   Options
	layers *layer.Reader
}

// New returns a Verifier with an empty memory.
func New(opts Options) *Verifier {
	opts = opts.withDefaults()
	if _, err := build(); err != nil && opts.CacheDir != "" {
		slog.Warn("cache of facts not used", "dir", opts.CacheDir, "because", err)
	}
	return &Verifier{opts, layer.NewReader(opts.layers())}
}

// layers is what the reader of layers has to know.
func (o Options) layers() layer.Options {
	id, _ := build()
	return layer.Options{
		CacheDir: o.CacheDir, TrustDigests: o.TrustDigests, TempDir: o.TempDir, Parallel: o.Parallel, MaxLayerBytes: o.MaxLayerBytes,
		MaxEntries: o.MaxEntries, MaxRatio: o.MaxRatio, MaxRatioAfter: o.MaxRatioAfter, Nested: o.Nested, Version: id,
	}
}

// Memory is how many bytes the Verifier keeps within if garbage is collected in time, as
// [runtime/debug.SetMemoryLimit] has it: less would collect all the time.
func (v *Verifier) Memory() int64 { return v.layers.Memory() }

// Command is what a container is to start in place of what its image says. The zero value
// is what the image says.
type Command struct {
	Args       []string // a program and its arguments; nil are those of entrypoint and command
	Env        []string // beside the image's, which it overrules
	WorkingDir string   // "" is the image's
	Unhooked   bool     // containers get no GPU, so no runtime hook runs ldconfig in them
}

// in returns an image's configuration with the command in place of its own.
func (c Command) in(file *v1.ConfigFile) *v1.ConfigFile {
	own := *file
	if own.Config.Env = slices.Concat(own.Config.Env, c.Env); c.Args != nil {
		own.Config.Entrypoint, own.Config.Cmd = c.Args, nil
	}
	own.Config.WorkingDir = cmp.Or(c.WorkingDir, own.Config.WorkingDir)
	return &own
}

// Image judges img. ref is what the report calls it.
//
// An error means that the image could not be read (a missing blob, a registry that
// is down, a cancelled ctx); then there is no report. Everything that was read and
// is bad or not understood is a finding.
func (v *Verifier) Image(ctx context.Context, ref string, img v1.Image) (Report, error) {
	return v.Command(ctx, ref, img, Command{})
}

// Command judges img as Image does, for containers that start something else than it says: what
// is predicted of its program is about that. Layers that this Verifier has read are not read again.
func (v *Verifier) Command(ctx context.Context, ref string, img v1.Image, c Command) (Report, error) {
	start := time.Now()
	in, err := inspect(img)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	in.config = c.in(in.config)
	facts, from, err := v.layers.All(ctx, in.refs())
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	r := Report{Ref: ref, Digest: in.digest, Config: in.configDigest, Platform: in.platform, Rules: RulesVersion(), Stats: statsOf(facts, from)}
	all := view.New(in.config, facts, c.Unhooked)
	r.Libcuda = Libcuda(all.Libcuda())
	demand, whole := all.Whole()
	r.Portability = portability(demand)
	r.Findings = v.settle(append(in.findings(facts, all), in.whole(whole)...))
	r.Verdict = judge(r.Findings)
	r.Stats.Seconds = time.Since(start).Seconds()
	return r, nil
}

// settle applies what the caller wants to be different from the rules.
func (v *Verifier) settle(findings []Finding) []Finding {
	for i := range findings {
		if v.opts.Strict && findings[i].Rule == rules.ForwardCompat {
			findings[i].Severity = SeverityFail
		}
	}
	return v.opts.Policy.apply(findings, time.Now())
}

// statsOf adds up what reading the layers cost.
func statsOf(facts []*layer.Facts, from []layer.Origin) Stats {
	stats := Stats{Layers: len(facts)}
	for i, f := range facts {
		switch from[i] {
		case layer.FromBlob:
			stats.BytesRead += f.Size
		case layer.FromCache:
			stats.Known++
			stats.BytesCached += f.Size
		case layer.FromOther:
			stats.BytesCached += f.Size
		}
	}
	return stats
}
