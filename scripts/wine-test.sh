#!/bin/sh
# wine-test.sh [PICTURE.png] - starts the Windows programs of build/packages under wine and Xvfb: the command-line tool
# creates an identity, the window opens, is used by the keyboard, and closes cleanly. Wine 8 has neither the UDP sockets
# that Go needs nor Unix sockets: the window reports that it cannot use the network, and nothing is sent. Needs: wine
# wine64 gcc-mingw-w64-x86-64 imagemagick, and what deps.sh test installs.
set -eu
for tool in wine x86_64-w64-mingw32-gcc Xvfb xdotool; do
	command -v $tool >/dev/null 2>&1 || { echo "This needs $tool: apt-get install wine wine64 gcc-mingw-w64-x86-64, and sh scripts/deps.sh test" >&2; exit 1; }
done
archive=$(find "$PWD/build/packages" -name "multipeer-[0-9]*-windows-amd64.zip")
tmp=$(mktemp -d)
window="" x=""
trap 'kill $window 2>/dev/null || true; wineserver -k 2>/dev/null || true; kill $x 2>/dev/null || true; rm -rf "$tmp"' EXIT
unzip -q "$archive" -d "$tmp"
mkdir -p "$tmp/home" "$tmp/run"
chmod 700 "$tmp/run"
Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3>"$tmp/display" 2>/dev/null &
x=$!
for _ in $(seq 50); do [ -s "$tmp/display" ] && break; sleep 0.2; done
unset WAYLAND_DISPLAY
DISPLAY=:$(cat "$tmp/display") HOME=$tmp/home XDG_RUNTIME_DIR=$tmp/run WINEPREFIX=$tmp/prefix WINEARCH=win64 WINEDEBUG=-all DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent
export DISPLAY HOME XDG_RUNTIME_DIR WINEPREFIX WINEARCH WINEDEBUG DBUS_SESSION_BUS_ADDRESS
WINEDLLOVERRIDES='mscoree,mshtml=' timeout 300 wine wineboot -i >"$tmp/boot" 2>&1 || { cat "$tmp/boot" >&2; exit 1; }
wineserver -w
system32=$WINEPREFIX/drive_c/windows/system32
if [ ! -e "$system32/bcryptprimitives.dll" ]; then # wine 8 lacks it, and Go gets random numbers from it; newer versions have it
	printf '%s\n' '#include <windows.h>' 'BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);' \
		'__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }' \
		'BOOL WINAPI DllMain(HINSTANCE h, DWORD why, LPVOID r) { return TRUE; }' >"$tmp/random.c"
	x86_64-w64-mingw32-gcc -shared -O2 -s -o "$system32/bcryptprimitives.dll" "$tmp/random.c" -ladvapi32
fi
export WINEDLLOVERRIDES='bcryptprimitives=n,b;mscoree,mshtml='
id=$(timeout 60 wine "$tmp/Multipeer/multipeer-cli.exe" --profile 'C:\profile' --name Wine --json id)
case "$id" in *'"name":"Wine"'*) ;; *) echo "the command-line tool printed: $id" >&2; exit 1 ;; esac
# The service cannot run here, but the registry value that starts it at login is written and removed.
run='HKCU\Software\Microsoft\Windows\CurrentVersion\Run'
timeout 120 wine "$tmp/Multipeer/multipeer-cli.exe" --profile 'C:\profile' serve --into 'C:\in box' --at-login on >"$tmp/said" 2>&1 || true
wine reg query "$run" /v "Multipeer serve" >"$tmp/key" 2>&1 || { cat "$tmp/said" "$tmp/key" >&2; exit 1; }
grep -aq -- 'multipeer-cli.exe serve --profile=C:.profile "--into=C:.in box" --no-console' "$tmp/key" || { cat "$tmp/key" >&2; exit 1; }
timeout 120 wine "$tmp/Multipeer/multipeer-cli.exe" --profile 'C:\profile' serve --at-login off
if wine reg query "$run" /v "Multipeer serve" >/dev/null 2>&1; then echo "the value in the Run key was not removed" >&2; exit 1; fi
# The window's entry in the "Send to" menu, its links and its progress in the task bar.
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go test -c -o "$tmp/desktop.exe" ./ui/internal/desktop
MULTIPEER_LONG=1 timeout 120 wine "$tmp/desktop.exe" -test.run 'SetFileManager|COM' >"$tmp/tested" 2>&1 || { cat "$tmp/tested" >&2; exit 1; }
MULTIPEER_TRACE=events wine "$tmp/Multipeer/Multipeer.exe" -profile 'C:\profile' >"$tmp/window" 2>&1 &
window=$!
found=$(timeout 120 xdotool search --sync --onlyvisible --name '^Multipeer' | head -n 1)
[ -n "$found" ] || { echo "no window appeared" >&2; cat "$tmp/window" >&2; exit 1; }
said() {
	for _ in $(seq 100); do grep -aq "$1" "$tmp/window" && return; sleep 0.2; done
	echo "the window never reported $1:" >&2; cat "$tmp/window" >&2; exit 1
}
said "EVT shown"
xdotool windowfocus "$found" key ctrl+comma
said "EVT settings"
sleep 2
[ -z "${1:-}" ] || import -window "$found" "$1"
xdotool windowfocus "$found" key ctrl+q
for _ in $(seq 50); do kill -0 "$window" 2>/dev/null || break; sleep 0.2; done
if kill -0 "$window" 2>/dev/null; then echo "the window did not close" >&2; cat "$tmp/window" >&2; exit 1; fi
wait "$window" || grep -aq "^multipeer: opening a UDP port" "$tmp/window" || { echo "the window ended with an error" >&2; cat "$tmp/window" >&2; exit 1; }
window=""
echo "the command-line tool and the window run under $(wine --version)"
