// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Options tunes a [Verifier]. The zero value is good.
type Options struct {
	// CacheDir keeps what was learned about each layer, by digest, rule set and copy.
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
	opts  Options
	slots *slots
	sweep sync.Once // of the cache

	mu     sync.Mutex
	layers map[copyKey]*call
	weight int64           // of the facts in layers
	fresh  map[string]bool // digests of layers that were read and kept
}

// maxFacts bounds what is kept in memory of the layers of one image, in bytes, and
// from where on a Verifier forgets layers that it may not need again. Eight bytes
// a path: a large image has half a million of them.
const maxFacts = 64 << 20

// New returns a Verifier with an empty memory.
func New(opts Options) *Verifier {
	opts = opts.withDefaults()
	opts.CacheDir = ownCache(opts.CacheDir)
	return &Verifier{opts: opts, slots: newSlots(opts.Parallel), layers: map[copyKey]*call{}, fresh: map[string]bool{}}
}

// Memory is how many bytes the Verifier keeps within if garbage is collected in time, as
// [runtime/debug.SetMemoryLimit] has it: less would collect all the time.
func (v *Verifier) Memory() int64 { return int64(140+60*v.opts.Parallel) << 20 }

// Image judges img. ref is what the report calls it.
//
// An error means that the image could not be read (a missing blob, a registry that
// is down, a cancelled ctx); then there is no report. Everything that was read and
// is bad or not understood is a finding.
func (v *Verifier) Image(ctx context.Context, ref string, img v1.Image) (Report, error) {
	start := time.Now()
	in, err := inspect(img)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	facts, stats, err := v.readLayers(ctx, in.layers)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", ref, err)
	}
	r := Report{Ref: ref, Digest: in.digest, Config: in.configDigest, Platform: in.platform, Rules: RulesVersion(), Stats: stats}
	layers := newView(facts...)
	merged := mergedView(in, layers)
	r.Libcuda = merged.libcuda()
	program := merged.scope()
	d := demandOf(in, layers, program)
	d.Compat, d.CompatAside, d.Searches = merged.seen, merged.beside, merged.ways
	halt := merged.start(layers)
	d.cannotStart, d.hosts = halt.why, merged.hostLibraries(d.scope.counts)
	d.doubt("%s", halt.unsure)
	d.doubts(merged.leak())
	asks := d.request(in.config.Config.Env, merged.hostLibraries(func(p string) bool { return program.loads[p] || d.isPart(p) }))
	r.Portability = d.portability()
	said := slices.Concat(in.strange(), d.disagreements(), asks.findings(&d), merged.preloads(in, layers), halt.finding())
	r.Findings = v.settle(append(assemble(in, layers, merged.all()), said...))
	r.Verdict = judge(r.Findings)
	r.Stats.Seconds = time.Since(start).Seconds()
	return r, nil
}

// settle applies what the caller wants to be different from the rules.
func (v *Verifier) settle(findings []Finding) []Finding {
	for i := range findings {
		if v.opts.Strict && findings[i].Rule == ruleForwardCompat {
			findings[i].Severity = SeverityFail
		}
	}
	return v.opts.Policy.apply(findings, time.Now())
}

// readLayers returns the facts of all layers, in order.
func (v *Verifier) readLayers(ctx context.Context, layers []layerRef) ([]*layerFacts, Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	facts, from, errs := make([]*layerFacts, len(layers)), make([]origin, len(layers)), make([]error, len(layers))
	var wg sync.WaitGroup
	var weight atomic.Int64
	for i := range layers {
		wg.Go(func() {
			facts[i], from[i], errs[i] = v.layer(ctx, layers[i])
			if errs[i] == nil && weight.Add(facts[i].weight()) > maxFacts {
				errs[i] = errTooMuch
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("layer %d (%s): %w", i, layers[i].digest, errs[i])
				cancel()
			}
		})
	}
	wg.Wait()
	if err := firstCause(errs); err != nil {
		return nil, Stats{}, err
	}
	stats := Stats{Layers: len(layers)}
	for i, f := range facts {
		switch from[i] {
		case readHere:
			stats.BytesRead += f.Size
		case known:
			stats.Known++
			stats.BytesCached += f.Size
		case shared:
			stats.BytesCached += f.Size
		}
	}
	return facts, stats, nil
}

// errTooMuch means that the layers hold more than fits in bounded memory.
var errTooMuch = errors.New("the layers hold more paths and findings than can be judged")

// firstCause prefers the error that made the others give up.
func firstCause(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}
