#!/bin/sh
# patch-plist.sh INFO.PLIST - adds keys that Fyne's tool does not support to an Info.plist of macOS or iOS, between
# packaging and signing: without the usage text these systems deny access to the local network without asking.
set -eu
here=$(dirname "$0")
[ -f "$1" ] || { echo "no file $1" >&2; exit 1; }
grep -q NSLocalNetworkUsageDescription "$1" && { echo "$1 has it already"; exit 0; }
awk 'FNR==NR {extra = extra $0 "\n"; next} /^<\/dict>/ {printf "%s", extra} {print}' "$here/extra.plist.xml" "$1" >"$1.new"
sed -i.old 's|<string>10\.11</string>|<string>12.0</string>|' "$1.new" # the minimum for Go
rm -f "$1.new.old"
mv "$1.new" "$1"
grep -q NSLocalNetworkUsageDescription "$1" || { echo "$1 has no end that could be found" >&2; exit 1; }
