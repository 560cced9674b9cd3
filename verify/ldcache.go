// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
func (w *walker) linkerCache(p string, size int64, body io.Reader) error {
	if size > maxLinkerCache {
		w.unreadable(p, fmt.Sprintf("linker cache of more than %d bytes", maxLinkerCache))
		return nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil || size == 0 {
		return err
	}
	var driver []string
	err := eachCached(data, func(name, file string) {
		w.search.inCache(name, file)
		lib, _ := w.rules.libraryNamed(name)
		entry := name + " => " + file
		if lib != nil && lib.Target == "" && lib.rule.Severity == SeverityFail && !slices.Contains(driver, entry) {
			driver = append(driver, entry)
		}
	})
	if err != nil {
		w.unreadable(p, err.Error())
	}
	if n := len(driver); n > 0 {
		detail := "names " + strings.Join(driver[:min(n, maxCacheNames)], ", ")
		if n > maxCacheNames {
			detail += fmt.Sprintf(" and %d more libraries of the driver", n-maxCacheNames)
		}
		w.hit(ruleLinkerCache, p, detail)
	}
	return nil
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

// cacheEntries reads entries that begin with flags and the offsets of two strings.
func cacheEntries(entries []byte, size int, text []byte, order binary.ByteOrder, each func(name, file string)) error {
	for ; len(entries) >= size; entries = entries[size:] {
		name, ok := cString(text, order.Uint32(entries[4:]))
		file, ok2 := cString(text, order.Uint32(entries[8:]))
		if !ok || !ok2 {
			return errLinkerCache
		}
		each(name, file)
	}
	return nil
}

// cString returns the string at an offset, at most maxNameLen bytes of it.
func cString(text []byte, at uint32) (string, bool) {
	if uint64(at) >= uint64(len(text)) {
		return "", false
	}
	text = text[at:min(uint64(len(text)), uint64(at)+maxNameLen)]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return string(text), true
}
