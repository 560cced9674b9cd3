#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other (go test takes one target at a time), for a while
# ("20s") or for a number of executions ("10000000x"). Ends with a table: executions, seconds, most memory of a process.
set -euo pipefail
time=${1:-20s}
shift || true
# Coverage of goroutines is unsteady: minimizing what seems interesting would take all of the time.
run() { go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 10x "$2"; }
# What the kernel counted for this process and its children, in kB: peaks are sampled, most of a run is alike.
watch() { while sleep 1; do ps -o rss= -o args= -A | awk -v name="-test.fuzz=^$1" 'index($0, name) {print $1}'; done; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
found=0
while IFS=: read -r file name; do
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  found=$((found + 1))
  echo "cudabuild: fuzz $name in $(dirname "$file") for $time" >&2
  watch "$name" > "$log/rss" & watcher=$!
  begun=$SECONDS
  run "$name" "$(dirname "$file")" | tee "$log/out" >&2
  kill "$watcher" && wait "$watcher" || true
  execs=$(grep -o 'execs: [0-9]*' "$log/out" | tail -n 1 | cut -d ' ' -f 2)
  printf '%s %s %s %s\n' "$name" "$execs" "$((SECONDS - begun))" "$(sort -n "$log/rss" | tail -n 1)" >> "$log/table"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's/:func /:/' | sort)
if [ "$found" -eq 0 ]; then
  echo "cudabuild: error: no fuzz target found" >&2
  exit 1
fi
awk 'BEGIN {printf "%-20s %12s %8s %8s\n", "TARGET", "EXECUTIONS", "SECONDS", "MB"} {printf "%-20s %12d %8d %8.0f\n", $1, $2, $3, $4 / 1000}' "$log/table"
