# The gateway, from a binary built before: `cargo build --release --package sip-xmpp-gateway`. Build context: the
# repository. The binary must not need a C library newer than this image's (glibc 2.36).
FROM debian:bookworm-slim

RUN groupadd --gid 4711 component \
 && useradd --system --gid component --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin gateway \
 && install --directory --owner gateway --group component --mode 0700 /var/lib/sip-xmpp-gateway

COPY target/release/sip-xmpp-gateway /usr/local/bin/sip-xmpp-gateway
COPY deploy/gateway.toml /etc/sip-xmpp-gateway/gateway.toml
COPY deploy/docker/sip-answers.sh /usr/local/bin/

USER gateway
EXPOSE 5060/tcp 5060/udp 2855/tcp
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
    CMD ["bash", "/usr/local/bin/sip-answers.sh", "sip:rooms.example.com"]
ENTRYPOINT ["sip-xmpp-gateway"]
CMD ["run", "--config", "/etc/sip-xmpp-gateway/gateway.toml"]
