#!/bin/sh
# Enter a file system of another processor: enter.sh ROOT CPUINFO SYS SITE WORK NAME=VALUE... COMMAND...
# Run in a mount namespace of its own (unshare --mount): all mounts are gone with the command, the root stays as it is.
set -e
root=$1 info=$2 sys=$3 site=$4 work=$5
shift 5
mount -t tmpfs none "$root/tmp"
mkdir "$root/tmp/upper" "$root/tmp/work"
mount -t overlay none -o "lowerdir=$root,upperdir=$root/tmp/upper,workdir=$root/tmp/work" "$root"
cd "$root"
mkdir -p proc sys dev opt/site work tmp run root
mount -t proc none proc
mount --bind "$info" proc/cpuinfo
mount --bind "$sys" sys
mount --rbind /dev dev
mount --bind "$site" opt/site
mount --bind "$work" work
mount -t tmpfs none tmp
exec chroot . /usr/bin/env -C /work -i "$@"
