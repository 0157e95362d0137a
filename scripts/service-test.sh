#!/bin/sh
# service-test.sh [FOLDER] - as root, on Debian: creates a Debian in a folder (or a temporary one), unpacks the tar.xz of
# build/packages there, boots it, and runs as a user the commands from docs/packaging.md: the service receives,
# restarts when it is killed, keeps running when the user logs out, and stops.
set -eu
[ "$(id -u)" = 0 ] || { echo "This needs root." >&2; exit 1; }
sh scripts/deps.sh roots
archive=$(ls build/packages/multipeer-*-linux-*.tar.xz)
case "${1:-}" in
"") root=$(mktemp -d); trap 'rm -rf "$root" "$root.whole"' EXIT ;;
/*) root=$1 ;;
*) root=$PWD/$1 ;;
esac
mkdir -p "$root"
chmod 755 "$root" # it is also the root folder of users
[ -e "$root.whole" ] || debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,polkitd bookworm "$root" >"$root.log" 2>&1 ||
	{ tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"
touch "$root.whole"
tar -xJf "$archive" -C "$root" --strip-components=1 --no-same-owner
chroot "$root" sh -c 'id anna >/dev/null 2>&1 || useradd -m anna'

# Commands of the user anna.
cat >"$root/home/anna/session" <<'END'
set -eu
soon() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "this never succeeded: $*"; exit 1; }
other="multipeer-cli --profile $HOME/other --interface lo --name Ben"
mkdir -p Downloads
id=$($other id | cut -d" " -f1)
systemctl --user enable --now multipeer
soon systemctl --user is-active multipeer
soon multipeer-cli trust "$id" verified
multipeer-cli auto "$id" --up-to 1GB --into "$HOME/Downloads"
echo "for the service" >hello.txt
to=$(multipeer-cli id | cut -d" " -f1)
$other trust "$to" verified
$other send --to "$to" --wait 20s hello.txt
cmp hello.txt Downloads/hello.txt
echo "received"
pid=$(systemctl --user show -p MainPID --value multipeer)
kill -9 "$pid"
back() { now=$(systemctl --user show -p MainPID --value multipeer); [ "$now" != 0 ] && [ "$now" != "$pid" ]; }
soon back
soon $other send --to "$to" --wait 20s session
cmp session Downloads/session
echo "killed, and restarted"
loginctl enable-linger

# The same without the package: the program's own unit replaces the packaged one, with a path that has to be quoted.
systemctl --user disable --now multipeer
mkdir -p "$HOME/own 100%"
cp /usr/bin/multipeer-cli "$HOME/own 100%/"
PATH="$HOME/own 100%:$PATH"
multipeer-cli serve --into ~/Downloads --at-login on
echo again >again.txt
$other send --to "$to" --wait 20s again.txt
cmp again.txt Downloads/again.txt
case "$(systemctl --user show -p ExecStart multipeer)" in *"own 100%"*) ;; *) systemctl --user cat multipeer; exit 1 ;; esac
multipeer-cli serve --at-login off
soon sh -c "! systemctl --user is-active multipeer"
multipeer-cli serve --stop
[ ! -e .config/systemd/user/multipeer.service ]
multipeer-cli serve --into ~/Downloads --at-login on
echo "set up without the package, stopped, and set up again"
END

# Checks as root, after anna has logged out.
cat >"$root/srv/try" <<'END'
set -eu
su -l anna -c 'sh session'
runtime=/run/user/$(id -u anna)
as="runuser -u anna -- env XDG_RUNTIME_DIR=$runtime systemctl --user"
for _ in $(seq 50); do [ -z "$(loginctl list-sessions --no-legend)" ] && break; sleep 0.2; done
sleep 12 # longer than a user's services keep running without lingering
$as is-active multipeer
echo "still running after the user has logged out"
runuser -u anna -- env XDG_RUNTIME_DIR=$runtime HOME=/home/anna multipeer-cli serve --at-login off
! $as is-active multipeer
echo ended >/srv/ended
END
rm -f "$root/srv/ended" "$root/srv/said"
cat >"$root/etc/systemd/system/try.service" <<'END'
[Unit]
After=multi-user.target systemd-logind.service dbus.service
[Service]
Type=oneshot
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh -c "sh /srv/try >/srv/said 2>&1"
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=120
[Install]
WantedBy=graphical.target
END
chroot "$root" systemctl enable -q try.service
timeout 240 systemd-nspawn -q -D "$root" --private-network --register=no --keep-unit --console=pipe --boot >"$root.boot" 2>&1 </dev/null || true
cat "$root/srv/said" 2>/dev/null || cat "$root.boot"
rm -f "$root.boot"
[ -e "$root/srv/ended" ] || { echo "the service test failed" >&2; exit 1; }
