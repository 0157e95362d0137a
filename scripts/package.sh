#!/bin/sh
# package.sh [archives] - creates build/packages: reproducible archives of the command-line tool for six targets; and,
# without "archives", a .deb and a tar.xz with the window for this machine, and a Windows program if its compiler is
# installed.
set -eu
website=$(sed -n 's/^Website = "\(.*\)"/\1/p' FyneApp.toml)
version=$(sed -n 's/^Version = "\(.*\)"/\1/p' FyneApp.toml)
out=build/packages
rm -rf "$out"
mkdir -p "$out"
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" LC_ALL=C TZ=UTC
umask 022
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# pack FOLDER ARCHIVE - creates a reproducible archive: the same files give the same bytes.
pack() {
	find "$tmp/$1" -type d -exec chmod 755 {} +
	case $2 in *.zip)
		find "$tmp/$1" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
		(cd "$tmp" && find "$1" | sort | zip -q -X -9 -@ "$tmp/zip")
		mv "$tmp/zip.zip" "$2"
		return
		;;
	esac
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$tmp" -cf - "$1" >"$tmp/tar"
	case $2 in
	*.gz) gzip -9n <"$tmp/tar" >"$2" ;;
	*) xz -9e -T1 <"$tmp/tar" >"$2" ;;
	esac
	rm "$tmp/tar"
}

# filled FILE - prints a file with the version, the date of the source, the website and the needed glibc.
filled() {
	sed "s|@VERSION@|$version|; s|@DATE@|$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)|; s|@WEBSITE@|$website|; s|@GLIBC@|${glibc:-}|" "$1"
}

# oldest_glibc is that of the oldest systems that the packages support: Debian 12 and Ubuntu 22.04 have 2.36 and 2.35.
oldest_glibc=2.35

# highest_glibc PROGRAM - prints the version of the newest symbol of glibc that a program needs. It fails if the oldest
# supported system lacks it: a program that is built on a newer system may need newer symbols.
highest_glibc() {
	need=$(objdump -T "$1" | sed -n 's/.*GLIBC_\([0-9][0-9.]*\).*/\1/p' | sort -uV | tail -n 1)
	[ "$(printf '%s\n%s\n' "$need" "$oldest_glibc" | sort -V | tail -n 1)" = "$oldest_glibc" ] || {
		echo "$1 needs glibc $need, and the oldest supported system has $oldest_glibc. Build the packages on Debian 12: sh scripts/package-fresh.sh" >&2
		exit 1
	}
	echo "$need"
}

# bill PROGRAM FILE OS ARCH - writes the modules built into a program, in CycloneDX, from the build information in it.
go -C packaging/sbom build -trimpath -buildvcs=false -o "$tmp/cyclonedx-gomod" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
bill() {
	GOOS=$3 GOARCH=$4 "$tmp/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "v$version" -output "$2" "$1" 2>"$tmp/bill" ||
		{ cat "$tmp/bill" >&2; exit 1; }
}

echo "== the command-line tool, static, for six targets"
CGO_ENABLED=0 go build -trimpath -o "$tmp/cli" ./cmd/multipeer-cli
mkdir -p "$tmp/share/man" "$tmp/share/completions"
"$tmp/cli" man "$tmp/share/man"
for shell in bash zsh fish powershell; do
	"$tmp/cli" completion "$shell" >"$tmp/share/completions/multipeer-cli.$shell"
done
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
	os=${target%/*} arch=${target#*/} name=multipeer-cli-$version-${target%/*}-${target#*/} exe=
	[ "$os" = windows ] && exe=.exe
	mkdir "$tmp/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o "$tmp/$name/multipeer-cli$exe" ./cmd/multipeer-cli
	cp -R "$tmp/share/." "$tmp/$name/"
	cp LICENSE docs/cli.md "$tmp/$name/"
	cp ui/licences.txt "$tmp/$name/LICENCES"
	bill "$tmp/$name/multipeer-cli$exe" "$tmp/$name/sbom.cdx.json" "$os" "$arch"
	case $os in
	windows) pack "$name" "$out/$name.zip" ;;
	*) pack "$name" "$out/$name.tar.gz" ;;
	esac
done

if [ "${1:-}" != archives ] && [ "$(uname -s)" = Linux ]; then
	arch=$(go env GOARCH)
	echo "== the window for linux/$arch"
	tree=multipeer-$version-linux-$arch usr=$tmp/multipeer-$version-linux-$arch/usr
	mkdir -p "$usr/bin" "$usr/share/applications" "$usr/share/icons/hicolor/scalable/apps" "$usr/share/man/man1" "$usr/share/metainfo" \
		"$usr/share/nemo/actions" "$usr/share/nautilus-python/extensions" "$usr/share/lintian/overrides" \
		"$usr/share/doc/multipeer" "$usr/share/kio/servicemenus" "$usr/share/bash-completion/completions" "$usr/share/zsh/vendor-completions" \
		"$usr/share/fish/vendor_completions.d" "$usr/lib/systemd/user"
	CGO_ENABLED=1 go build -tags migrated_fynedo -buildmode=pie -trimpath -ldflags "-s -w -linkmode=external -extldflags=-Wl,-z,relro,-z,now" -o "$usr/bin/multipeer" .
	glibc=$(highest_glibc "$usr/bin/multipeer")
	echo "the window needs glibc $glibc"
	cp "$tmp/multipeer-cli-$version-linux-$arch/multipeer-cli" "$usr/bin/"
	cp packaging/linux/multipeer.desktop "$usr/share/applications/"
	cp packaging/linux/multipeer-servicemenu.desktop "$usr/share/kio/servicemenus/multipeer.desktop"
	cp packaging/linux/multipeer.service "$usr/lib/systemd/user/"
	CGO_ENABLED=0 go run ./tools/appicons "$usr/share/icons/hicolor"
	cp packaging/linux/multipeer.nemo_action "$usr/share/nemo/actions/"
	cp packaging/linux/multipeer-nautilus.py "$usr/share/nautilus-python/extensions/multipeer.py"
	filled packaging/linux/io.github.multipeer.Multipeer.metainfo.xml >"$usr/share/metainfo/io.github.multipeer.Multipeer.metainfo.xml"
	filled packaging/linux/multipeer.1 >"$usr/share/man/man1/multipeer.1"
	cp icons/app.svg "$usr/share/icons/hicolor/scalable/apps/multipeer.svg"
	cp "$tmp/share/completions/multipeer-cli.bash" "$usr/share/bash-completion/completions/multipeer-cli"
	cp "$tmp/share/completions/multipeer-cli.zsh" "$usr/share/zsh/vendor-completions/_multipeer-cli"
	cp "$tmp/share/completions/multipeer-cli.fish" "$usr/share/fish/vendor_completions.d/"
	cp "$tmp"/share/man/*.1 "$usr/share/man/man1/"
	gzip -9n "$usr"/share/man/man1/*.1
	filled packaging/linux/copyright >"$usr/share/doc/multipeer/copyright"
	cp packaging/linux/lintian-overrides "$usr/share/lintian/overrides/multipeer"
	gzip -9n <ui/licences.txt >"$usr/share/doc/multipeer/LICENCES.gz"
	gzip -9n <CHANGELOG.md >"$usr/share/doc/multipeer/NEWS.md.gz"
	{
		printf 'multipeer (%s) unstable; urgency=medium\n\n  * See /usr/share/doc/multipeer/NEWS.md.gz.\n\n' "$version"
		printf ' -- Multipeer contributors <multipeer@users.noreply.github.com>  %s\n' "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$usr/share/doc/multipeer/changelog.gz"
	bill "$usr/bin/multipeer" "$usr/share/doc/multipeer/sbom.cdx.json" linux "$arch"
	pack "$tree" "$out/$tree.tar.xz"
	if command -v dpkg-deb >/dev/null 2>&1; then
		deb=$tmp/deb
		cp -R "$tmp/$tree" "$deb"
		mkdir "$deb/DEBIAN"
		(cd "$deb" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
		filled packaging/linux/control | sed "s/@ARCH@/$(dpkg --print-architecture)/; s/@SIZE@/$(du -sk "$deb/usr" | cut -f1)/" >"$deb/DEBIAN/control"
		dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/multipeer_${version}_$(dpkg --print-architecture).deb" >/dev/null
		if command -v lintian >/dev/null 2>&1; then
			lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$out"/multipeer_*.deb
		fi
	fi
	if command -v x86_64-w64-mingw32-gcc >/dev/null 2>&1; then
		echo "== the window for windows/amd64 (the first build takes a few minutes)"
		sed "s/@VERSION@/$version/; s/@COMMAS@/$(echo "$version" | tr . ,),0/" packaging/windows/multipeer.rc >"$tmp/multipeer.rc"
		cp packaging/windows/multipeer.ico packaging/windows/multipeer.manifest "$tmp/"
		x86_64-w64-mingw32-windres -I "$tmp" --include-dir "$tmp" "$tmp/multipeer.rc" -O coff -o rsrc_windows_amd64.syso
		trap 'rm -rf "$tmp" rsrc_windows_amd64.syso' EXIT
		mkdir "$tmp/Multipeer"
		GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=x86_64-w64-mingw32-gcc go build -tags migrated_fynedo -trimpath -ldflags "-H=windowsgui -s -w" -o "$tmp/Multipeer/Multipeer.exe" .
		rm -f rsrc_windows_amd64.syso
		cp "$tmp/multipeer-cli-$version-windows-amd64/multipeer-cli.exe" LICENSE "$tmp/Multipeer/"
		cp ui/licences.txt "$tmp/Multipeer/LICENCES.txt"
		bill "$tmp/Multipeer/Multipeer.exe" "$tmp/Multipeer/sbom.cdx.json" windows amd64
		pack Multipeer "$out/multipeer-$version-windows-amd64.zip"
	else
		echo "(no x86_64-w64-mingw32-gcc: no Windows package; sh scripts/deps.sh windows installs it)"
	fi
fi
(cd "$out" && sha256sum -- * >SHA256SUMS)
cat "$out/SHA256SUMS"
