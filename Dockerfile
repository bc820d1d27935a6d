# sinkd in a container, without a model: mount one.
#
#     docker build -t sinkd .
#     docker run -p 127.0.0.1:8080:8080 -v /path/to/model.gguf:/model.gguf:ro sinkd --no-auth
#
# --no-auth says that whoever reaches the port may use it; for others than this machine mount a key
# file and give --api-key-file instead. The daemon writes nothing to disk (--read-only is fine), but
# for stored conversations: -v sinkd:/var/lib/sinkd and --state-dir /var/lib/sinkd keep them.
# Both stages are the same Debian, so that it runs on the libraries that it was built with.

FROM debian:bookworm-slim AS build
WORKDIR /src
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends make
COPY scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build
COPY . .
RUN make all

FROM debian:bookworm-slim
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends \
        libmicrohttpd12 libuv1 libjansson4 libinih1 libutf8proc2 libsqlite3-0 \
        libnettle8 libopenblas0-pthread \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/sinkd /usr/local/bin/sinkd
RUN install -d -m 700 -o 65532 -g 65532 /var/lib/sinkd
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sinkd" \
      org.opencontainers.image.description="Endless chat with a language model behind an OpenAI-compatible API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# In the environment, so that the health check knows them too, and flags still beat them.
ENV SINKD_HOST=0.0.0.0 SINKD_MODEL=/model.gguf
HEALTHCHECK --interval=10s --timeout=6s --start-period=300s CMD ["sinkd", "--healthcheck"]
ENTRYPOINT ["sinkd"]
