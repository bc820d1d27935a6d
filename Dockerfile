# sinkd in a container, with the chat model that `make run` fetches:
#
#     docker build -t sinkd .
#     docker run -p 127.0.0.1:8080:8080 sinkd --no-auth
#
# Another model is mounted over it, -v /path/to/model.gguf:/model.gguf:ro, or elsewhere and named by
# -e SINKD_MODEL=... or --model. An image for that needs no model of its own, and fetches none:
#
#     docker build -t sinkd --target bare .
#
# --no-auth says that whoever reaches the port may use it; for others than this machine mount a key
# file and give --api-key-file instead. The daemon writes nothing to disk (--read-only is fine), but
# for stored conversations: -v sinkd:/var/lib/sinkd and --state-dir /var/lib/sinkd keep them.
# All stages are the same Debian, so that it runs on the libraries that it was built with.

FROM debian:bookworm-slim AS build
WORKDIR /src
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends make
COPY scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build
COPY Makefile ./
COPY core core
COPY server server
RUN mkdir tests && make build/sinkd && strip --strip-unneeded build/sinkd

FROM debian:bookworm-slim AS runtime
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends \
        libmicrohttpd12 libuv1 libjansson4 libinih1 libutf8proc2 libsqlite3-0 \
        libnettle8 libopenblas0-pthread \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN install -d -m 700 -o 65532 -g 65532 /var/lib/sinkd
LABEL org.opencontainers.image.title="sinkd" \
      org.opencontainers.image.description="Endless chat with a language model behind an OpenAI-compatible API" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# In the environment, so that the health check knows them too, and flags still beat them.
ENV SINKD_HOST=0.0.0.0 SINKD_MODEL=/model.gguf
HEALTHCHECK --interval=10s --timeout=6s --start-period=300s CMD ["sinkd", "--healthcheck"]
ENTRYPOINT ["sinkd"]

FROM runtime AS bare
COPY LICENSE /usr/share/doc/sinkd/
COPY --from=build /src/build/sinkd /usr/local/bin/
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# npm and what it brings stay in this stage. Nothing of the daemon is in it either, so that only
# another model is fetched anew.
FROM debian:bookworm-slim AS model
WORKDIR /src
COPY scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh model
COPY scripts/fetch-model.sh scripts/
RUN model=$(scripts/fetch-model.sh) && chmod 444 "$model" && mv "$model" /model.gguf

# The model comes before the daemon: a new daemon is a layer of 2 MB on top.
FROM runtime AS chat
COPY --from=model /model.gguf /
LABEL sinkd.model.title="TinyLlama-1.1B-Chat v1.0" \
      sinkd.model.authors="the TinyLlama authors" \
      sinkd.model.licenses="Apache-2.0" \
      sinkd.model.documentation="/usr/share/doc/sinkd/models.md"
COPY LICENSE /usr/share/doc/sinkd/
COPY models/README.md /usr/share/doc/sinkd/models.md
COPY --from=build /src/build/sinkd /usr/local/bin/
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
