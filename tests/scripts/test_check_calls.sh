#!/bin/sh
# check-calls.sh passes on this tree, names a planted call and nothing that only looks like one.
set -eu

# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

scripts/check-calls.sh && status=0 || status=1
check "the tree itself" "$status"

mkdir -p "$tree/core/text" "$tree/server" "$tree/eval"
printf 'void f(void)\n{\n    snprintf(to, 4, "");\n    my_gets(to);\n    fgets(to, 4, in);\n}\n' >"$tree/core/text/a.c"
scripts/check-calls.sh "$tree" && status=0 || status=1
check "bounded relatives" "$status"

printf '    strcpy(to, from);\n' >"$tree/server/b.c"
printed=$(scripts/check-calls.sh "$tree") && status=0 || status=1
check "a call (printed '$printed')" \
    "$([ "$status" = 1 ] && echo "$printed" | grep -q '^server/b.c:1:' && echo 0 || echo 1)"

checks_done
