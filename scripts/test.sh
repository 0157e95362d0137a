#!/bin/sh
# test.sh - every test, with the race detector. Network namespaces need root; without it a user namespace serves.
set -eu
tags=migrated_fynedo
export MULTIPEER_FULL=1 # what cannot run fails instead of being skipped
echo "== build without cgo, everything but the window's main"
CGO_ENABLED=0 go build -tags $tags ./bench/... ./cmd/... ./engine/... ./examples/... ./icons/... ./internal/... ./packaging/... ./transfer/... ./ui/...
echo "== sixteen peers on a bad network for five minutes, beside the other tests (MULTIPEER_SOAK=1h for longer)"
soak_said=$(mktemp)
MULTIPEER_SOAK=${MULTIPEER_SOAK:-5m} go test -race -count=1 -v -timeout 90m ./internal/soak >"$soak_said" 2>&1 &
soak=$!
trap 'kill $soak 2>/dev/null || true; rm -f "$soak_said"' EXIT
echo "== tests"
go test -race -tags $tags -timeout 15m ./bench/... ./cmd/... ./examples/... ./icons/... ./internal/architecture/... ./internal/cli/... ./internal/demo/... ./internal/fence/... ./internal/guards/... ./internal/history/... ./internal/instance/... ./internal/keep/... ./internal/licences/... ./internal/readme/... ./internal/settings/... ./packaging/... ./transfer/...
go test -race -tags $tags -timeout 15m -skip "^TestViews" ./ui/...
go test -race -short -timeout 15m ./engine/...
echo "== the engine's thousands of runs and the window's pictures, which the race detector would make ten times as long"
CGO_ENABLED=0 go test -timeout 15m ./engine
go test -tags $tags -timeout 15m -run "^TestViews" ./ui
wait $soak || { cat "$soak_said"; exit 1; }
tail -n 4 "$soak_said"
if [ "$(uname -s)" != Linux ]; then
	echo "== real networks and the real window are tested on Linux only"
	exit 0
fi
# These build and run the programs, which the cache of test results knows nothing of.
echo "== a hostile peer, and what it does to others"
go test -race -count=1 -timeout 15m ./internal/hostile
echo "== real window"
go test -count=1 -tags $tags -timeout 15m ./internal/window/...
echo "== real networks"
if [ "$(id -u)" = 0 ]; then
	go test -count=1 -tags $tags -timeout 15m ./internal/netlab/...
else
	unshare -Urnm --fork sh -c "mount -t tmpfs none /run && ip link set lo up && go test -count=1 -tags $tags -timeout 15m ./internal/netlab/..."
fi
