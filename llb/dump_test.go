// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// graph is a marshalled definition, taken apart.
type graph struct {
	ops     []*pb.Op
	digests []digest.Digest
	names   []string
	at      map[digest.Digest]int
}

func parse(t testing.TB, def *bkllb.Definition) graph {
	t.Helper()
	g := graph{at: map[digest.Digest]int{}}
	for i, data := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		d := digest.FromBytes(data)
		g.ops, g.digests = append(g.ops, op), append(g.digests, d)
		g.names = append(g.names, def.Metadata[d].Description["llb.customname"])
		g.at[d] = i
	}
	return g
}

// dump writes one op a line: number, kind, inputs, what it does, name, constraints.
func (g graph) dump() string {
	var s strings.Builder
	for i, op := range g.ops {
		line := fmt.Sprintf("%02d %s", i, g.describe(op))
		if g.names[i] != "" {
			line += fmt.Sprintf(" %q", cut(g.names[i], 60))
		}
		if op.Platform != nil {
			line += " | " + op.Platform.OS + "/" + op.Platform.Architecture
		}
		s.WriteString(line + "\n")
	}
	return s.String()
}

func (g graph) describe(op *pb.Op) string {
	switch o := op.Op.(type) {
	case *pb.Op_Source:
		return "source " + shortDigests(o.Source.Identifier) + " " + values(o.Source.Attrs)
	case *pb.Op_File:
		return "file " + files(o.File)
	case *pb.Op_Exec:
		return "exec " + strings.Join(o.Exec.Meta.Args, " ") + " env{" + env(o.Exec) + "} mounts{" + g.mounts(op, o.Exec) + "}" + secrets(o.Exec)
	case nil:
		return "result " + g.input(op, 0)
	default:
		return fmt.Sprintf("UNEXPECTED %T", o)
	}
}

func (g graph) input(op *pb.Op, i int64) string {
	if i < 0 || int(i) >= len(op.Inputs) {
		return "scratch"
	}
	in := op.Inputs[i]
	return fmt.Sprintf("%02d.%d", g.at[digest.Digest(in.Digest)], in.Index)
}

func (g graph) mounts(op *pb.Op, exec *pb.ExecOp) string {
	var list []string
	for _, m := range exec.Mounts {
		text := m.Dest + "=" + g.input(op, m.Input)
		switch m.MountType {
		case pb.MountType_TMPFS:
			text = m.Dest + "=tmpfs"
		case pb.MountType_CACHE:
			text = m.Dest + "=cache:" + m.CacheOpt.ID + ":" + strings.ToLower(m.CacheOpt.Sharing.String())
		case pb.MountType_SECRET:
			text = m.Dest + "=secret:" + m.SecretOpt.ID
			if m.SecretOpt.Optional {
				text += "?"
			}
		}
		if m.Selector != "" {
			text += m.Selector
		}
		if m.Readonly {
			text += ":ro"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func env(exec *pb.ExecOp) string {
	var list []string
	for _, e := range exec.Meta.Env {
		name, value, _ := strings.Cut(e, "=")
		if strings.Contains(value, "\n") {
			value = short(digest.FromString(value))
		}
		list = append(list, name+"="+value)
	}
	return strings.Join(list, ", ")
}

func secrets(exec *pb.ExecOp) string {
	var s string
	for _, e := range exec.Secretenv {
		s += " secretenv{" + e.ID + "}"
	}
	if exec.Network != pb.NetMode_UNSET || exec.Security != pb.SecurityMode_SANDBOX {
		s += fmt.Sprintf(" network=%s security=%s", exec.Network, exec.Security)
	}
	return s
}

func files(op *pb.FileOp) string {
	var list []string
	for _, a := range op.Actions {
		if m := a.GetMkfile(); m != nil && strings.HasSuffix(m.Path, ".cu") {
			list = append(list, fmt.Sprintf("mkfile %s %o source", m.Path, m.Mode)) // edited often
			continue
		} else if m != nil {
			list = append(list, fmt.Sprintf("mkfile %s %o %d bytes %s", m.Path, m.Mode, len(m.Data), short(digest.FromBytes(m.Data))))
			continue
		}
		list = append(list, fmt.Sprintf("UNEXPECTED %T", a.Action))
	}
	return strings.Join(list, ", ")
}

func values(attrs map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		list = append(list, name+"="+attrs[name])
	}
	return strings.Join(list, " ")
}

func short(d digest.Digest) string { return d.Encoded()[:8] }

func shortDigests(s string) string {
	before, hex, ok := strings.Cut(s, "@sha256:")
	if !ok {
		return s
	}
	return before + "@" + hex[:8]
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
