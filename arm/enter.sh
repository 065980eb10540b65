#!/bin/sh
# Enter a file system of another processor:
#     enter.sh ROOT CPUINFO SYS USER:GROUP "FROM:TO ..." FOLDER NAME=VALUE... COMMAND...
# Run in a mount namespace of its own (unshare --mount): all mounts are gone with the command, the root stays as it is.
set -e
root=$1 info=$2 sys=$3 user=$4 binds=$5 folder=$6
shift 6
mount -t tmpfs none "$root/tmp"
mkdir "$root/tmp/upper" "$root/tmp/work"
mount -t overlay none -o "lowerdir=$root,upperdir=$root/tmp/upper,workdir=$root/tmp/work" "$root"
cd "$root"
mkdir -p proc sys dev tmp run root
mount -t proc none proc
mount --bind "$info" proc/cpuinfo
mount --bind "$sys" sys
mount --rbind /dev dev
for bind in $binds; do
  from=${bind%%:*} to=${bind#*:}
  if [ -d "$from" ]; then mkdir -p "./$to"; else mkdir -p "./${to%/*}" && : > "./$to"; fi
  mount --bind "$from" "./$to"
done
mount -t tmpfs -o mode=1777 none tmp
exec chroot --userspec="$user" . /usr/bin/env -C "$folder" -i "$@"
