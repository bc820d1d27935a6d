#!/usr/bin/env bash
# What is installed beside the binary: the units, the Debian package.
set -u
cd "$(dirname "$0")/../.." || exit 1
sinkd=${SINKD:-build/sinkd}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

check() { # check WHAT COMMAND...
    local what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        cat "$work/out"
    fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

if [ ! -x "$sinkd" ]; then
    skip "$sinkd is not built"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# --- units: the daemon's place is replaced by where it is here -----------------------------------
mkdir "$work/units"
for unit in sinkd.service sinkd.socket; do
    sed "s|/usr/local/bin/sinkd|$(realpath "$sinkd")|" "systemd/$unit" >"$work/units/$unit"
done
if command -v systemd-analyze >/dev/null; then
    verify() { [ -z "$(systemd-analyze verify --man=no "$@" 2>&1 | tee /dev/stderr)" ]; }
    check "the service is a good unit" verify "$work/units/sinkd.service"
    check "the socket is a good unit" verify "$work/units/sinkd.socket"
    check "the service may do next to nothing" systemd-analyze security --no-pager --offline=true \
        --threshold=15 "$work/units/sinkd.service"
else
    skip "no systemd-analyze"
fi
# shellcheck disable=SC2016 # the dollars are awk's
check "answers may end before systemd gives up" awk -F= '
    FILENAME ~ /service$/ && $1 == "TimeoutStopSec" { stop = $2 }
    FILENAME ~ /ini$/ && $1 ~ /^drain-(seconds|delay) / { drain += $2 }
    END { exit !(stop > drain + 10) }' systemd/sinkd.service config/sinkd.ini

# --- the package ----------------------------------------------------------------------------------
if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    build=$(dirname "$sinkd")
    check "a package is built" scripts/make-deb.sh "$build"
    package=$(tail -n 1 "$work/out")
    dpkg-deb -c "$package" | awk '{ print $1, $2, $6 }' >"$work/contents"
    has() { grep -qxF -e "$1" "$work/contents" || { cat "$work/contents"; false; }; }
    check "the daemon" has "-rwxr-xr-x root/root ./usr/bin/sinkd"
    check "its unit" has "-rw-r--r-- root/root ./usr/lib/systemd/system/sinkd.service"
    check "its socket" has "-rw-r--r-- root/root ./usr/lib/systemd/system/sinkd.socket"
    check "its configuration" has "-rw-r--r-- root/root ./etc/sinkd/sinkd.ini"
    check "its page" has "-rw-r--r-- root/root ./usr/share/man/man1/sinkd.1.gz"
    check "nothing outside of /etc and /usr" sh -c "! grep -vE ' \./(etc|usr)?(/|$)' '$work/contents'"
    dpkg-deb -e "$package" "$work/control"
    check "the configuration is a conffile" grep -qx /etc/sinkd/sinkd.ini "$work/control/conffiles"
    check "libraries are named" grep -qE '^Depends: .*libmicrohttpd12' "$work/control/control"
    check "purging removes the state" grep -q /var/lib/sinkd "$work/control/postrm"
    dpkg-deb -x "$package" "$work/root"
    check "the unit starts the daemon of the package" \
        grep -q '^ExecStart=/usr/bin/sinkd ' "$work/root/usr/lib/systemd/system/sinkd.service"
    check "it may execute it" \
        grep -q '^ExecPaths=/usr/bin/sinkd ' "$work/root/usr/lib/systemd/system/sinkd.service"
    check "a reload may execute a shell, outside" \
        grep -q '^ExecReload=+/bin/sh ' "$work/root/usr/lib/systemd/system/sinkd.service"
    check "the daemon runs" "$work/root/usr/bin/sinkd" --version
    for script in postinst prerm postrm; do
        check "$script is a script" sh -n "$work/control/$script"
    done
else
    skip "no dpkg-deb or dpkg-shlibdeps"
fi

echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ]
