# shellcheck shell=sh
# checks.sh - what tests of scripts share, to be sourced: an empty folder $tree that goes with the
# test, check, and checks_done as the last line.

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0

check() { # WHAT STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $1"
    fi
}

checks_done() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
