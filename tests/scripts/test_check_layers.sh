#!/bin/sh
# check-layers.sh passes on this tree and names each planted violation.
set -eu

# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

# plant FILE INCLUDE EXPECTED - the file is alone in the tree.
plant() {
    rm -rf "$tree/core" "$tree/server" "$tree/eval"
    mkdir -p "$tree/core" "$tree/server" "$tree/eval" "$tree/$(dirname "$1")"
    printf '/* a comment */\n#include %s\n' "$2" >"$tree/$1"
    printed=$(scripts/check-layers.sh "$tree") && status=0 || status=1
    case $3 in
    allowed) check "$1 may include $2" "$status" ;;
    *) check "$1 may not include $2 (printed '$printed')" \
        "$([ "$status" = 1 ] && [ "$printed" = "$1:2: $3" ] && echo 0 || echo 1)" ;;
    esac
}

scripts/check-layers.sh && status=0 || status=1
check "the tree itself" "$status"

plant core/text/a.c '"core/gguf/gguf.h"' allowed
plant core/gguf/a.c '"core/kernels/tensor_type.h"' allowed
plant core/text/a.c '"core/kernels/kernels.h"' allowed
plant core/text/a.c '<utf8proc.h>' allowed
plant core/base/a.c '<stdio.h>' allowed
plant server/a.c '"core/engine/engine.h"' allowed
plant eval/a.c '"core/model/model.h"' allowed
plant eval/a.c '<jansson.h>' allowed
plant eval/a.c '"server/options.h"' 'eval may not include server/options.h'
plant core/text/a.c '<jansson.h>' '<jansson.h> belongs to server/ eval/'
plant core/text/a.c '"core/model/model.h"' 'core/text may not include core/model/model.h'
plant core/gguf/a.h '"core/kernels/kernels.h"' 'core/gguf may not include core/kernels/kernels.h'
plant server/a.c '"core/session/session.h"' 'server may not include core/session/session.h'
plant core/base/a.c '"err.h"' 'core/base may not include err.h'
plant core/engine/a.c '<uv.h>' '<uv.h> belongs to server/'

checks_done
