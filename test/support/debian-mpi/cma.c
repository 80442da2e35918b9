// Two ranks of one node read each other's memory with process_vm_readv(2), as MPI libraries do for large
// messages. The kernel allows it only inside one user namespace.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WORDS = 4096 };

struct place {
    int64_t pid;
    uint64_t address;
};

int main(int argc, char **argv) {
    static uint32_t mine[WORDS], theirs[WORDS];
    int rank = 0, size = 0;
    // Hosts with Yama allow it to descendants only, unless asked.
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size != 2) {
        fprintf(stderr, "cma needs two ranks, not %d\n", size);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    for (uint32_t i = 0; i < WORDS; i++)
        mine[i] = i * 2654435761u + (uint32_t)rank;

    struct place here = {getpid(), (uint64_t)(uintptr_t)mine}, there = {0, 0};
    MPI_Sendrecv(&here, sizeof here, MPI_BYTE, 1 - rank, 0, &there, sizeof there, MPI_BYTE, 1 - rank, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    struct iovec local = {theirs, sizeof theirs}, remote = {(void *)(uintptr_t)there.address, sizeof theirs};
    ssize_t got = process_vm_readv((pid_t)there.pid, &local, 1, &remote, 1, 0);
    int failed = got != (ssize_t)sizeof theirs;
    if (failed)
        perror("process_vm_readv");
    for (uint32_t i = 0; i < WORDS && !failed; i++)
        failed = theirs[i] != i * 2654435761u + (uint32_t)(1 - rank);
    printf("rank=%d cma=%s\n", rank, failed ? "failed" : "ok");
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return failed;
}
