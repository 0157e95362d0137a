#!/bin/sh
# run.sh [ARGUMENT...] - builds and opens the window. Without a display, it starts the same engine in the terminal; while
# the window is built for the first time, it does so too.
set -eu
into="${HOME:-.}/Downloads"
tags=migrated_fynedo
slowest=fyne.io/fyne/v2/internal/driver/glfw # depends on the package that takes most of the time

build_cli() {
	CGO_ENABLED=0 sh scripts/progress.sh "compiled" go build -v -o build/multipeer-cli ./cmd/multipeer-cli
}

build_window() {
	sh scripts/progress.sh "the window: compiled" go build -v -tags $tags -o build/multipeer .
}

# receive_meanwhile builds the window while the command-line tool receives, and stops that program when the window is
# built.
receive_meanwhile() {
	build_window &
	build=$!
	# Without job control, a shell starts background commands with an empty standard input and without Ctrl-C.
	exec 3<&0
	build/multipeer-cli receive --into "$into" <&3 &
	receive=$!
	exec 3<&-
	trap 'kill $build $receive 2>/dev/null; wait; exit 130' INT TERM
	code=0
	wait $build || code=$?
	kill $receive 2>/dev/null || true
	wait $receive || true
	trap - INT TERM
	return $code
}

if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
	echo "There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), so the window cannot open."
	echo "Building the same engine for the terminal; the first build takes about a minute."
	build_cli
	echo "The command-line tool receives into $into and asks first. Ctrl-C ends it."
	exec build/multipeer-cli receive --into "$into"
fi
sh scripts/deps.sh build
if [ "$(go list -tags $tags -f '{{.Stale}}' $slowest)" = false ]; then
	echo "Building the window."
	build_window
else
	echo "Building the command-line tool first, which takes about a minute; the window takes four more minutes on two processors, most of it for one package, the graphics library."
	build_cli
	echo "Until the window is built, the command-line tool receives into $into and asks first. Ctrl-C ends both."
	receive_meanwhile
fi
echo "Opening the window. Ctrl-C closes it."
exec build/multipeer "$@"
