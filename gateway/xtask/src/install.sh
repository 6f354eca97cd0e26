# Installs Debian packages without starting their services: sh install.sh PACKAGE…
#
# While apt runs, a policy-rc.d of ours refuses to start any service and leaves every other action to whatever policy
# was there before. It goes away again however this script ends, short of SIGKILL; the next run clears up after that.
set -eu

guard=/usr/sbin/policy-rc.d
before=/usr/sbin/policy-rc.d.before-xtask

restore() {
    if [ -e "$guard" ] && grep -q 'before-xtask' "$guard"; then rm -f "$guard"; fi
    if [ -e "$before" ]; then mv "$before" "$guard"; fi
}

restore
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -e "$guard" ]; then mv "$guard" "$before"; fi
cat >"$guard" <<'POLICY'
#!/bin/sh
case "$2" in
    start | "(start)") exit 101 ;;
esac
if [ -x /usr/sbin/policy-rc.d.before-xtask ]; then
    exec /usr/sbin/policy-rc.d.before-xtask "$@"
fi
exit 0
POLICY
chmod 755 "$guard"

export DEBIAN_FRONTEND=noninteractive
if ! apt-get install -y -q --no-install-recommends "$@"; then
    # Package lists may be missing, as in a fresh container, or old.
    apt-get update -q
    apt-get install -y -q --no-install-recommends "$@"
fi
