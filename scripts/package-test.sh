#!/bin/sh
# package-test.sh - as root, on a Debian machine that may be modified: installs the .deb of build/packages, starts the
# window from its desktop entry under Xvfb, makes it receive a file, removes the package, and checks what is left
# (/var/lib/xkb is where X servers store compiled keymaps).
set -eu
deb=$(ls build/packages/multipeer_*.deb)
sh scripts/deps.sh test
tmp=$(mktemp -d)
window="" x=""
trap 'kill $window $x 2>/dev/null || true; rm -rf "$tmp"' EXIT
find / -xdev \( -path /proc -o -path /sys -o -path /tmp -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log -o -path /var/lib/xkb -o -path "$PWD" -o -path "$HOME" \) -prune -o -print 2>/dev/null | sort >"$tmp/before"
dpkg -i "$deb" >"$tmp/dpkg" 2>&1 || { cat "$tmp/dpkg"; exit 1; }
desktop=/usr/share/applications/multipeer.desktop
command -v desktop-file-validate >/dev/null 2>&1 && desktop-file-validate "$desktop"
program=$(sed -n 's/^Exec=\([^ ]*\).*/\1/p' "$desktop" | head -n 1)
mkdir -p "$tmp/home/.cache" "$tmp/run"
chmod 700 "$tmp/run"
Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3>"$tmp/display" 2>/dev/null &
x=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$tmp/display" ] && break; sleep 0.5; done
at="env HOME=$tmp/home XDG_RUNTIME_DIR=$tmp/run XDG_CONFIG_HOME= DISPLAY=:$(cat "$tmp/display") LIBGL_ALWAYS_SOFTWARE=1 FYNE_PLATFORM=x11 MULTIPEER_TRACE=1 DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent"
service="p$$"
$at "$program" -name Packaged -service "$service" -interface lo >"$tmp/window" 2>&1 &
window=$!
said() {
	for _ in $(seq 100); do grep -q "$1" "$tmp/window" && return; sleep 0.2; done
	echo "the window never reported $1:" >&2; cat "$tmp/window" "$tmp/send" >&2; exit 1
}
said "EVT shown"
echo "a file for the package" >"$tmp/hello.txt"
multipeer-cli --profile "$tmp/other" --service "$service" --interface lo --name Sender send --to Packaged --wait 20s "$tmp/hello.txt" >"$tmp/send" 2>&1 </dev/null &
send=$!
said 'EVT transfer "hello.txt" offered incoming=true'
where=$(sed -n 's/^AT accept //p' "$tmp/window" | tail -n 1)
for _ in $(seq 20); do [ -n "$where" ] && break; sleep 0.3; where=$(sed -n 's/^AT accept //p' "$tmp/window" | tail -n 1); done
id=$($at xdotool search --onlyvisible --pid $window --name Multipeer | tail -n 1)
# shellcheck disable=SC2086 # four numbers
set -- $where
$at xdotool windowfocus --sync "$id"
$at xdotool mousemove --window "$id" $(($1 + $3 / 2)) $(($2 + $4 / 2)) click 1
said 'EVT transfer "hello.txt" delivered incoming=true'
wait $send
cmp "$tmp/hello.txt" "$tmp/home/Downloads/hello.txt"
kill -INT $window
wait $window
window=""
dpkg -r multipeer >/dev/null
dpkg -P multipeer >/dev/null 2>&1 || true
cmp "$tmp/hello.txt" "$tmp/home/Downloads/hello.txt"
find / -xdev \( -path /proc -o -path /sys -o -path /tmp -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log -o -path /var/lib/xkb -o -path "$PWD" -o -path "$HOME" \) -prune -o -print 2>/dev/null | sort >"$tmp/after"
if ! diff "$tmp/before" "$tmp/after" >"$tmp/left"; then
	echo "the package left files behind, or removed others:" >&2; cat "$tmp/left" >&2; exit 1
fi
echo "installed, received, removed; nothing is left but the file"
