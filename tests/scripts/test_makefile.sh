#!/bin/sh
# The Makefile makes objects anew when they would be made in another way, and only then.
set -eu

# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

# Stands in for the compiler: an object is how it was called.
cat >"$tree/cc" <<'EOF'
#!/bin/sh
for object; do :; done
echo "$@" >"$object"
EOF
cp "$tree/cc" "$tree/another_cc"
chmod +x "$tree/cc" "$tree/another_cc"

objects="$tree/build/core/base/err.o $tree/build/core/kernels/kernels_avx2.o"
run_make() {
    # shellcheck disable=SC2086 # words
    env -u MAKEFLAGS -u MAKELEVEL -u CFLAGS make -s BUILD="$tree/build" CC="$tree/cc" "$@" $objects \
        >/dev/null
}
is_made() { run_make -q "$@" && echo 0 || echo 1; }
has() { grep -q -- "$1" "$tree/build/core/$2" && echo 0 || echo 1; }
lacks() { echo $((1 - $(has "$@"))); }

check "nothing is made at first" "$((1 - $(is_made)))"
run_make
check "what is made stays" "$(is_made)"
check "an instruction set is its file's own" "$(has -mavx2 kernels/kernels_avx2.o)"
check "and nobody else's" "$(lacks -mavx2 base/err.o)"

for flags in "CFLAGS=-Os -g" "EXTRA=-fsanitize=thread" "CC=$tree/another_cc" 'WARN=-Wall -DX="y z"'; do
    check "$flags is another way" "$((1 - $(is_made "$flags")))"
    run_make "$flags"
    check "$flags is known" "$(is_made "$flags")"
    check "without $flags is another way" "$((1 - $(is_made)))"
done
run_make "CFLAGS=-Os -g"
check "the new flags are used" "$(has '-Os -g' base/err.o)"
run_make
check "and forgotten" "$(lacks '-Os -g' base/err.o)"

checks_done
