#!/bin/sh
# run.sh - opens the window; without a display it starts the same engine in the terminal.
set -eu
if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
	into="${HOME:-.}/Downloads"
	echo "There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), so the window cannot open."
	echo "Starting the same engine in the terminal instead: it receives into $into and asks first. Ctrl-C ends it."
	exec env CGO_ENABLED=0 go run ./cmd/multipeer-cli receive --into "$into"
fi
sh scripts/deps.sh build
echo "Building the window; the first build takes a few minutes."
go build -tags migrated_fynedo -o build/multipeer .
exec build/multipeer "$@"
