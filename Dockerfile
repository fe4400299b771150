# syntax=docker/dockerfile:1
# deploy/pin writes the digests of the bases after their tags.
# The build caches crates and build artifacts; the image contains one binary, the example models, and no shell.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# logged by `serve` and shown in `tollgate_build_info`: --build-arg TOLLGATE_COMMIT=$(git rev-parse HEAD)
ARG TOLLGATE_COMMIT=unknown
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p tollgate \
    && cp target/release/tollgate /tollgate \
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /tollgate /usr/local/bin/tollgate
COPY --from=build --chown=nonroot:nonroot /data /var/lib/tollgate
COPY models /etc/tollgate/models
# settings are in a file rather than in variables, which would override a mounted file
COPY deploy/image/tollgate.yaml /etc/tollgate/tollgate.yaml
WORKDIR /etc/tollgate
VOLUME /var/lib/tollgate
EXPOSE 50051 9464
ENTRYPOINT ["/usr/local/bin/tollgate"]
# the port is open to other containers, without TLS or authentication: `serve` requires --insecure for that, which is left
# to those who run the image in a trusted network
CMD ["serve"]
