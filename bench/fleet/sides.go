// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const program = "bin/cudabuild"

// side is one contestant.
type side struct {
	name     string
	command  func(rows int) []string
	one, ten []float64
}

func (s *side) add(rows int, seconds float64) {
	if rows == 1 {
		s.one = append(s.one, seconds)
		return
	}
	s.ten = append(s.ten, seconds)
}

// fleet has another time limit each time: the same command would wait until the objects of the one before are gone.
func (r *race) fleet(rows int) []string {
	r.turn++
	limit := time.Duration(60+r.turn) * time.Second
	return []string{"fleet", "run", "--json", "--gpus", "none", "--observer", r.observer, "--timeout", limit.String(), "--repeat", strconv.Itoa(rows), r.refs[0]}
}

func (r *race) direct(rows int) []string {
	return []string{"gpu", "--json", "--gpus", "none", "--engine", "direct", "--state-dir", r.work, "--repeat", strconv.Itoa(rows), r.refs[0]}
}

// make has a side make rows, which are all of an image that found no device.
func (r *race) make(ctx context.Context, s *side, rows int) (seconds float64, err error) {
	out, seconds, err := r.cudabuild(ctx, s.command(rows)...)
	var doc struct{ Rows []struct{ Result string } }
	if err := errors.Join(err, json.Unmarshal(out, &doc)); err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	if len(doc.Rows) != rows || doc.Rows[0].Result != "waived" {
		return 0, fmt.Errorf("%s: %d rows, want %d that are waived\n%s", s.name, len(doc.Rows), rows, out)
	}
	return seconds, nil
}

// plan plans rows for two images and five architectures.
func (r *race) plan(ctx context.Context, rows int) (seconds float64, err error) {
	args := []string{"fleet", "plan", "--json", "--gpu", "sm_75,sm_80,sm_86,sm_89,sm_90", "--repeat", strconv.Itoa(rows / 10)}
	out, seconds, err := r.cudabuild(ctx, append(args, r.refs...)...)
	var doc struct{ Rows []struct{} }
	if err := errors.Join(err, json.Unmarshal(out, &doc)); err != nil {
		return 0, fmt.Errorf("plan: %w", err)
	}
	if len(doc.Rows) != rows {
		return 0, fmt.Errorf("plan: %d rows, want %d", len(doc.Rows), rows)
	}
	return seconds, nil
}

// install puts the observer into the registry.
func (r *race) install(ctx context.Context) (ref string, err error) {
	out, _, err := r.cudabuild(ctx, "fleet", "install", "--to", registry+"/observe")
	return strings.TrimSpace(string(out)), err
}

// cudabuild runs the program. Code 3 is that of rows without a device.
func (r *race) cudabuild(ctx context.Context, args ...string) (out []byte, seconds float64, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), "CUDABUILD_CACHE_DIR="+r.facts), os.Stderr
	begun := time.Now()
	out, err = cmd.Output()
	if cmd.ProcessState.ExitCode() == 3 {
		err = nil
	}
	return out, time.Since(begun).Seconds(), err
}
