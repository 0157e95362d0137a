#!/bin/sh
# package-fresh.sh [FOLDER] - as root, on Debian: creates a new Debian in a folder (or a temporary one), builds the
# packages there from the committed files, with only the tools that the project's own files install, and runs package-test.sh
# there. It uses Go and the modules of this machine. The packages are in FOLDER/src/build/packages.
set -eu
[ "$(id -u)" = 0 ] || { echo "This needs root." >&2; exit 1; }
sh scripts/deps.sh roots
case "${1:-}" in
"") root=$(mktemp -d); trap 'rm -rf "$root" "$root.whole"' EXIT ;;
/*) root=$1 ;;
*) root=$PWD/$1 ;;
esac
mkdir -p "$root"
[ -e "$root.whole" ] || debootstrap --variant=minbase --include=ca-certificates,make,git bookworm "$root" >"$root.debootstrap" 2>&1 || { tail -n 20 "$root.debootstrap" >&2; exit 1; }
rm -f "$root.debootstrap"
touch "$root.whole"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -R /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
rm -rf "$root/src"
git clone -q . "$root/src"
mkdir -p "$root/usr/local/go" "$root/modules"
# In a mount namespace, so that nothing stays mounted.
# shellcheck disable=SC2016 # the inner shell expands these
unshare -m sh -eu -c '
	root=$1
	mount --make-rprivate /
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/tmp"
	mount --bind "$2" "$root/usr/local/go"
	mount --bind "$3" "$root/modules"
	exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOMODCACHE=/modules GOFLAGS=-buildvcs=false \
		sh -eu -c "cd /src && sh scripts/deps.sh windows && make package && sh scripts/package-test.sh && ls -l build/packages"
' sh "$root" "$(go env GOROOT)" "$(go env GOMODCACHE)"
