#!/bin/sh
# pictures.sh - makes the README's screenshots from the test that drives the real window.
set -eu
command -v import >/dev/null 2>&1 || { echo "This needs ImageMagick: apt-get install imagemagick" >&2; exit 1; }
out=$(mktemp -d)
MULTIPEER_PICTURES=$out go test -count=1 -tags migrated_fynedo ./internal/window/
cp "$out/conversation-light.png" "$out/conversation-dark.png" docs/
rm -rf "$out"
