#!/bin/sh
# Part of install.sh: the programs for both MPI libraries.
set -eu
apt-get install -qq -y --no-install-recommends gcc libc6-dev libopenmpi-dev libmpich-dev
for mpi in openmpi mpich; do
    for program in hello cma pingpong; do
        "mpicc.$mpi" -O2 -rdynamic -D_GNU_SOURCE -Wall -Werror -o "/usr/local/bin/$program-$mpi" "/recipe/$program.c"
    done
done
