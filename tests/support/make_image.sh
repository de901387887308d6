#!/bin/sh
# Makes a tiny image of busybox without a registry and leaves it in an engine's store.
#
#   make_image.sh IMAGE        in the host's own Podman
#   make_image.sh IMAGE DIR    in the private engine of podman_service.sh or docker_service.sh
#
# The image also sets LD_PRELOAD and NVIDIA_VISIBLE_DEVICES and declares a volume: what an unfriendly image would
# do, and the agent must undo.
set -eu

image=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

busybox=$(command -v busybox)
mkdir -p "$work/root/bin" "$work/root/tmp" "$work/root/work/in" "$work/root/work/out" "$work/root/etc" \
    "$work/root/data"
cp "$busybox" "$work/root/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"
done
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$work/root/etc/passwd"
chmod 1777 "$work/root/tmp"
tar -C "$work/root" --owner=0 --group=0 -cf "$work/image.tar" .

import() {
    "$@" --change 'ENV LD_PRELOAD=/evil.so' --change 'ENV NVIDIA_VISIBLE_DEVICES=all' \
        --change 'VOLUME /data' --change 'CMD ["/bin/sh"]' "$work/image.tar" "$image"
}
if [ $# -lt 2 ]; then
    import podman import --quiet
elif [ -S "$2/docker.sock" ]; then
    import "$here/docker_service.sh" docker "$2" import
else
    import "$here/podman_service.sh" podman "$2" import --quiet
fi
