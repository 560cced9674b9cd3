#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, for a while ("20s") or for a number of executions
# ("10000000x"). Ends with a table: executions, seconds, most memory of a process.
set -euo pipefail
time=${1:-20s}
shift || true
# What steers the fuzzer: our code, and the parsers whose results it walks. "go test -fuzz" takes every package that is
# linked in, and then clears and compares tens of thousands of counters for an execution that is over long before.
guides=(-gcflags={github.com/cudabuild/cudabuild/...,gopkg.in/yaml.v3,archive/tar}=-d=libfuzzer)
build() { [ -e "$1/${2//\//-}" ] || go test -c "${guides[@]}" -o "$1/${2//\//-}" "./$2"; }
# Coverage of goroutines is unsteady: minimizing what seems interesting would take all of the time. What is found
# interesting is kept where "go test -fuzz" keeps it.
run() {
  (cd "$3" && "$1/${3//\//-}" -test.run='^$' -test.fuzz="^$2\$" -test.fuzztime="$time" -test.fuzzminimizetime=10x \
    -test.fuzzcachedir="$cache/$3")
}
# What the kernel counted for this process and its children, in kB: peaks are sampled, most of a run is alike.
watch() { while sleep 1; do ps -o rss= -o args= -A | awk -v name="-test.fuzz=^$1" 'index($0, name) {print $1}'; done; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
cache=$(go env GOCACHE)/fuzz/github.com/cudabuild/cudabuild
found=0
while IFS=: read -r file name; do
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  found=$((found + 1))
  dir=$(dirname "${file#./}")
  echo "cudabuild: fuzz $name in $dir for $time" >&2
  build "$log" "$dir"
  watch "$name" > "$log/rss" & watcher=$!
  begun=$SECONDS
  run "$log" "$name" "$dir" | tee "$log/out" >&2
  kill "$watcher" && wait "$watcher" || true
  execs=$(grep -o 'execs: [0-9]*' "$log/out" | tail -n 1 | cut -d ' ' -f 2)
  printf '%s %s %s %s\n' "$name" "$execs" "$((SECONDS - begun))" "$(sort -n "$log/rss" | tail -n 1)" >> "$log/table"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's/:func /:/' | sort)
if [ "$found" -eq 0 ]; then
  echo "cudabuild: error: no fuzz target found" >&2
  exit 1
fi
awk 'BEGIN {printf "%-20s %12s %8s %8s\n", "TARGET", "EXECUTIONS", "SECONDS", "MB"} {printf "%-20s %12d %8d %8.0f\n", $1, $2, $3, $4 / 1000}' "$log/table"
