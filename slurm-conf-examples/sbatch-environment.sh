#!/bin/bash
# A named environment, which says image, mounts and variables, and what this job wants besides.
# environment-python.toml beside this file is such an environment.
#SBATCH --job-name=environment
#SBATCH --ntasks=2
#SBATCH --image=@python
#SBATCH --image-mount=./input:/input:ro,tmpfs:/fast:size=1G
#SBATCH --image-env=OMP_NUM_THREADS,RESULTS=/results
#SBATCH --output=environment-%j.out

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
mkdir -p results

# Mounts add up; this one is for one step. ./input and ./results start where the job was submitted.
srun --image-mount=./results:/results sh -c \
    'cp /input/* /fast && wc -c /fast/* >$RESULTS/$SLURM_PROCID.txt'
