# sinkd in a container: docker build -t sinkd . && docker run -p 8080:8080 -v MODEL.gguf:/model.gguf:ro sinkd
#
# Both stages are the same Debian, so that the daemon runs on the libraries it was built with. No
# model is inside: mount one. The daemon writes nothing to disk; a read-only root is fine
# (--read-only --cap-drop=ALL --security-opt=no-new-privileges).

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
        libmicrohttpd12 libuv1 libjansson4 libinih1 libutf8proc2 libopenblas0-pthread \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/sinkd /usr/local/bin/sinkd
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["sinkd", "--host", "0.0.0.0", "--model", "/model.gguf"]
