#!/usr/bin/env bash
# Health check: succeeds when every TCP port named accepts a connection from inside the container.
set -euo pipefail

for port in "$@"; do
    : 2>/dev/null <"/dev/tcp/127.0.0.1/$port"
done
