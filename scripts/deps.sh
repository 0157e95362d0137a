#!/bin/sh
# shellcheck disable=SC2034 # the lists of packages are used by their names
# deps.sh GROUP... - installs the tools that a group needs and this system lacks, and nothing else.
#   go     the Go toolchain (checked, not installed)
#   build  the tools to build the window: a C compiler and the headers of X, Wayland and OpenGL
#   test   the tools that the tests use: an X server, a mouse, network namespaces, a firewall, file systems on images
#   browser a browser for the tests of the page for browsers
#   check  the tools that check scripts and the files of packages
#   package the packaging tools; windows adds the compiler for the Windows program
#   python the tools to build the Python package
#   roots  the tools to create and boot a new Debian in a folder
#   bench  the programs that the benchmarks compare with: rsync, netcat, iperf3
# On Debian and Ubuntu it uses apt; macOS needs Xcode's command line tools; on other systems it prints what is missing.
set -eu

build="gcc libc6-dev pkg-config libgl-dev libegl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev libwayland-dev libxkbcommon-dev"
test="xvfb libwayland-client0 libgl1-mesa-dri xdotool python3 python3-venv python3-xlib nodejs dbus-daemon fonts-dejavu-core iproute2 nftables procps util-linux mount e2fsprogs xfsprogs curl"
browser="chromium firefox-esr unzip libarchive-tools"
package="dpkg-dev binutils xz-utils tar gzip zip lintian"
windows="gcc-mingw-w64-x86-64"
check="shellcheck desktop-file-utils appstream"
python="python3 python3-venv"
roots="debootstrap systemd-container"
bench="iproute2 util-linux rsync netcat-openbsd iperf3 tar"

# go_is_enough HAVE WANT: reports whether the Go version HAVE is WANT or newer.
go_is_enough() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# check_go exits, before anything is installed or compiled, if the installed Go cannot build Multipeer.
check_go() {
	need=$(sed -n 's/^go //p' "$(dirname "$0")/../go.mod")
	how="Install Go $need or newer from https://go.dev/doc/install, and put its bin folder first on the path."
	command -v go >/dev/null 2>&1 || {
		echo "Multipeer needs Go $need or newer, and there is no 'go' on the path. $how" >&2
		exit 1
	}
	# Run outside the module, so that go reports the installed version and not the toolchain that the module selects.
	here=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//; s/[ -].*//')
	case $here in
	"" | *[!0-9.]*) return ;; # a development version, which cannot be compared
	esac
	go_is_enough "$here" "$need" && return
	# Since 1.21, Go can download a newer version automatically, unless that is disabled, as in Debian's package.
	if go_is_enough "$here" 1.21; then
		set_to=$(cd / && go env GOTOOLCHAIN)
		case $set_to in
		auto | *+auto | path | *+path) return ;;
		go[0-9]*) go_is_enough "${set_to#go}" "$need" && return ;;
		esac
		echo "Multipeer needs Go $need or newer, and this is Go $here ($(command -v go)), which is set not to download a newer version (GOTOOLCHAIN=$set_to)." >&2
		echo "Let Go download the version that Multipeer needs: go env -w GOTOOLCHAIN=auto. Or: $how" >&2
		exit 1
	fi
	echo "Multipeer needs Go $need or newer, and this is Go $here ($(command -v go)), which is too old to download a newer version. $how" >&2
	exit 1
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
	$sudo apt-get update -qq || echo "(some package lists could not be read; continuing)" >&2
	began=$(date +%s)
	while sleep 10; do echo "  still installing after $(($(date +%s) - began)) s"; done &
	ticker=$!
	# shellcheck disable=SC2086 # one word per package
	{ DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing 3>&1 >/dev/null 2>&3 || echo "apt-get failed"; } |
		grep -v '^debconf: delaying package configuration' >&2 || true # it only means that apt-utils is missing
	kill $ticker
	for p in $missing; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "ok installed" || { echo "Package $p could not be installed." >&2; exit 1; }
	done
}

for group in "$@"; do
	if [ "$group" = browser ] && { command -v google-chrome || command -v chromium-browser; } >/dev/null 2>&1; then
		browser="firefox-esr unzip libarchive-tools" # the tests use the Chrome that is installed
	fi
	if [ "$group" = go ]; then
		check_go
		continue
	fi
	case "$(uname -s)" in
	Linux)
		if command -v apt-get >/dev/null 2>&1; then
			eval "apt_install \$$group"
		else
			echo "This system has no apt. Multipeer needs the equivalents of these Debian packages:" >&2
			eval "echo \"  \$$group\" >&2"
			echo "(continuing; the build will report missing dependencies)" >&2
		fi
		;;
	Darwin)
		xcode-select -p >/dev/null 2>&1 || {
			echo "The window needs Apple's compiler. Run: xcode-select --install" >&2
			exit 1
		}
		;;
	*)
		echo "On $(uname -s) a C compiler has to be installed by hand for the window (see docs/building.md). The command-line tool needs none: go build ./cmd/multipeer-cli" >&2
		;;
	esac
done
