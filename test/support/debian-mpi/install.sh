#!/bin/sh
# Runs inside the new root: both MPI libraries, the programs for each, and no compiler left behind.
# $1: the package of Open MPI's library.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$1" openmpi-common libmpich12 ca-certificates

apt-get install -qq -y --no-install-recommends gcc libc6-dev libopenmpi-dev libmpich-dev
for mpi in openmpi mpich; do
    for program in hello cma pingpong; do
        "mpicc.$mpi" -O2 -rdynamic -D_GNU_SOURCE -Wall -Werror -o "/usr/local/bin/$program-$mpi" "/recipe/$program.c"
    done
done

apt-get purge -qq -y gcc libc6-dev libopenmpi-dev libmpich-dev
apt-get autoremove --purge -qq -y
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
ldd /usr/local/bin/*-mpi* | grep 'not found' && exit 1
exit 0
