#!/usr/bin/env bash
# make.sh - joins the sources of the chat page into one HTML file and prints it as C, with what the
# reply's headers need: server/page_data.h. Nothing is changed or left out on the way.
set -euo pipefail
cd "$(dirname "$0")"

html=$(<page.html)
css=$'\n'$(<page.css)$'\n'
js=$'\n"use strict";\n'$(cat store.js api.js markdown.js focus.js view.js app.js)$'\n'
case $css$js in *'</s'*) echo "make.sh: a script or a style ends itself" >&2 && exit 1 ;; esac

# put MARK TEXT - the mark in $html becomes the text.
put() { html=${html%%"$1"*}$2${html#*"$1"}; }
put @page.css@ "$css"
put @page.js@ "$js"

hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }

# csp_hash TEXT - as a Content-Security-Policy wants it.
csp_hash() {
    local bytes
    bytes=$(hash "$1" | sed 's/../\\x&/g')
    # shellcheck disable=SC2059 # the format is the bytes
    printf "'sha256-%s'" "$(printf "$bytes" | base64)"
}

cat <<END
#include "server/page_data.h"

const char page_etag[] = "\"$(hash "$html" | cut -c1-32)\"";
const char page_policy[] =
    "default-src 'none'; script-src $(csp_hash "$js"); "
    "style-src $(csp_hash "$css"); "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const unsigned char page_html[] = {
$(printf '%s\n' "$html" | od -An -v -tx1 | sed 's/ \(..\)/0x\1,/g')
};
const size_t page_html_len = sizeof page_html;
END
