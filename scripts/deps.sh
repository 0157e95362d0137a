#!/bin/sh
# deps.sh GROUP... - installs what a group needs and this system lacks, and nothing else.
#   go     the Go toolchain (checked, not installed)
#   build  what the window needs to be built: a C compiler and the headers of X, Wayland and OpenGL
#   test   what the tests drive: an X server, a mouse, network namespaces, a firewall, file systems on images
#   package what packages are made with; windows adds the compiler for the Windows program
#   roots  what makes and boots a new Debian in a folder
#   bench  what the benchmarks are held against: rsync, netcat, iperf3
# Debian and Ubuntu are installed by apt; macOS wants Xcode's command line tools; others are told what is missing.
set -eu

build="gcc libc6-dev pkg-config libgl-dev libegl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev libwayland-dev libxkbcommon-dev"
test="xvfb libwayland-client0 libgl1-mesa-dri xdotool python3 python3-xlib dbus-daemon fonts-dejavu-core iproute2 nftables procps util-linux mount e2fsprogs xfsprogs"
package="dpkg-dev xz-utils tar gzip"
windows="gcc-mingw-w64-x86-64"
roots="debootstrap systemd-container"
bench="iproute2 util-linux rsync netcat-openbsd iperf3 tar"

check_go() {
	command -v go >/dev/null 2>&1 || {
		echo "Multipeer needs Go 1.26.6 or newer, and there is no 'go' on the path. See https://go.dev/doc/install" >&2
		exit 1
	}
}

apt_install() {
	missing=""
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "ok installed" || missing="$missing $p"
	done
	[ -z "$missing" ] && return
	sudo=""
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || {
			echo "These packages are missing:$missing" >&2
			echo "Install them as root: apt-get install$missing" >&2
			exit 1
		}
		sudo="sudo"
	fi
	echo "Installing:$missing"
	$sudo apt-get update -qq || echo "(some package lists could not be read; going on)" >&2
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

for group in "$@"; do
	if [ "$group" = go ]; then
		check_go
		continue
	fi
	case "$(uname -s)" in
	Linux)
		if command -v apt-get >/dev/null 2>&1; then
			eval "apt_install \$$group"
		else
			echo "This system has no apt. Multipeer needs the counterparts of these Debian packages:" >&2
			eval "echo \"  \$$group\" >&2"
			echo "(going on; what is missing will be named by the build)" >&2
		fi
		;;
	Darwin)
		xcode-select -p >/dev/null 2>&1 || {
			echo "The window needs Apple's compiler. Run: xcode-select --install" >&2
			exit 1
		}
		;;
	*)
		echo "On $(uname -s) a C compiler has to be installed by hand for the window (see docs/building.md). The terminal program needs none: go build ./cmd/multipeer-cli" >&2
		;;
	esac
done
