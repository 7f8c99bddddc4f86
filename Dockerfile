# baitline alone in an image: one static binary and the certificates to reach Slack by.
#
#   docker build --tag baitline .
#   tail -F audit.log | docker run --rm --interactive --read-only baitline
#
# BuildKit, the default builder, is sent only what is copied here: no .dockerignore is needed.

FROM rust:1.95.0-alpine3.23 AS build

# bash, g++, make: librdkafka's own build. perl, linux-headers: OpenSSL's.
# hadolint ignore=DL3018
RUN apk add --no-cache bash ca-certificates g++ linux-headers make musl-dev perl

WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# Only because Cargo.toml names a bench: cargo looks for it.
COPY benches benches
COPY src src

# Here the target is musl, and everything is linked statically: the last line makes sure of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked \
    && mkdir -p /image/etc/ssl/certs /image/var/lib/baitline \
    && cp target/release/baitline /image/baitline \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && readelf --program-headers /image/baitline >headers && ! grep INTERP headers

FROM scratch

LABEL org.opencontainers.image.title="baitline" \
      org.opencontainers.image.description="The tripwire for stolen Kubernetes tokens" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /image/etc /etc
COPY --from=build /image/baitline /baitline
# Nothing else is ever written to. A new volume that is mounted here takes over the owner.
COPY --from=build --chown=65532:65532 --chmod=700 /image/var/lib/baitline /var/lib/baitline

USER 65532:65532
WORKDIR /var/lib/baitline
VOLUME /var/lib/baitline

# There is no shell for a HEALTHCHECK: ask /health of the api from outside.
ENTRYPOINT ["/baitline"]
CMD ["run"]
