#!/usr/bin/env bash
# Runs every fuzz target of the module for a while ("20s") or for a number of executions ("10000000x"), as many at a time
# as there are processors, one worker each. Ends with a table: executions, seconds, most memory of a process.
set -euo pipefail
time=${1:-20s}
shift || true
# What steers the fuzzer: our code, and the parsers whose results it walks. "go test -fuzz" takes every package that is
# linked in, and then clears and compares tens of thousands of counters for an execution that is over long before.
guides=(-gcflags={github.com/cudabuild/cudabuild/...,gopkg.in/yaml.v3,archive/tar}=-d=libfuzzer)
# Coverage of goroutines is unsteady: minimizing what seems interesting would take all of the time. What is found
# interesting is kept where "go test -fuzz" keeps it.
run() {
  (cd "$2" && "$log/${2//\//-}" -test.run='^$' -test.fuzz="^$1\$" -test.fuzztime="$time" -test.fuzzminimizetime=10x \
    -test.parallel=1 -test.fuzzcachedir="$cache/$2")
}
# What the kernel counted for this process and its children, in kB: peaks are sampled, most of a run is alike.
watch() { while sleep 1; do ps -o rss= -o args= -A | awk -v name="-test.fuzz=^$1" 'index($0, name) {print $1}'; done; }
target() {
  local begun=$SECONDS out="$log/${2//\//-}.$1"
  watch "$1" > "$out.rss" & local watcher=$!
  run "$1" "$2" 2>&1 | tee "$out" | sed -u "s/^/$1: /" >&2 || echo "$1 in $2" >> "$log/failed"
  kill "$watcher" && wait "$watcher" || true
  local execs
  execs=$(grep -o 'execs: [0-9]*' "$out" | tail -n 1 | cut -d ' ' -f 2)
  printf '%s %s %s %s\n' "$1" "$execs" "$((SECONDS - begun))" "$(sort -n "$out.rss" | tail -n 1)" >> "$log/table"
}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
cache=$(go env GOCACHE)/fuzz/github.com/cudabuild/cudabuild
while IFS=: read -r file name; do
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  dir=$(dirname "${file#./}")
  [ -e "$log/${dir//\//-}" ] || go test -c "${guides[@]}" -o "$log/${dir//\//-}" "./$dir"
  echo "$name $dir" >> "$log/targets"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's/:func /:/' | sort)
if [ ! -e "$log/targets" ]; then
  echo "cudabuild: error: no fuzz target found" >&2
  exit 1
fi
running=0
while read -r name dir; do
  if [ "$running" -ge "$(nproc)" ]; then
    wait -n
    running=$((running - 1))
  fi
  echo "cudabuild: fuzz $name in $dir for $time" >&2
  target "$name" "$dir" &
  running=$((running + 1))
done < "$log/targets"
wait
sort "$log/table" |
  awk 'BEGIN {printf "%-20s %12s %8s %8s\n", "TARGET", "EXECUTIONS", "SECONDS", "MB"} {printf "%-20s %12d %8d %8.0f\n", $1, $2, $3, $4 / 1000}'
if [ -e "$log/failed" ]; then
  sed 's/^/cudabuild: error: failed: /' "$log/failed" >&2
  exit 1
fi
