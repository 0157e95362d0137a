#!/bin/sh
# test.sh [-long] - runs the tests of all packages, with the race detector; with -long those that need the machine to
# themselves: attacks, the real window, real networks, a long run. Network namespaces need root; without root, a user
# namespace is used.
set -eu
tags=migrated_fynedo
if [ $# = 0 ]; then
	echo "== build without cgo, everything but the window's main"
	CGO_ENABLED=0 sh scripts/progress.sh "compiled" go build -v -tags $tags ./bridge/... ./cmd/... ./engine/... ./examples/... ./icons/... ./internal/... ./packaging/... ./tools/... ./transfer/... ./ui/...
	CGO_ENABLED=0 sh scripts/progress.sh "compiled" go build -C bench -v -o /dev/null .
fi
sh scripts/progress.sh "compiled" go build -v -o build/runtests ./tools/runtests
if [ "$(uname -s)" = Linux ] && [ "$(id -u)" != 0 ]; then
	exec unshare -Urnm --fork sh -c 'mount -t tmpfs none /run && ip link set lo up && exec build/runtests "$@"' sh "$@"
fi
exec build/runtests "$@"
