#!/bin/sh
# The Dockerfile holds to what the documentation says of it; tests/e2e/image.py builds it.
set -eu

# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

# holds WHAT COMMAND...
holds() {
    what=$1
    shift
    "$@" && status=0 || status=1
    check "$what" "$status"
}

# stage NAME - the lines of a stage, those that go on joined.
stage() { sed -e ':a' -e '/\\$/N; s/\\\n//; ta' Dockerfile | sed -n "/ AS $1\$/,/^FROM /p"; }
# line STAGE TEXT - the number of the first line of a stage that begins with this.
line() { stage "$1" | grep -n "^$2" | head -n 1 | cut -d: -f1; }

for name in build runtime bare model chat; do
    stage "$name" >"$tree/$name"
    holds "there is a stage $name" [ -s "$tree/$name" ]
done
holds "what is built without a target has the model" \
    [ "$(sed -n 's/^FROM .* AS //p' Dockerfile | tail -n 1)" = chat ]
# buildah builds what stands before the target, wanted or not.
holds "bare does not wait for a model" sh -c "! sed '/ AS bare\$/q' Dockerfile | grep -q fetch-model"
holds "nothing of the model's stage comes from the daemon" \
    [ "$(grep '^COPY' "$tree/model" | sort)" = "COPY scripts/fetch-model.sh scripts/
COPY scripts/install-deps.sh scripts/" ]
holds "the model lies below the daemon" \
    [ "$(line chat 'COPY --from=model')" -lt "$(line chat 'COPY --from=build')" ]
holds "what names the build comes last" \
    [ "$(line chat 'ARG')" -gt "$(line chat 'COPY --from=build')" ]
holds "a model of the build's folder stays out" grep -qxF 'models/*.gguf' .dockerignore
holds "not root" grep -qxE 'USER [1-9][0-9]*:[1-9][0-9]*' "$tree/runtime"
holds "the license of the model is named" grep -q 'sinkd.model.licenses="Apache-2.0"' "$tree/chat"
# shellcheck disable=SC2016 # the dollars are the Dockerfile's
for label in title description licenses 'version="$VERSION"' 'revision="$REVISION"'; do
    cat "$tree/runtime" "$tree/chat" >"$tree/both"
    holds "label $label" grep -qF "org.opencontainers.image.$label" "$tree/both"
done
holds "bare and chat differ by the model alone" [ "$(grep -vE 'model|^#|^FROM|^$' "$tree/chat")" = \
    "$(grep -vE 'model|^#|^FROM|^$' "$tree/bare")" ]

# The libraries that the daemon was built with, and no others, by their Debian packages.
sinkd=${SINKD:-build/sinkd}
if [ -x "$sinkd" ] && grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release; then
    readelf -d "$sinkd" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
        dpkg -S "*/$library" | cut -d: -f1
    done | grep -v '^libc6' | sort -u >"$tree/needed"
    grep -oE 'lib[a-z0-9]+-?[0-9]+\b' "$tree/runtime" | grep -v '^libopenblas' | sort -u >"$tree/installed"
    holds "the daemon's libraries are in it" diff "$tree/needed" "$tree/installed"
fi

checks_done
