#!/bin/sh
# make-deb.sh BUILD_FOLDER - a Debian package of what is built there: prints its path.
#
# `make deb` calls it. The configuration is a conffile; the service is installed but not started,
# because it needs a model that only the operator can name.
set -eu
cd "$(dirname "$0")/.."

build=$1
version=$("$build/sinkd" --version | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
umask 022

list_libraries() {
    mkdir -p "$stage/debian"
    printf 'Source: sinkd\n\nPackage: sinkd\nArchitecture: any\n' >"$stage/debian/control"
    (cd "$stage" && dpkg-shlibdeps -O "$root/usr/bin/sinkd" 2>/dev/null) |
        sed -n 's/^shlibs:Depends=//p'
}

write_control() {
    cat <<END
Package: sinkd
Version: $version
Architecture: $architecture
Maintainer: sinkd maintainers <sinkd@localhost>
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: $(list_libraries)
Recommends: libopenblas0-pthread
Section: net
Priority: optional
Description: endless chat with a language model behind an OpenAI-compatible API
 sinkd loads one GGUF model, keeps one long-lived StreamingLLM session per
 conversation in memory, decodes on the CPU and streams tokens over
 server-sent events. A conversation never reaches a context limit.
END
}

# The scripts of a package that ships a unit; nothing is asked of a system without systemd.
write_script() {
    cat >"$root/DEBIAN/$1"
    chmod 755 "$root/DEBIAN/$1"
}

command -v dpkg-shlibdeps >/dev/null || { echo "make-deb: please install dpkg-dev" >&2; exit 1; }
make -s install BUILD="$build" DESTDIR="$root" PREFIX=/usr >&2
strip --strip-unneeded "$root/usr/bin/sinkd"
gzip -9n "$root/usr/share/man/man1/sinkd.1"
install -D -m 644 LICENSE "$root/usr/share/doc/sinkd/copyright"
install -m 644 README.md docs/operations.md "$root/usr/share/doc/sinkd"
cp -r config/examples "$root/usr/share/doc/sinkd/examples"
install -m 644 config/api_keys.example "$root/usr/share/doc/sinkd/examples"

mkdir "$root/DEBIAN"
echo /etc/sinkd/sinkd.ini >"$root/DEBIAN/conffiles"
write_script postinst <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart sinkd.service
fi
END
write_script prerm <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop sinkd.socket sinkd.service || true
fi
END
write_script postrm <<'END'
#!/bin/sh
set -e
if [ "$1" = purge ]; then
    rm -rf /var/lib/sinkd /var/lib/private/sinkd
    rm -f /etc/sinkd/api-keys
    rmdir /etc/sinkd 2>/dev/null || true
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
END
write_control >"$root/DEBIAN/control"
package=$build/sinkd_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" >&2
echo "$package"
