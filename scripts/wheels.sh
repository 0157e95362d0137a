#!/bin/sh
# wheels.sh - builds the Python package: a wheel that contains the command-line tool for each of six systems, and the source,
# into build/wheels. With names of systems, such as linux-amd64, only those.
set -eu
cd "$(dirname "$0")/.."
all="linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64"
[ $# = 0 ] || all="$*"

# tag_of SYSTEM: the platform tags of a static program (PEP 425, PEP 600, PEP 656).
tag_of() {
	case $1 in
	linux-amd64) echo manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64 ;;
	linux-arm64) echo manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64 ;;
	darwin-amd64) echo macosx_11_0_x86_64 ;;
	darwin-arm64) echo macosx_11_0_arm64 ;;
	windows-amd64) echo win_amd64 ;;
	windows-arm64) echo win_arm64 ;;
	*)
		echo "wheels.sh: $1 is not one of: linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64" >&2
		exit 1
		;;
	esac
}

[ -x build/venv-wheels/bin/hatchling ] || {
	python3 -m venv build/venv-wheels
	build/venv-wheels/bin/pip install --quiet --disable-pip-version-check hatchling
}
build=$(pwd)/build
rm -rf "$build/wheels"
mkdir -p "$build/wheels"
for system in $all; do
	tag=$(tag_of "$system")
	program=$build/wheels/$system/multipeer-cli
	[ "${system%-*}" != windows ] || program=$program.exe
	echo "building for $system"
	CGO_ENABLED=0 GOOS=${system%-*} GOARCH=${system#*-} go build -trimpath -ldflags "-s -w" -o "$program" ./cmd/multipeer-cli
	(cd python && MULTIPEER_WHEEL_PROGRAM=$program MULTIPEER_WHEEL_TAG=$tag "$build/venv-wheels/bin/hatchling" build -t wheel -d "$build/wheels" >/dev/null)
	rm -r "$build/wheels/$system"
done
(cd python && "$build/venv-wheels/bin/hatchling" build -t sdist -d "$build/wheels" >/dev/null)
ls -l "$build/wheels"
