# The collector as an image, for those who build with Docker:
#
#   docker build -f packaging/docker/meshmeter.Dockerfile -t registry.example.com/meshmeter/meshmeter:0.1.0 .
#
# `just image` makes the same image without Docker, reproducible, for two architectures and with an SBOM inside. Alpine's
# Rust links statically against musl, so the result needs no operating system.
FROM node:20-alpine AS web
WORKDIR /web
COPY collector/web .
RUN npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

FROM rust:1.95.0-alpine AS build
# The image has the toolchain: rustup is not to bring what rust-toolchain.toml lists besides.
ENV RUSTUP_TOOLCHAIN=1.95.0
# For SQLite and ring, which are C.
RUN apk add --no-cache gcc musl-dev
WORKDIR /meshmeter
COPY . .
COPY --from=web /web/dist collector/web/dist
RUN cargo build --locked --release --package collector --bin meshmeter
RUN mkdir -p /root.fs/etc /root.fs/usr/bin && install -d -m 1777 /root.fs/tmp \
 && install -d -m 0750 -o 65532 -g 65532 /root.fs/var/lib/meshmeter \
 && printf 'root:x:0:0:root:/:/sbin/nologin\nmeshmeter:x:65532:65532:meshmeter:/var/lib/meshmeter:/sbin/nologin\n' > /root.fs/etc/passwd \
 && printf 'root:x:0:\nmeshmeter:x:65532:\n' > /root.fs/etc/group \
 && install -D -m 0644 LICENSE /root.fs/usr/share/doc/meshmeter/LICENSE \
 && install -m 0755 target/release/meshmeter /root.fs/usr/bin/meshmeter

FROM scratch
LABEL org.opencontainers.image.title="meshmeter" \
      org.opencontainers.image.source="https://github.com/meshmeter/meshmeter" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root.fs /
ENV PATH=/usr/bin \
    MESHMETER_LISTEN=0.0.0.0:8080 \
    MESHMETER_DATABASE=/var/lib/meshmeter/ledger.db
USER 65532:65532
WORKDIR /var/lib/meshmeter
VOLUME /var/lib/meshmeter
EXPOSE 8080/tcp
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/meshmeter"]
CMD ["serve"]
