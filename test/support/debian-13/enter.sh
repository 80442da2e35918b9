#!/bin/sh
# enter.sh ROOT SCRATCH CHECKOUT MODULES COMMAND...
#
# Runs the command in a root made in SCRATCH of the Debian at ROOT, which stays as it is. To be started in a mount and a
# process namespace of its own. It is no overlay, whose options the mounts of every container would show, and no
# chroot(8), in which no user namespace can be made.
set -eu
root=$1 scratch=$2 checkout=$3 modules=$4
shift 4

new=$scratch/root
mkdir "$new"
mount --bind "$new" "$new"
for entry in "$root"/*; do
    name=${entry##*/}
    case $name in
    usr) mkdir "$new/usr" && mount --bind "$root/usr" "$new/usr" && mount -o remount,bind,ro "$new/usr" ;;
    dev | proc | run | sys | tmp) mkdir "$new/$name" ;;
    *) cp -a "$entry" "$new" ;;
    esac
done

mount --rbind /dev "$new/dev"
mount --rbind /sys "$new/sys"
mount -t proc proc "$new/proc"
mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mkdir -p "$new/stowage" "$checkout/node_modules"
mount --bind "$checkout" "$new/stowage"
mount --bind "$modules" "$new/stowage/node_modules"
mount -o remount,bind,ro "$new/stowage/node_modules"
for file in resolv.conf hosts hostname; do
    if [ -e "/etc/$file" ]; then cat "/etc/$file" >"$new/etc/$file"; fi
done

mkdir "$new/host"
cd "$new"
pivot_root . host
umount -l /host
rmdir /host
cd /stowage
# This shell stays: as the first process of its namespace it takes in those that nobody else waits for.
"$@"
