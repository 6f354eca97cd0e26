#!/usr/bin/env bash
# Makes the secret that Prosody and the gateway share, if nobody has given one: random, and known to those two only.
set -euo pipefail

secret=${PROSODY_COMPONENT_SECRET_FILE:-/run/secret/component}
if [[ -z ${PROSODY_COMPONENT_SECRET:-} && ! -s $secret ]]; then
    (umask 0027 && head -c 32 /dev/urandom | base64 >"$secret.new")
    mv "$secret.new" "$secret"
fi
exec "$@"
