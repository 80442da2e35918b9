#!/bin/bash
# Four MPI ranks on two nodes, inside an image that has its own MPI library.
#
# The image holds for every srun of this script; the script itself runs on the host. --mpi=pmix suits
# Open MPI 4 and 5, --mpi=pmi2 suits MPICH.
#SBATCH --image=registry.example.org/team/debian-mpi:latest
#SBATCH --job-name=hello-mpi
#SBATCH --nodes=2
#SBATCH --ntasks=4
#SBATCH --ntasks-per-node=2
#SBATCH --output=hello-mpi-%j.out

srun --mpi=pmix hello-openmpi
