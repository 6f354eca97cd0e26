# Kamailio as registrar and proxy in front of the gateway. Build context: the repository.
FROM debian:bookworm-slim

# netbase: Kamailio looks the protocol number of TCP up in /etc/protocols.
RUN apt-get update \
 && apt-get install -y --no-install-recommends kamailio netbase \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o kamailio -g kamailio -m 0750 /run/kamailio

COPY deploy/kamailio.cfg /etc/kamailio/kamailio.cfg
COPY deploy/docker/sip-answers.sh /usr/local/bin/

USER kamailio
EXPOSE 5060/tcp 5060/udp
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
    CMD ["bash", "/usr/local/bin/sip-answers.sh", "sip:example.org"]
CMD ["kamailio", "-f", "/etc/kamailio/kamailio.cfg", "-DD", "-E", "-Y", "/run/kamailio", "-w", "/run/kamailio", "-P", "/run/kamailio/kamailio.pid"]
