# shellcheck shell=sh disable=SC2154
# What podman_service.sh and docker_service.sh share. Both source it, with $dir set to the engine's folder.

# Overlay does not stack upon overlay.
is_on_overlay() {
    [ "$(stat -f -c %T "$dir")" = overlayfs ]
}

# await_service SOCKET PID: until the service that writes to service.log answers at its socket.
await_service() {
    tries=0
    until curl -sf --unix-socket "$1" http://localhost/_ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 400 ] || ! kill -0 "$2" 2>/dev/null; then
            echo "$(basename "$0"): the service does not come up:" >&2
            cat "$dir/service.log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# What mounts are left below the folder would keep it from being removed.
unmount_below() {
    awk -v dir="$dir/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done
}
