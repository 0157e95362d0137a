#!/bin/sh
# run.sh - opens the window; without a display it starts the same engine in the terminal.
set -eu
if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
	into="${HOME:-.}/Downloads"
	echo "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so there can be no window."
	echo "Starting the same engine in the terminal instead: it receives into $into and asks first. Ctrl-C ends it."
	exec env CGO_ENABLED=0 go run ./cmd/multipeer-cli receive --into "$into"
fi
sh scripts/deps.sh build
echo "Building the window; the first time takes some minutes."
go build -tags migrated_fynedo -o build/multipeer .
exec build/multipeer "$@"
