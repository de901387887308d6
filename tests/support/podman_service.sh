#!/bin/sh
# A private Podman with its service on a unix socket, for tests and the demo: nothing of it touches the host's own
# Podman store. Needs root, podman, runc and uidmap.
#
#   podman_service.sh start DIR [RUNTIME]
#                                  starts it, with runc unless another runtime is said; its socket is DIR/podman.sock,
#                                  its process id is in DIR/podman.pid; a DIR/registries.conf that is there already
#                                  says what it knows of registries
#   podman_service.sh podman DIR … runs podman on the same store
#   podman_service.sh stop DIR     removes its containers and ends it
#
# DIR should be short (a socket's path has 108 octets at most).
set -eu

verb=$1
dir=$(mkdir -p "$2" && cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shift 2
. "$here/private_engine.sh"
[ ! -f "$dir/registries.conf" ] || export CONTAINERS_REGISTRIES_CONF="$dir/registries.conf"

# File locks, because Podman's shared-memory locks are one table for all stores of a machine. runc, because crun
# does not start containers on a cgroup-hybrid host. cgroupfs, because there may be no systemd. Where tests ask for
# runsc, it keeps out of the groups of such a host, and needs neither KVM nor a network.
write_configuration() {
    mkdir -p "$dir/tmp"
    cat >"$dir/runsc" <<EOF
#!/bin/sh
exec /usr/bin/runsc --root "$dir/runsc-state" --ignore-cgroups --network=none --platform=ptrace "\$@"
EOF
    chmod 755 "$dir/runsc"
    cat >"$dir/containers.conf" <<EOF
[engine]
runtime = "$1"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$dir/tmp"

[engine.runtimes]
runc = ["/usr/sbin/runc", "/usr/bin/runc"]
runsc = ["$dir/runsc"]
EOF
    if is_on_overlay; then driver=vfs; else driver=overlay; fi
    echo "$driver" >"$dir/driver"
}

podman_here() {
    CONTAINERS_CONF="$dir/containers.conf" podman --root "$dir/root" --runroot "$dir/run" \
        --storage-driver "$(cat "$dir/driver")" "$@"
}

# Automatic user namespaces take their ids from the range of the user "containers", as Podman's manual has it.
ensure_subordinate_ids() {
    for file in /etc/subuid /etc/subgid; do
        grep -q '^containers:' "$file" 2>/dev/null || echo 'containers:2147483647:2147483648' >>"$file"
    done
}

start() {
    cd "$dir" # conmon leaves a file named oom in the folder it was started in
    ensure_subordinate_ids
    write_configuration "${1:-runc}"
    rm -f "$dir/podman.sock"
    CONTAINERS_CONF="$dir/containers.conf" setsid podman --root "$dir/root" --runroot "$dir/run" \
        --storage-driver "$(cat "$dir/driver")" system service --time 0 "unix://$dir/podman.sock" \
        >"$dir/service.log" 2>&1 </dev/null &
    echo $! >"$dir/podman.pid"
    await_service "$dir/podman.sock" "$(cat "$dir/podman.pid")"
    echo "$dir/podman.sock"
}

stop() {
    [ -f "$dir/driver" ] && podman_here rm --all --force --time 0 >/dev/null 2>&1 || true
    if [ -f "$dir/podman.pid" ]; then
        kill "$(cat "$dir/podman.pid")" 2>/dev/null || true
        rm -f "$dir/podman.pid" "$dir/podman.sock"
    fi
    unmount_below
}

case $verb in
start) start "$@" ;;
podman) podman_here "$@" ;;
stop) stop ;;
*)
    echo "usage: podman_service.sh start|stop|podman DIR" >&2
    exit 2
    ;;
esac
