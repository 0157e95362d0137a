#!/bin/sh
# pictures.sh - draws every state of the real window into build/pictures, and copies those that a page shows to
# docs/screens.
set -eu
for tool in import convert; do
	command -v $tool >/dev/null 2>&1 || { echo "This needs ImageMagick: apt-get install imagemagick" >&2; exit 1; }
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
MULTIPEER_FULL=1 MULTIPEER_PICTURES=$out go test -count=1 -tags migrated_fynedo -timeout 20m -run TestStory ./internal/testing/window/
mkdir -p build/pictures docs/screens
rm -f build/pictures/*.png
for f in "$out"/*.png; do
	convert "$f" -strip -define png:compression-level=9 -define png:compression-filter=0 "PNG24:build/pictures/$(basename "$f")"
done
grep -hoE 'screens/[a-z0-9-]+\.png' README.md docs/*.md | sort -u | while read -r f; do
	cp "build/pictures/$(basename "$f")" "docs/$f"
done
