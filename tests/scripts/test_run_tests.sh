#!/bin/sh
# run-tests believes what programs report, and a crash, a hang or silence is a failure.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# expect LAST_LINE STATUS SCRIPT... - runs each script as one test program, behind $before.
before=
expect() {
    last_line=$1 status=$2
    shift 2
    set_programs=
    for script in "$@"; do
        n=$((${n:-0} + 1))
        printf '#!/bin/sh\n%s\n' "$script" >"$dir/program$n"
        chmod +x "$dir/program$n"
        set_programs="$set_programs $dir/program$n"
    done
    # shellcheck disable=SC2086 # words
    printed=$(TEST_TIMEOUT_S=1 TEST_CPUINFO=/dev/null tests/run-tests $before $set_programs 2>/dev/null) && got=0 || got=1
    if [ "$got" = "$status" ] && [ "$(echo "$printed" | tail -n 1)" = "$last_line" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: wanted '$last_line' from $*, got:"
        echo "$printed"
    fi
}

cmocka_pass='echo "[ RUN      ] a"; echo "[       OK ] a"'
cmocka_skip='echo "[ RUN      ] b"; echo "[  SKIPPED ] b"'
cmocka_fail='echo "[ RUN      ] c"; echo "[  FAILED  ] c"; exit 1'

expect '1 passed, 0 failed' 0 "$cmocka_pass"
expect '2 passed, 0 failed, 1 skipped' 0 "$cmocka_pass; $cmocka_skip" "$cmocka_pass"
expect '1 passed, 1 failed' 1 "$cmocka_pass" "$cmocka_fail"
expect '1 passed, 1 failed' 1 "$cmocka_pass; echo '[ RUN      ] d'; kill -SEGV \$\$"
expect '1 passed, 1 failed' 1 "$cmocka_pass; exit 3"
expect '0 passed, 1 failed' 1 'sleep 30'
expect '0 passed, 1 failed' 1 'true'
expect '7 passed, 0 failed, 2 skipped' 0 'echo "6 passed, 0 failed, 2 skipped"' "$cmocka_pass"
expect '3 passed, 2 failed' 1 'echo "3 passed, 2 failed"; exit 1'

# Kernels that the CPU lacks count once, if anything was to run with them.
before='-k avx2 -k auto'
expect '1 passed, 0 failed' 0 "$cmocka_pass"
before="-k avx2 $dir/program1 -k auto"
expect '1 passed, 0 failed, 1 skipped' 0 "$cmocka_pass"

# expect_sets FLAGS SET... - on a CPU with these flags, programs run with these sets of kernels.
expect_sets() {
    echo "flags : fpu $1 sse2" >"$dir/cpuinfo"
    flags=$1
    shift
    : >"$dir/sets"
    # shellcheck disable=SC2086 # words
    TEST_JOBS=1 TEST_CPUINFO=$dir/cpuinfo tests/run-tests $all_sets >/dev/null 2>&1 || true
    got=$(tr '\n' ' ' <"$dir/sets")
    if [ "$got" = "$* " ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: wanted '$*' with '$flags', got: $got"
    fi
}

printf '#!/bin/sh\n%s\n' "echo \$SINKD_KERNELS >>$dir/sets; $cmocka_pass" >"$dir/says_its_set"
chmod +x "$dir/says_its_set"
all_sets=
for isa in scalar avx2 avxvnni avx512 vbmi amx; do
    all_sets="$all_sets -k $isa $dir/says_its_set"
done

avx2='avx2 fma f16c'
avx512="$avx2 avx512f avx512bw avx512vl avx512dq avx512_vnni"
expect_sets '' scalar
expect_sets "$avx2" scalar avx2
expect_sets "$avx2 avx_vnni" scalar avx2 avxvnni
expect_sets "avx_vnni" scalar
expect_sets "$avx512" scalar avx2 avx512
expect_sets "$avx512 avx512vbmi" scalar avx2 avx512 vbmi
expect_sets "$avx512 avx512vbmi avx_vnni" scalar avx2 avxvnni avx512 vbmi
expect_sets "$avx512 avx512vbmi amx_tile amx_int8" scalar avx2 avx512 vbmi amx

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
