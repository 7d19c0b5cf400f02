# The plugin as an image, for those who build with Docker:
#
#   docker build -f packaging/docker/filter.Dockerfile -t registry.example.com/meshmeter/filter:0.1.0 .
#
# `just image` makes the same image without Docker, reproducible and with an SBOM inside. Istio and Envoy Gateway read the
# last layer, and in it the file plugin.wasm: keep that COPY last.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
# The image has the toolchain: rustup is not to bring what rust-toolchain.toml lists besides.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN rustup target add wasm32-wasip1
WORKDIR /meshmeter
COPY . .
RUN cargo build --locked --release --package filter --target wasm32-wasip1

FROM scratch
LABEL org.opencontainers.image.title="meshmeter filter" \
      org.opencontainers.image.source="https://github.com/meshmeter/meshmeter" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /usr/share/doc/meshmeter/LICENSE
COPY --from=build /meshmeter/target/wasm32-wasip1/release/filter.wasm /plugin.wasm
