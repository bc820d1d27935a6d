#!/bin/sh
# install-deps.sh [build|model|test|bench|lint|ci]... - installs the Debian packages that are missing.
#
# Costs one dpkg-query when nothing is. Never asks: without root it uses sudo. On a system without
# apt it checks that the headers can be found and otherwise names the packages.
set -eu

build="gcc libc6-dev make libmicrohttpd-dev libuv1-dev libjansson-dev libinih-dev libutf8proc-dev
       libsqlite3-dev nettle-dev libopenblas0-pthread"
test="$build libcmocka-dev python3 curl"
lint="$build clang-format clang-tidy clang libclang-rt-dev shellcheck libcmocka-dev"

say() { echo "install-deps: $*" >&2; }

# npm may come from elsewhere than Debian; it is large, so it is wanted only where it is used.
npm_packages() { command -v npm >/dev/null || echo npm ca-certificates; }

packages_of() {
    case $1 in
    build) echo "$build" ;;
    model) npm_packages ;;
    test) echo "$test" ;;
    bench) echo "$test" ;;
    lint) echo "$lint" ;;
    # Chromium for the chat page; what stands before a daemon, for the tests through proxies.
    ci) echo "$test $lint $(npm_packages) chromium-headless-shell haproxy nginx-light" ;;
    *) say "unknown set '$1'; use build, model, test, bench, lint or ci"; exit 2 ;;
    esac
}

# Succeeds when a program can be built here, whatever the packages are called.
can_build() {
    headers="microhttpd.h uv.h jansson.h ini.h utf8proc.h sqlite3.h nettle/sha2.h"
    case " $sets " in *" test "* | *" ci "*) headers="$headers cmocka.h" ;; esac
    {
        printf '#include <%s>\n' stdarg.h stddef.h setjmp.h stdint.h
        for header in $headers; do echo "#include <$header>"; done
    } | ${CC:-cc} -fsyntax-only -x c - 2>/dev/null
}

sets=${*:-build}
wanted=
for set in $sets; do wanted="$wanted $(packages_of "$set")"; done
[ -n "${wanted# }" ] || exit 0

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    can_build && exit 0
    say "this system has no apt; please install a C compiler, make, libmicrohttpd, libuv, jansson," \
        "inih, utf8proc, SQLite, nettle, OpenBLAS (and cmocka, python3 for the tests) with their headers:" \
        "README.md has the commands for Fedora, Arch, Alpine and openSUSE"
    exit 1
fi

# shellcheck disable=SC2086 # the lists are words
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    sed -n 's/ installed$//p')
# shellcheck disable=SC2086
missing=$(printf '%s\n' $wanted | sort -u | grep -vxF "$installed" | tr '\n' ' ')
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "as root, please run: apt-get install $missing"
        exit 1
    fi
    as_root=sudo
fi

say "installing $missing"
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
        -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt update || say "apt-get update failed; trying with the package lists that are here"
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing; then
    cat "$log" >&2
    say "apt-get could not install them: see the lines above"
    exit 1
fi
