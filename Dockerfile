# syntax=docker/dockerfile:1
# The build keeps crates and objects in caches; what ships is one binary, the example models, and no shell.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# what `serve` logs and `tollgate_build_info` says: --build-arg TOLLGATE_COMMIT=$(git rev-parse HEAD)
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
# settings are a file rather than variables, which would win over a file that is mounted
COPY deploy/image/tollgate.yaml /etc/tollgate/tollgate.yaml
WORKDIR /etc/tollgate
VOLUME /var/lib/tollgate
EXPOSE 50051 9464
ENTRYPOINT ["/usr/local/bin/tollgate"]
# the port is open to other containers, without TLS or authentication: `serve` wants --insecure for that, and whoever
# runs the image gives it where the network is trusted
CMD ["serve"]
