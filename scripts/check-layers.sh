#!/bin/sh
# check-layers.sh [FOLDER] - proves the table of layers in STYLE.md on the #include lines.
#
# Prints FILE:LINE for each arrow that points up, and for each library that is met outside the
# folder that owns it. An #include "..." must be written from the root of the tree.
set -eu
cd "${1:-$(dirname "$0")/..}"

# shellcheck disable=SC2016 # the dollars are awk's
find core server eval -name '*.[ch]' | sort | xargs awk '
BEGIN {
    base = "core/base/"
    numbers = base " core/kernels/"
    may["core/base"] = base
    may["core/kernels"] = numbers
    may["core/gguf"] = base " core/gguf/ core/kernels/tensor_type.h"
    may["core/text"] = base " core/gguf/ core/kernels/kernels.h core/text/"
    may["core/model"] = numbers " core/gguf/ core/model/"
    may["core/session"] = may["core/model"] " core/text/ core/session/"
    may["core/engine"] = "core/"
    may["server"] = "server/ core/engine/engine.h core/text/ core/kernels/kernels.h core/session/session_mode.h " base

    may["eval"] = "core/ eval/"

    owner["uv.h"] = owner["microhttpd.h"] = owner["ini.h"] = "server/"
    owner["sqlite3.h"] = "server/store_db.c"
    owner["nettle/sha2.h"] = owner["nettle/memops.h"] = "server/auth.c"
    owner["jansson.h"] = "server/ eval/"
    owner["utf8proc.h"] = "core/text/"
    owner["cblas.h"] = owner["openblas_config.h"] = "core/kernels/blas.c"
}

function begins(text, start) { return substr(text, 1, length(start)) == start }

function complain(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    n_wrong++
}

function is_owned_here(header,    i, n, list) {
    n = split(owner[header], list, " ")
    for (i = 1; i <= n; i++)
        if (begins(FILENAME, list[i]))
            return 1
    return 0
}

function check_own(header,    i, n, list) {
    n = split(may[folder], list, " ")
    for (i = 1; i <= n; i++)
        if (begins(header, list[i]))
            return
    complain(folder " may not include " header)
}

FNR == 1 {
    folder = FILENAME
    sub("/[^/]*$", "", folder)
    if (begins(folder, "server"))
        folder = "server"
    if (!(folder in may))
        complain("folder " folder " is not in the table of STYLE.md")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, parts, "\"")
    check_own(parts[2])
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, parts, "[<>]")
    if (parts[2] in owner && !is_owned_here(parts[2]))
        complain("<" parts[2] "> belongs to " owner[parts[2]])
}

END { exit n_wrong > 0 }
'
