#!/bin/sh
# check.sh - checks formatting, vet on every system, staticcheck, and that go.mod is up to date.
set -eu
tags=migrated_fynedo
pure="./bridge/... ./cmd/... ./engine/... ./examples/... ./icons/... ./internal/... ./packaging/... ./tools/... ./transfer/... ./ui/..."
echo "== gofumpt"
bad=$(go run mvdan.cc/gofumpt@v0.12.0 -l .)
[ -z "$bad" ] || { echo "not formatted by gofumpt:"; echo "$bad"; exit 1; }
echo "== vet"
go vet -tags $tags .
for target in linux/amd64 windows/amd64 darwin/arm64; do
	# shellcheck disable=SC2086 # a list of packages
	GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go vet -tags ci,$tags $pure
done
for module in bench examples/lightcycle internal/testing/browser; do
	CGO_ENABLED=0 go vet -C $module ./...
done
for target in linux/arm64 windows/amd64 darwin/arm64; do
	GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go build -o /dev/null ./cmd/multipeer-cli
done
echo "== staticcheck"
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags $tags ./...
for module in bench examples/lightcycle internal/testing/browser; do
	(cd $module && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...)
done
if command -v shellcheck >/dev/null 2>&1; then
	echo "== shellcheck"
	shellcheck scripts/*.sh packaging/darwin/*.sh .ci/run
fi
if command -v desktop-file-validate >/dev/null 2>&1; then
	echo "== desktop entry"
	desktop-file-validate packaging/linux/multipeer.desktop
fi
if command -v appstreamcli >/dev/null 2>&1; then
	echo "== AppStream"
	info=$(mktemp -d)
	sed 's/@VERSION@/0.1.0/; s/@DATE@/2026-01-01/' packaging/linux/io.github.multipeer.Multipeer.metainfo.xml >"$info/io.github.multipeer.Multipeer.metainfo.xml"
	appstreamcli validate --no-net --pedantic "$info"/*.xml
	rm -r "$info"
fi
echo "== actionlint"
go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
echo "== modules"
for module in . bench examples/lightcycle internal/testing/browser; do
	go mod tidy -C $module -diff
done
go mod verify
