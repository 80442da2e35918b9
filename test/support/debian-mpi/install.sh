#!/bin/sh
# Runs inside the new root, in mount namespaces of its own: both MPI libraries, and the programs for each.
# $1: the package of Open MPI's library.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$1" openmpi-common libmpich12 ca-certificates

# The compiler is installed over the root and not in it, and is gone with the mounts. The programs are in both.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
for path in /dev /proc /etc/resolv.conf /usr/local/bin; do
    mount --rbind "$path" "/mnt/root$path"
done
chroot /mnt/root /recipe/compile.sh

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
ldd /usr/local/bin/*-mpi* | grep 'not found' && exit 1
exit 0
