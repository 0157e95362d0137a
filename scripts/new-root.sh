#!/bin/sh
# new-root.sh - functions for scripts that build in a new Debian: source it as root, on Debian.

# new_root [FOLDER] - creates a new Debian in FOLDER, or in a temporary folder that is removed at the end, with the
# committed files in src. It sets root. A FOLDER that an earlier run created is reused.
new_root() {
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
	cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" # this machine may reach servers through a proxy
	rm -rf "$root/src"
	git clone -q . "$root/src"
}

# in_root MODULES [NAME=VALUE...] COMMAND... - runs a command in $root/src, with the Go of this machine and the module
# cache MODULES, in a mount namespace, so that nothing stays mounted.
in_root() {
	mkdir -p "$root/usr/local/go" "$root/modules" "$1"
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare -m sh -eu -c '
		root=$1 go=$2 modules=$3
		shift 3
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs tmpfs "$root/tmp"
		mount --bind "$go" "$root/usr/local/go"
		mount --bind "$modules" "$root/modules"
		exec chroot "$root" /usr/bin/env -i -C /src HOME=/root PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			GOMODCACHE=/modules GOFLAGS=-buildvcs=false "$@"
	' sh "$root" "$(go env GOROOT)" "$@"
}
