#!/bin/sh
# run.sh passes on what the daemon says, and tells what to try: with a key where one is asked for.
set -eu

# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

# Stands in for the daemon.
cat >"$tree/sinkd" <<'EOF'
#!/bin/sh
echo "flags: $*"
echo "sinkd: info: listening on http://$address" >&2
EOF
chmod +x "$tree/sinkd"

# says WORDS - 0 when run.sh says them, perhaps after the daemon has ended.
says() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ! grep -qF -- "$1" "$tree/said" || break
        sleep 0.2
    done
    grep -qF -- "$1" "$tree/said" && echo 0 || echo 1
}

export address=127.0.0.1:1234
scripts/run.sh "$tree/sinkd" model.gguf --port 1234 >"$tree/said" 2>&1
check "flags are passed on" "$(says "flags: --model model.gguf --port 1234")"
check "a line to try" "$(says "curl -N http://127.0.0.1:1234/v1/chat/completions -H 'X-Conv")"
check "how to stop it" "$(says "Ctrl-C")"

address=0.0.0.0:1234
scripts/run.sh "$tree/sinkd" model.gguf --host 0.0.0.0 --api-key-file keys >"$tree/said" 2>&1
check "an address that can be called, and a key" \
    "$(says "curl -N http://127.0.0.1:1234/v1/chat/completions -H 'Authorization: Bearer KEY' ")"

checks_done
