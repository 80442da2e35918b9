#!/bin/sh
# systemd-root.sh ROOT ETC PREFIX REPOSITORY NODE: boots systemd as process 1 of the namespaces that it is started in,
# on a file system of its own mounted at ROOT. /usr is the machine's, read-only, but of its units only those are
# there that stowaged.service needs. ETC becomes /etc, PREFIX /opt/stowage, REPOSITORY /repository.
set -eu
root=$1 etc=$2 prefix=$3 repository=$4 node=$5
units=usr/lib/systemd/system

mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr run var tmp proc sys dev opt/stowage repository old root home
chmod 1777 tmp
mount --bind /usr usr
mount -o remount,bind,ro usr
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
cp -r "$etc" etc
mount --bind "$prefix" opt/stowage
mount --bind "$repository" repository
# Node may be installed outside of /usr.
if ! [ -e ".$node" ]; then
  mkdir -p ".$(dirname "$node")"
  touch ".$node"
  mount --bind "$node" ".$node"
fi

mount -t tmpfs -o mode=755 tmpfs "$units"
for unit in sysinit basic sockets shutdown umount local-fs network network-online slices timers paths; do
  cp "/$units/$unit.target" "$units/"
done
cp /$units/systemd-journald.service /$units/systemd-journald.socket /$units/systemd-journald-dev-log.socket "$units/"
mkdir "$units/sysinit.target.wants"
ln -s ../systemd-journald.service "$units/sysinit.target.wants/"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /run/systemd/journal/dev-log dev/log
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
ln -s /run var/run

systemd-sysusers --root="$root" "$root/etc/sysusers.d/stowaged.conf"
pivot_root . old
umount -l old
cd /
exec env -i container=stowage-test PATH=/usr/bin:/usr/sbin /lib/systemd/systemd --system --unit=basic.target
