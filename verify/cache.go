// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// The cache on disk is one JSON file a layer, named by digest and rule set. It
// only saves time: a file that is missing, damaged or not writable costs a scan.

func cacheFile(dir, digest string) string {
	return filepath.Join(dir, strings.ReplaceAll(digest, ":", "-")+"."+RulesVersion()+".json")
}

// readCache returns nil if nothing usable is known about the layer. Facts without a
// diff ID serve only those who trust digests.
func readCache(opts Options, digest string) *layerFacts {
	if opts.CacheDir == "" {
		return nil
	}
	data, err := os.ReadFile(cacheFile(opts.CacheDir, digest))
	if err != nil {
		return nil
	}
	var f layerFacts
	if json.Unmarshal(data, &f) != nil || f.Rules != RulesVersion() || f.Digest != digest || f.DiffID == "" && !opts.TrustDigests {
		return nil
	}
	return &f
}

// writeCache keeps f unless something in the layer was not understood: that may
// be better next time.
func writeCache(dir string, f *layerFacts) {
	if dir == "" || !f.complete() || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, ".facts-*")
	if err != nil {
		return
	}
	defer os.Remove(tmp.Name())
	err = json.NewEncoder(tmp).Encode(f)
	if closeErr := tmp.Close(); err == nil && closeErr == nil {
		_ = os.Rename(tmp.Name(), cacheFile(dir, f.Digest))
	}
}
