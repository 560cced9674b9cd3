#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other (go test takes one target at a time).
set -euo pipefail
time=${1:-20s}
found=0
while IFS=: read -r file name; do
  found=$((found + 1))
  echo "cudabuild: fuzz $name in $(dirname "$file") for $time" >&2
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 100x "$(dirname "$file")"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's/:func /:/' | sort)
if [ "$found" -eq 0 ]; then
  echo "cudabuild: error: no fuzz target found" >&2
  exit 1
fi
