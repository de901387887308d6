#!/bin/sh
# Makes an image with an SSH server (dropbear, as Debian has it, with the libraries it needs) and busybox, and leaves
# it in the private store of podman_service.sh. Its user is 1000, "guest", who may log in with one key.
#
#   make_ssh_image.sh IMAGE DIR PUBLIC_KEY_FILE
set -eu

image=$1
dir=$2
public_key=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

root=$work/root
mkdir -p "$root/bin" "$root/tmp" "$root/work/in" "$root/work/out" "$root/etc" "$root/home/guest/.ssh"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh cat id sha256sum sleep; do ln -s busybox "$root/bin/$applet"; done

program=/usr/sbin/dropbear
libraries=$(ldd "$program" | awk '{for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i}')
# One word a path: none of them has a blank.
# shellcheck disable=SC2086
cp -L --parents "$program" $libraries "$root"

printf 'root:x:0:0:root:/:/bin/sh\nguest:x:1000:1000:guest:/home/guest:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nguest:x:1000:\n' >"$root/etc/group"
cp "$public_key" "$root/home/guest/.ssh/authorized_keys"
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"
tar -C "$root" --owner=0 --group=0 -cf "$work/image.tar" .
"$here/podman_service.sh" podman "$dir" import --quiet --change 'USER 1000:1000' "$work/image.tar" "$image"
