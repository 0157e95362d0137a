#!/bin/sh
# pictures.sh - makes docs/screens and the README's screenshots from the test that drives the real window.
set -eu
for tool in import convert; do
	command -v $tool >/dev/null 2>&1 || { echo "This needs ImageMagick: apt-get install imagemagick" >&2; exit 1; }
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
MULTIPEER_FULL=1 MULTIPEER_PICTURES=$out go test -count=1 -tags migrated_fynedo -timeout 20m -run TestStory ./internal/window/
mkdir -p docs/screens
rm -f docs/screens/*.png
for f in "$out"/*.png; do
	convert "$f" -strip -define png:compression-level=9 -define png:compression-filter=0 "PNG24:docs/screens/$(basename "$f")"
done
