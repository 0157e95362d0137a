#!/bin/sh
# run.sh [ARGUMENT...] - builds and opens the window; without a display it starts the same engine in the terminal.
set -eu
if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
	into="${HOME:-.}/Downloads"
	echo "There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), so the window cannot open."
	echo "Building the same engine for the terminal; the first build takes about a minute."
	CGO_ENABLED=0 sh scripts/progress.sh "compiled" go build -v -o build/multipeer-cli ./cmd/multipeer-cli
	echo "The terminal program receives into $into and asks first. Ctrl-C ends it."
	exec build/multipeer-cli receive --into "$into"
fi
sh scripts/deps.sh build
echo "Building the window; the first build takes four minutes on two processors, most of it for one package, the graphics library."
sh scripts/progress.sh "compiled" go build -v -tags migrated_fynedo -o build/multipeer .
echo "Opening the window. Ctrl-C closes it."
exec build/multipeer "$@"
