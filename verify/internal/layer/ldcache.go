// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Limits of the linker's cache and of what is said about it.
const (
	maxLinkerCache = 64 << 20
	maxCacheNames  = 5
)

// Layout of the cache (glibc, sysdeps/generic/dl-cache.h): an old part of 12-byte
// entries, a new one of 24-byte entries, or both, in that order.
const (
	oldCacheMagic = "ld.so-1.7.0"
	newCacheMagic = "glibc-ld.so.cache1.1"
	oldCacheHead  = 16
	newCacheHead  = 48
	oldCacheEntry = 12
	newCacheEntry = 24
)

// linkerCache looks for libraries of the driver in ld.so.cache: what a run of ldconfig
// under a GPU runtime leaves, even if the files themselves were only mounted. What the
// cache names elsewhere is kept for the merged view.
func (b *builder) linkerCache(p string, size int64, body io.Reader) error {
	if size > maxLinkerCache {
		b.unreadable(p, fmt.Sprintf("linker cache of more than %d bytes", maxLinkerCache))
		return nil
	}
	return held(size, body, func(data []byte) { b.cachedLibraries(p, data) })
}

func (b *builder) cachedLibraries(p string, data []byte) {
	var driver []string
	seen, more := map[string]bool{}, 0
	err := eachCached(data, func(name, file string) {
		b.linker.inCache(name, file)
		lib, _ := b.rules.LibraryNamed(name)
		entry := name + " => " + file
		switch {
		case lib == nil || lib.Target != "" || lib.Rule.Severity != rules.SeverityFail || seen[entry]:
		case len(driver) < maxCacheNames:
			driver = append(driver, entry)
			seen[entry] = true
		default:
			more++
			seen[entry] = len(seen) < maxHits // what is beyond counts each time
		}
	})
	if err != nil {
		b.unreadable(p, err.Error())
	}
	if len(driver) > 0 {
		detail := "names " + strings.Join(driver, ", ")
		if more > 0 {
			detail += fmt.Sprintf(" and %d more libraries of the driver", more)
		}
		b.hit(rules.LinkerCache, p, detail)
	}
}

var errLinkerCache = errors.New("linker cache: not of a layout that glibc writes")

// eachCached calls each with the name and the file of all entries.
func eachCached(data []byte, each func(name, file string)) error {
	order := binary.ByteOrder(binary.LittleEndian)
	if bytes.HasPrefix(data, []byte(oldCacheMagic)) {
		if len(data) < oldCacheHead {
			return errLinkerCache
		}
		end := oldCacheHead + oldCacheEntry*uint64(order.Uint32(data[12:]))
		if end > uint64(len(data)) {
			return errLinkerCache
		}
		next := (end + 7) &^ 7 // where a new part would begin
		if next >= uint64(len(data)) || !bytes.HasPrefix(data[next:], []byte(newCacheMagic)) {
			return cacheEntries(data[oldCacheHead:end], oldCacheEntry, data[end:], order, each)
		}
		data = data[next:]
	}
	if !bytes.HasPrefix(data, []byte(newCacheMagic)) || len(data) < newCacheHead {
		return errLinkerCache
	}
	if data[28]&3 == 3 { // the flag for big-endian
		order = binary.BigEndian
	}
	end := newCacheHead + newCacheEntry*uint64(order.Uint32(data[20:]))
	if end > uint64(len(data)) {
		return errLinkerCache
	}
	return cacheEntries(data[newCacheHead:end], newCacheEntry, data, order, each)
}

// cacheEntries reads entries that begin with flags and the offsets of two strings. Names are
// mostly a part of a file's, and few are of several files: all texts together are not
// much longer than the cache.
func cacheEntries(entries []byte, size int, text []byte, order binary.ByteOrder, each func(name, file string)) error {
	for left := 4 * (len(entries) + len(text)); len(entries) >= size; entries = entries[size:] {
		name, ok := cString(text, order.Uint32(entries[4:]))
		file, ok2 := cString(text, order.Uint32(entries[8:]))
		if left -= len(name) + len(file); !ok || !ok2 || left < 0 {
			return errLinkerCache
		}
		each(name, file)
	}
	return nil
}

// cString returns the string at an offset, at most archive.MaxName bytes of it.
func cString(text []byte, at uint32) (string, bool) {
	if uint64(at) >= uint64(len(text)) {
		return "", false
	}
	text = text[at:min(uint64(len(text)), uint64(at)+archive.MaxName)]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return string(text), true
}
