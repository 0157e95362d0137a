#!/bin/sh
# fuzz.sh TIME - runs each fuzz target for TIME.
set -eu
for package in $(CGO_ENABLED=0 go list ./engine/... ./transfer/... ./ui/...); do
	for target in $(CGO_ENABLED=0 go test -tags ci,migrated_fynedo -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		CGO_ENABLED=0 go test -tags ci,migrated_fynedo -run '^$' -fuzz "^$target\$" -fuzztime "${1:-1m}" "$package"
	done
done
