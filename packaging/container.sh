# For packaging/try-*: a fresh Debian 12 with a real systemd, in a container. Source it at the
# root of the repository. It needs root, debootstrap, systemd-nspawn, Debian's package archive, and a
# machine that lets containers boot, which CI machines often do not.

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

scratch=$(mktemp -d)
container='' # the process of systemd-nspawn
cleanup() {
    if [ -n "$container" ]; then
        kill -TERM "$container" 2>/dev/null || true
        wait "$container" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT
root=$scratch/root etc=$scratch/root/etc/pc4patroni

# make_container PACKAGE... makes it, with these packages beside systemd.
make_container() {
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libpam-systemd,polkitd,adduser \
        bookworm "$root" >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "debootstrap"; }
    [ $# = 0 ] || DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y --no-install-recommends "$@" \
        >"$scratch/log" 2>&1 </dev/null || { tail "$scratch/log"; fail "apt-get install"; }
}

# boot boots it, with no network but its own loopback.
boot() {
    setsid systemd-nspawn --register=no --keep-unit --private-network -b -D "$root" >"$scratch/boot" 2>&1 </dev/null &
    container=$!
    local i
    for ((i = 0; ; i++)); do
        systemd=$(pgrep -P "$container" -x systemd || true)
        if [ -n "$systemd" ] && inside systemctl is-system-running --wait >"$scratch/log" 2>&1; then break; fi
        [ $i -lt 60 ] || { tail "$scratch/boot"; cat "$scratch/log"; fail "the container does not boot"; }
        sleep 1
    done
}
inside() { nsenter -t "$systemd" -m -u -i -n -p -C "$@"; }
state() { inside systemctl show -P "$1" pc4patroni; }

# within SECONDS COMMAND... runs it inside; it must not take longer.
within() {
    local seconds=$1 begun=$SECONDS
    shift
    inside timeout $((seconds + 5)) "$@" || return
    [ $((SECONDS - begun)) -le "$seconds" ] || fail "$* took $((SECONDS - begun)) s, more than $seconds"
}

# await SECONDS WHAT COMMAND... tries a command until it succeeds.
await() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || fail "never: $what"
        sleep 0.2
    done
}
