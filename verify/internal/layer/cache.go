// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/verify/internal/symbols"
)

// The cache on disk is one file a layer, named by digest and build: a line with
// the SHA-256 of the rest, a line of JSON, the tables of
// symbols, the path set. It only saves time: a file
// that is missing, damaged or not writable costs a scan.

// Bounds of the cache. Whoever runs many versions of cudabuild, or judges many images once,
// keeps no more than that, and one run's facts.
const (
	cacheKept = 7 * 24 * time.Hour  // facts of another build: somebody may still use it
	cacheUsed = 90 * 24 * time.Hour // facts that nobody uses
	usedStep  = time.Hour           // how exactly the last use is noted
	maxCache  = 1 << 30             // bytes
	maxCopies = 16                  // copies of a layer that facts serve
)

// maxCached bounds the facts of one layer that are kept, in bytes: a name that many
// files share is written as often as they have it, and read as often. A layer with more is
// read each time.
const maxCached = 64 << 20

func cacheFile(opts Options, digest string) string {
	name := strings.ReplaceAll(digest, ":", "-") + "." + opts.Version
	if opts.Nested {
		name += ".nested"
	}
	return filepath.Join(opts.CacheDir, name+".facts")
}

// readCache returns nil if nothing usable is known about the layer. Facts without a
// diff ID serve only those who trust digests.
func readCache(opts Options, digest string) *Facts {
	if opts.CacheDir == "" {
		return nil
	}
	data, err := readOwn(cacheFile(opts, digest))
	if err != nil {
		return nil
	}
	f := decodeFacts(data)
	if f == nil || f.Version != opts.Version || f.Digest != digest || f.DiffID == "" && !opts.TrustDigests {
		return nil
	}
	return f
}

func decodeFacts(data []byte) *Facts {
	sum, rest, _ := bytes.Cut(data, []byte("\n"))
	if got := sha256.Sum256(rest); hex.EncodeToString(got[:]) != string(sum) {
		return nil
	}
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	if len(line) > smallRecord {
		largeRecord.Lock()
		defer largeRecord.Unlock()
	}
	var f Facts
	if json.Unmarshal(line, &f) != nil {
		return nil
	}
	tables, paths, ok := symbols.Read(rest)
	if !ok {
		return nil
	}
	f.Linker.Tables = tables
	f.Linker.Bind()
	f.Linker.Share()
	f.Paths = make(Paths, len(paths)/8)
	for i := range f.Paths {
		f.Paths[i] = binary.LittleEndian.Uint64(paths[8*i:])
	}
	return &f
}

// writeCache keeps f unless something in the layer was not understood: that may
// be better next time.
func writeCache(opts Options, f *Facts) {
	dir := opts.CacheDir
	if dir == "" || !f.Complete() || f.weight()+int64(f.Linker.Words()) > maxCached || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, ".facts-*")
	if err != nil {
		return
	}
	defer os.Remove(tmp.Name())
	err = encodeFacts(tmp, f)
	if closeErr := tmp.Close(); err == nil && closeErr == nil {
		_ = os.Rename(tmp.Name(), cacheFile(opts, f.Digest))
	}
}

// encodeFacts writes the sum last, in the place it left for it.
func encodeFacts(file *os.File, f *Facts) error {
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := file.Seek(2*sha256.Size+1, io.SeekStart); err != nil {
		return err
	}
	w := bufio.NewWriterSize(io.MultiWriter(file, sum), 64<<10)
	_, _ = w.Write(append(line, '\n'))
	_, _ = w.Write(symbols.Append(nil, f.Linker.Tables))
	for _, h := range f.Paths {
		_, _ = w.Write(binary.LittleEndian.AppendUint64(w.AvailableBuffer(), h))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(hex.EncodeToString(sum.Sum(nil))+"\n"), 0)
	return err
}

// touchCache notes a use of the facts: the file's time is when they were used last.
func touchCache(opts Options, digest string) {
	file := cacheFile(opts, digest)
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > usedStep {
		now := time.Now()
		_ = os.Chtimes(file, now, now)
	}
}

// sweepCache removes what other builds left behind, what interrupted runs did, what
// nobody has used for long, and of the rest what was used longest ago until it has no
// more than most bytes. Others may sweep and read at the same time: who has a file open
// reads on, and who misses one reads the layer.
func sweepCache(dir, version string, most int64) {
	type file struct {
		name string
		used time.Time
		size int64
	}
	var files []file
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		ours := strings.HasPrefix(e.Name(), "sha256-") || strings.HasPrefix(e.Name(), ".facts-")
		if err != nil || !ours {
			continue
		}
		kept := cacheUsed
		if !strings.Contains(e.Name(), "."+version+".") {
			kept = cacheKept
		}
		if time.Since(info.ModTime()) > kept {
			_ = os.Remove(filepath.Join(dir, e.Name()))
			continue
		}
		files = append(files, file{e.Name(), info.ModTime(), info.Size()})
	}
	slices.SortFunc(files, func(a, b file) int { return b.used.Compare(a.used) }) // the last used first
	for _, f := range files {
		if most -= f.size; most < 0 {
			_ = os.Remove(filepath.Join(dir, f.name))
		}
	}
}
