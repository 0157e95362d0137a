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
echo "== actionlint"
go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
echo "== modules"
for module in . bench examples/lightcycle internal/testing/browser; do
	go mod tidy -C $module -diff
done
go mod verify
