#!/bin/sh
# A private Docker with its daemon on a unix socket, for tests: nothing of it touches the host's own Docker, nor the
# host's packet filter. Needs root, docker.io and runc.
#
#   docker_service.sh start DIR    starts it; its socket is DIR/docker.sock, its process id is in DIR/docker.pid
#   docker_service.sh docker DIR … runs docker on the same daemon
#   docker_service.sh stop DIR     removes its containers and ends it
#
# DIR should be short (a socket's path has 108 octets at most).
set -eu

verb=$1
dir=$(mkdir -p "$2" && cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shift 2
. "$here/private_engine.sh"

# dockerd would drop what the host forwards, and so stop Podman's guests, and keep a key in /etc/docker.
write_configuration() {
    if is_on_overlay; then driver=vfs; else driver=overlay2; fi
    cat >"$dir/daemon.json" <<EOF
{
    "hosts": ["unix://$dir/docker.sock"],
    "data-root": "$dir/data",
    "exec-root": "$dir/exec",
    "pidfile": "$dir/docker.pid",
    "deprecated-key-path": "$dir/key.json",
    "storage-driver": "$driver",
    "bridge": "none",
    "iptables": false,
    "ip6tables": false,
    "ip-forward": false
}
EOF
}

docker_here() {
    docker --config "$dir/client" --host "unix://$dir/docker.sock" "$@"
}

start() {
    write_configuration
    setsid dockerd --config-file "$dir/daemon.json" >"$dir/service.log" 2>&1 </dev/null &
    await_service "$dir/docker.sock" $!
    echo "$dir/docker.sock"
}

# dockerd ends its containerd with itself, and removes the file with its process id last.
stop() {
    if [ -f "$dir/docker.pid" ]; then
        for container in $(docker_here ps --all --quiet); do
            docker_here rm --force --volumes "$container" >/dev/null 2>&1 || true
        done
        kill "$(cat "$dir/docker.pid")" || rm -f "$dir/docker.pid"
        tries=0
        while [ -f "$dir/docker.pid" ]; do
            tries=$((tries + 1))
            if [ $tries -gt 600 ]; then
                echo "docker_service.sh: the daemon does not end" >&2
                exit 1
            fi
            sleep 0.05
        done
    fi
    unmount_below
}

case $verb in
start) start ;;
docker) docker_here "$@" ;;
stop) stop ;;
*)
    echo "usage: docker_service.sh start|stop|docker DIR" >&2
    exit 2
    ;;
esac
