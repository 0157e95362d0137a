#!/bin/sh
# cold-start.sh [FOLDER] - as root, on Debian: does what a newcomer does on a new Debian with empty caches (make demo,
# make run with and without a display, and again with warm caches; make test if MULTIPEER_COLD=all), and prints for each
# how long it took, the longest time without a new line, and the disk space it has used. It uses the Go of this machine.
# The outputs are in FOLDER.out, or are removed with the temporary folder.
set -eu
. scripts/new-root.sh
new_root "${1:-}"
out=$root.out
rm -rf "$out" "$root/root/.cache" "$root/root/.config" "$root/modules"
mkdir -p "$out" "$root/modules"
sh scripts/deps.sh test

# used - prints the MiB in the root, which include the caches.
used() { du -smx "$root" | cut -f1; }

# timed NAME UNTIL COMMAND... - runs a command until it ends, or until it has printed UNTIL; it is interrupted then.
timed() {
	name=$1 until=$2
	shift 2
	before=$(used) began=$(date +%s) last=$(date +%s) silence=0
	mkfifo "$out/pipe"
	setsid "$@" >"$out/pipe" 2>&1 &
	command=$!
	while IFS= read -r line; do
		now=$(date +%s)
		[ $((now - last)) -le "$silence" ] || silence=$((now - last))
		last=$now
		printf '%4d %s\n' $((now - began)) "$line" >>"$out/$name"
		if [ -n "$until" ]; then
			case $line in *"$until"*)
				took=$((now - began)) until=""
				# setsid has made the command the leader of a process group; a shell in it forwards no signals
				kill -INT -- -$command 2>/dev/null || true
				;;
			esac
		fi
	done <"$out/pipe"
	rm "$out/pipe"
	code=0
	wait $command || code=$?
	echo "$name: ${took:-$(($(date +%s) - began))} s, longest silence $silence s, $(($(used) - before)) MiB, exit code $code"
	took=""
}

Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp -ac 3>"$out/display" 2>/dev/null &
x=$!
trap 'kill $x 2>/dev/null; [ -n "${1:-}" ] || rm -rf "$root" "$root.whole" "$root.out"' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$out/display" ] && break; sleep 0.5; done
display="DISPLAY=:$(cat "$out/display")"

# timed starts a program, not a function, so that the program can have its own process group.
cat >"$out/in-root" <<-END
	#!/bin/sh
	set -eu
	cd "$PWD"
	. scripts/new-root.sh
	root=$root
	in_root "$root/modules" "\$@"
END
echo "$(nproc) processors, load average $(cut -d' ' -f1-3 /proc/loadavg)"
for state in cold warm; do
	timed "$state-demo" "" sh "$out/in-root" make demo
	timed "$state-run-without-display" "receiving into" sh "$out/in-root" make run
	timed "$state-run" "EVT shown" sh "$out/in-root" "$display" MULTIPEER_TRACE=1 LIBGL_ALWAYS_SOFTWARE=1 make run
done
if [ "${MULTIPEER_COLD:-}" = all ]; then
	timed cold-test "" sh "$out/in-root" make test
fi
