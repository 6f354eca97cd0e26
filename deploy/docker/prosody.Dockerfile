# Prosody with the gateway's users, rooms and component. Build context: the repository.
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends prosody \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 4711 component \
 && usermod --append --groups component prosody \
 && install -d -o prosody -g prosody -m 0750 /var/lib/prosody \
 && install -d -o prosody -g component -m 2750 /run/secret

COPY deploy/prosody.cfg.lua /etc/prosody/prosody.cfg.lua
COPY deploy/docker/prosody-entrypoint.sh deploy/docker/port-answers.sh /usr/local/bin/

USER prosody
VOLUME ["/var/lib/prosody", "/run/secret"]
EXPOSE 5222 5347
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
    CMD ["bash", "/usr/local/bin/port-answers.sh", "5222", "5347"]
ENTRYPOINT ["bash", "/usr/local/bin/prosody-entrypoint.sh"]
CMD ["prosody", "-F"]
