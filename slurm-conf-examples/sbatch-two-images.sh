#!/bin/bash
# One image for the job, another for a single step.
#SBATCH --job-name=two-images
#SBATCH --image=debian:13
#SBATCH --output=two-images-%j.out

srun cat /etc/os-release
srun --image=ubuntu:24.04 cat /etc/os-release

# Files written in one step are gone in the next, except those in $HOME and the like on the host.
srun sh -c 'echo kept >"$HOME/result.txt"; echo lost >/etc/result.txt'
srun sh -c 'cat "$HOME/result.txt"; ls /etc/result.txt'
