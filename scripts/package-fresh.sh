#!/bin/sh
# package-fresh.sh [FOLDER] - as root, on Debian: creates a new Debian in a folder (or a temporary one), builds the
# packages there from the committed files, with only the tools that the project's own files install, and runs package-test.sh
# there. It uses this machine's Go and modules. The packages are in FOLDER/src/build/packages.
set -eu
. scripts/new-root.sh
new_root "${1:-}"
in_root "$(go env GOMODCACHE)" sh -eu -c "sh scripts/deps.sh windows && make package && sh scripts/package-test.sh && ls -l build/packages"
