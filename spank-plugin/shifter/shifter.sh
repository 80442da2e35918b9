#!/bin/sh
# `shifter`, on a node: runs a program of a job in an image, as one task of a step. In the image itself there
# is another program of that name. docs/shifter.md.

refuse() {
    echo "shifter: $1" >&2
    exit 2
}

usage() {
    echo "usage: shifter [--image=REF] [--volume=SRC:DST[:ro]] [--env=NAME=VALUE] [--workdir=DIR]"
    echo "               [--module=NAME] [--entrypoint] PROGRAM [ARGUMENT...]"
    exit 0
}

[ -n "$SLURM_JOB_ID" ] || refuse 'there is no job; start one with sbatch, salloc or srun'

# What the variables of Shifter say comes first, so that options count more.
option_words=
image=$STOWAGE_IMAGE$SLURM_STOWAGE_IMAGE
add() {
    case $1 in --image=*) image=$1 ;; esac
    # Quoted for the eval below.
    option_words="$option_words '$(printf '%s' "$1" | sed "s/'/'\\\\''/g")'"
}
if [ -n "$SHIFTER" ]; then
    add "--image=$SHIFTER"
elif [ -n "$SHIFTER_IMAGE" ] && [ -n "$SHIFTER_IMAGETYPE" ]; then
    add "--image=$SHIFTER_IMAGETYPE:$SHIFTER_IMAGE"
fi
[ -z "$SHIFTER_VOLUME" ] || add "--volume=$SHIFTER_VOLUME"

while [ $# -gt 0 ]; do
    case $1 in
    --image=* | --volume=* | --env=* | --workdir=* | --module=* | --entrypoint | --entrypoint=*)
        add "$1"
        ;;
    --image | --volume | --env | --workdir | --module)
        [ $# -gt 1 ] || refuse "$1 needs a value"
        add "$1=$2"
        shift
        ;;
    -i | -V | -e | -w | -m)
        [ $# -gt 1 ] || refuse "$1 needs a value"
        case $1 in
        -i) add "--image=$2" ;;
        -V) add "--volume=$2" ;;
        -e) add "--env=$2" ;;
        -w) add "--workdir=$2" ;;
        -m) add "--module=$2" ;;
        esac
        shift
        ;;
    -h | --help) usage ;;
    -v | --verbose) ;;
    --)
        shift
        break
        ;;
    -*) refuse "$1 is unknown; see shifter --help" ;;
    *) break ;;
    esac
    shift
done

# A step inside of each rank would not be the program's own ranks.
case $SLURM_STEP_ID in
'' | 4294967290 | 4294967291) ;;
*) refuse "srun has started this on the host; say which image to srun: srun$option_words shifter ${1:-PROGRAM}" ;;
esac

[ $# -gt 0 ] || set -- "${SHELL:-/bin/sh}"
[ -n "$image" ] || refuse 'no image is named; give --image, or #SBATCH --image'

pty=
[ ! -t 0 ] || pty=--pty
eval "exec srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=\"\${SLURM_CPUS_ON_NODE:-1}\" --mem=0 \
    \${SLURMD_NODENAME:+--nodelist=\"\$SLURMD_NODENAME\"} $pty $option_words \"\$@\""
