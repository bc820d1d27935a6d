#!/bin/sh
# make-man.sh SINKD TEMPLATE - writes the manual page: the template with the options that
# `SINKD --help` lists, so that the two cannot differ.
set -eu

sinkd=$1
template=$2

list_options() {
    "$sinkd" --help | awk '
    function roff(text) { gsub(/\\/, "\\\\", text); gsub(/-/, "\\-", text); gsub(/\047/, "\\(aq", text); return text }
    function end_option() {
        if (name == "")
            return
        if (match(text, / \[[^ ]+\]$/)) {
            tail = " Default: " roff(substr(text, RSTART + 2, RLENGTH - 3)) "."
            text = substr(text, 1, RSTART - 1)
        } else
            tail = ""
        if (argument == "")
            printf ".TP\n.B \\-\\-%s\n", roff(name)
        else
            printf ".TP\n.BI \\-\\-%s \" %s\"\n", roff(name), roff(argument)
        printf "%s.%s\n", roff(toupper(substr(text, 1, 1)) substr(text, 2)), tail
        name = ""
    }
    /^  --/ {
        end_option()
        name = substr($1, 3)
        argument = $2 ~ /^([A-Z]+|unix:PATH)$/ ? $2 : ""
        text = $0
        sub(/^ *--[^ ]+ */, "", text)
        if (argument != "")
            text = substr(text, length(argument) + 1)
        sub(/^ */, "", text)
        next
    }
    /^      / && name != "" { sub(/^ */, ""); text = text == "" ? $0 : text " " $0; next }
    { end_option() }
    /^[A-Z].*:$/ { sub(/:$/, ""); printf ".SS %s\n", roff($0) }
    '
}

version=$("$sinkd" --version)
while IFS= read -r line; do
    case $line in
    @OPTIONS@) list_options ;;
    *@VERSION@*) printf '%s\n' "${line%%@VERSION@*}$version${line#*@VERSION@}" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <"$template"
