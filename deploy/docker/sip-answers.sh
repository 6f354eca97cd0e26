#!/usr/bin/env bash
# Health check: succeeds when OPTIONS for the URI named gets a 200 over TCP from port 5060 inside the container.
set -euo pipefail

exec 3<>/dev/tcp/127.0.0.1/5060
printf '%s\r\n' \
    "OPTIONS $1 SIP/2.0" \
    "Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK$RANDOM$RANDOM" \
    "Max-Forwards: 70" \
    "From: <sip:health@127.0.0.1>;tag=$RANDOM" \
    "To: <$1>" \
    "Call-ID: health-$RANDOM$RANDOM" \
    "CSeq: 1 OPTIONS" \
    "Content-Length: 0" \
    "" >&3
read -r -t 2 status <&3
# The rest is read too: closing with octets unread would reset the connection, which servers log as an error.
while read -r -t 2 line <&3 && [[ $line != $'\r' ]]; do :; done
[[ $status == "SIP/2.0 200 "* ]]
