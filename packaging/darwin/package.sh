#!/bin/sh
# package.sh - creates build/packages/Multipeer.app on a Mac: packaged by Fyne's tool from a copy (it rewrites
# FyneApp.toml), completed, and signed: with the identity in SIGN_AS for any Mac, otherwise for this Mac only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
git -C "$root" archive HEAD | tar -xf - -C "$tmp"
cd "$tmp"
go run fyne.io/tools/cmd/fyne@v1.7.4 package --target darwin --app-build 1 --tags migrated_fynedo
sh "$here/patch-plist.sh" Multipeer.app/Contents/Info.plist
plutil -lint Multipeer.app/Contents/Info.plist
codesign --force --options runtime --entitlements "$here/app.entitlements" --sign "${SIGN_AS:--}" Multipeer.app
mkdir -p "$root/build/packages"
ditto -c -k --keepParent Multipeer.app "$root/build/packages/Multipeer-macos.zip"
