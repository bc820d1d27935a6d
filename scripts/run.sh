#!/usr/bin/env bash
# run.sh SINKD MODEL [FLAG]... - starts the daemon in the foreground and, once it listens, prints
# one line to try. An empty MODEL means the default one.
set -euo pipefail

sinkd=$1
model=$2
shift 2
flags=" $*"
[ -n "$model" ] || model=$("$(dirname "$0")/fetch-model.sh")

# Passes the daemon's log through. It outlives Ctrl-C, to show the daemon's last lines.
announce() {
    trap '' INT TERM
    local line key=
    [[ $flags != *" --api-key-file"* ]] || key=" -H 'Authorization: Bearer KEY'"
    while IFS= read -r line; do
        echo "$line"
        [[ $line =~ listening\ on\ (http://[^ ,]+) ]] || continue
        cat <<END

Try it:

  curl -N ${BASH_REMATCH[1]/0.0.0.0/127.0.0.1}/v1/chat/completions$key -H 'X-Conversation-Id: hello' -d '{"stream": true, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}'

Ctrl-C stops the daemon.

END
    done
}

exec "$sinkd" --model "$model" "$@" 2> >(announce >&2)
