#!/bin/sh
# progress.sh LABEL COMMAND... - runs a Go command (with -v, so that it lists the packages that it compiles), and prints
# every 10 seconds how far it is. It prints downloads and errors as they are, and returns the command's exit code.
set -eu
label=$1
shift
said=$(mktemp)
"$@" 2>"$said" &
command=$!
trap 'kill $command 2>/dev/null; rm -f "$said"; exit 130' INT TERM
trap 'rm -f "$said"' EXIT
began=$(date +%s) shown=0 last=0 code=0
# report prints the new lines, except the names of packages.
report() {
	tail -n "+$((shown + 1))" "$said" | grep -v '^[a-z0-9][A-Za-z0-9_.~/-]*$' >&2 || true
	shown=$(wc -l <"$said")
}
while kill -0 $command 2>/dev/null; do
	sleep 1
	report
	now=$(($(date +%s) - began))
	if [ $((now - last)) -ge 10 ]; then
		last=$now
		echo "  $label: $(grep -c '^[a-z0-9][A-Za-z0-9_.~/-]*$' "$said" || true) packages after $now s"
	fi
done
wait $command || code=$?
report
exit $code
