// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"time"

	bkllb "github.com/moby/buildkit/client/llb"
)

// file is a file that steps read. Few differ from one CUDA release to the next.
type file struct {
	place, title string // of its vertex
	path, text   string
	epoch        int64
}

// files are those that graphs share, for whatever platform: BuildKit gives file ops none.
type files struct{ memo[file, bkllb.State] }

func (f *files) state(k file) bkllb.State {
	if state, ok := f.find(k); ok {
		return state
	}
	state := bkllb.Scratch().File(
		bkllb.Mkfile(k.path, 0o644, []byte(k.text), bkllb.WithCreatedTime(time.Unix(k.epoch, 0))),
		bkllb.WithCustomNamef("[%s] %s", k.place, k.title))
	return f.keep(k, bkllb.NewState(share(state.Output())))
}
