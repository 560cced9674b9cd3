// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// collector takes the link-time stubs out of an archive that is written to it.
type collector struct {
	*io.PipeWriter
	done  chan struct{}
	found files
}

func newCollector() *collector {
	r, w := io.Pipe()
	c := &collector{PipeWriter: w, done: make(chan struct{}), found: files{}}
	go func() {
		defer close(c.done)
		c.collect(tar.NewReader(r))
		_, _ = io.Copy(io.Discard, r)
	}()
	return c
}

// collect ends with the archive; what is wrong with it is for the verifier to say.
func (c *collector) collect(archive *tar.Reader) {
	for {
		h, err := archive.Next()
		if err != nil {
			return
		}
		p := path.Clean("/" + h.Name)[1:]
		if h.Typeflag != tar.TypeReg || path.Base(path.Dir(p)) != "stubs" || path.Ext(p) != ".so" {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return
		}
		c.found[p] = imagetest.File(data)
	}
}

// close returns the stubs by path.
func (c *collector) close() files {
	_ = c.Close()
	<-c.done
	return c.found
}

// harmless puts stubs where they do harm and returns the cases that do not fail: their
// directory on the linker's path, and each under the name that programs load.
func harmless(ctx context.Context, stubs files) []string {
	if len(stubs) == 0 {
		return []string{"it has no stubs"}
	}
	const linker = "lib64/ld-linux-x86-64.so.2" // without it no program runs and nothing is loaded
	var passed []string
	check := func(what string, changed files) {
		changed[linker] = imagetest.File(imagetest.ELF{SOName: path.Base(linker)}.Bytes())
		img := layers(stubs, changed)
		if r, err := verify.New(verify.Options{TrustDigests: true}).Image(ctx, what, img); err != nil || r.Verdict != verify.Fail {
			passed = append(passed, fmt.Sprintf("%s: verdict %q, %v", what, r.Verdict, err))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(stubs)) {
		if path.Base(at) == "libcuda.so" {
			check(path.Dir(at)+" in ld.so.conf", files{"etc/ld.so.conf": {Data: "/" + path.Dir(at) + "\n"}})
		}
		loaded := soNameOf(path.Base(at), stubs[at])
		user := imagetest.ELF{Interp: "/" + linker, Needed: []string{loaded}}
		check(at+" linked as "+loaded, files{"usr/lib/" + loaded: {Symlink: "/" + at}, "usr/bin/user": imagetest.File(user.Bytes())})
	}
	return passed
}

// soNameOf returns what a stub calls itself: libcuda.so is libcuda.so.1.
func soNameOf(name string, stub imagetest.Entry) string {
	return regexp.MustCompile(regexp.QuoteMeta(name) + `(\.[0-9]+)+`).FindString(stub.Data)
}
