#!/bin/sh
# Draws growth.svg anew from what the benchmark printed: see docs/performance.md.
set -e
cd "$(dirname "$0")"
drawn=$(mktemp)
trap 'rm -f "$drawn"' EXIT
go run ../../internal/bench/plot -o "$drawn" <growth.txt >/dev/null
cat "$drawn"
