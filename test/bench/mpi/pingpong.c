// pingpong [LARGEST]: two ranks send messages of 8 bytes to LARGEST, by default 4 MiB, to and fro: latency is
// half of a round trip, bandwidth that of a window of messages on their way. Of all times the one counts that
// one in twenty goes below: what else the machine does makes others longer. Prints, each rank the first line:
//
//   setting library=VERSION path=FILE user_namespace=user:[INODE] image=DIGEST
//   latency BYTES MICROSECONDS BEFORE AFTER
//   bandwidth BYTES MEGABYTES_PER_SECOND BEFORE AFTER
//   copies CALLS BYTES FAILED
//
// The last is of process_vm_readv(2), by both ranks. BEFORE and AFTER are the nanoseconds that a word takes
// from one processor to the other, without MPI; 0 for ranks on two nodes.
#include <dlfcn.h>
#include <mpi.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SMALLEST = 8,
    MOST = 4 << 20,
    WINDOW = 16,
    BLOCK = 10,
    BLOCKS = 100,
    HANDOVERS = 50,
    CACHE_LINE = 64,
};
static const double enough_seconds = 0.03;

static unsigned long long reads, bytes_read, reads_failed;

// The library finds this one before the C library's: that is how its copies are counted.
__attribute__((visibility("default"))) ssize_t
process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count, const struct iovec *remote,
                 unsigned long remote_count, unsigned long flags) {
    ssize_t got = syscall(SYS_process_vm_readv, pid, local, local_count, remote, remote_count, flags);
    __atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(got < 0 ? &reads_failed : &bytes_read, got < 0 ? 1 : (unsigned long long)got,
                       __ATOMIC_RELAXED);
    return got;
}

static int rank;

static int compare(const void *left, const void *right) {
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static double undisturbed(double *seconds, int count) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    return seconds[count / 20];
}

static double round_trip(char *buffer, int size) {
    double start = MPI_Wtime();
    if (rank == 0) {
        MPI_Send(buffer, size, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
        MPI_Recv(buffer, size, MPI_CHAR, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
        MPI_Recv(buffer, size, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(buffer, size, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
    }
    return MPI_Wtime() - start;
}

static double full_window(char *buffer, int size) {
    MPI_Request requests[WINDOW];
    MPI_Status statuses[WINDOW];
    char done = 0;
    double start = MPI_Wtime();
    for (int i = 0; i < WINDOW; i++)
        if (rank == 0)
            MPI_Isend(buffer, size, MPI_CHAR, 1, 2, MPI_COMM_WORLD, &requests[i]);
        else
            MPI_Irecv(buffer, size, MPI_CHAR, 0, 2, MPI_COMM_WORLD, &requests[i]);
    MPI_Waitall(WINDOW, requests, statuses);
    if (rank == 0)
        MPI_Recv(&done, 1, MPI_CHAR, 1, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    else
        MPI_Send(&done, 1, MPI_CHAR, 0, 3, MPI_COMM_WORLD);
    return MPI_Wtime() - start;
}

struct flag {
    // The processor fetches cache lines in pairs.
    _Alignas(2 * CACHE_LINE) atomic_int value;
};

static double flag_round_trip(char *shared, int count) {
    static int last;
    struct flag *flags = (struct flag *)shared;
    double start = MPI_Wtime();
    for (int i = 0; i < count; i++) {
        last++;
        if (rank == 0)
            atomic_store(&flags[0].value, last);
        while (atomic_load(&flags[1 - rank].value) != last)
            continue;
        if (rank == 1)
            atomic_store(&flags[1].value, last);
    }
    return (MPI_Wtime() - start) / count;
}

typedef double (*measured)(char *buffer, int size);

// At least one block after the first, which is not counted, and then for as long as rank 0 finds it too
// short.
static double time_of(measured once, char *buffer, int size) {
    static double seconds[BLOCK * BLOCKS];
    int count = 0, more = 1;
    for (int i = 0; i < BLOCK; i++)
        once(buffer, size);
    double start = MPI_Wtime();
    while (more) {
        for (int i = 0; i < BLOCK; i++)
            seconds[count++] = once(buffer, size);
        more = count < BLOCK * BLOCKS && MPI_Wtime() - start < enough_seconds;
        MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    return undisturbed(seconds, count);
}

// One processor each, as Slurm binds ranks where it is set up to.
static void bind_to_processor(void) {
    cpu_set_t allowed, own;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return;
    int wanted = rank % CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) {
            CPU_ZERO(&own);
            CPU_SET(cpu, &own);
            sched_setaffinity(0, sizeof own, &own);
            return;
        }
    }
}

static void print_setting(void) {
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(version, &length);
    version[strcspn(version, "\n,")] = '\0';
    for (char *at = version; *at; at++)
        if (*at == ' ' || *at == '\t')
            *at = '-';
    Dl_info info = {0};
    dladdr((void *)(size_t)MPI_Init, &info);
    char user_namespace[64] = "unknown";
    ssize_t unused = readlink("/proc/self/ns/user", user_namespace, sizeof user_namespace - 1);
    (void)unused;
    const char *image = getenv("STOWAGE_IMAGE_DIGEST");
    printf("setting library=%s path=%s user_namespace=%s image=%s\n", version,
           info.dli_fname ? info.dli_fname : "unknown", user_namespace, image ? image : "none");
}

// NULL where the ranks are on two nodes.
static char *shared_flags(void) {
    MPI_Comm node;
    MPI_Win window;
    MPI_Aint bytes = rank == 0 ? 2 * sizeof(struct flag) : 0;
    int ranks = 0, unit = 0;
    char *flags = NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &ranks);
    if (ranks < 2)
        return NULL;
    MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, node, &flags, &window);
    MPI_Win_shared_query(window, 0, &bytes, &unit, &flags);
    return flags;
}

// Nanoseconds; 0 without flags.
static double handover(char *flags) {
    double least = 0;
    for (int i = 0; flags && i < BLOCK; i++) {
        double seconds = flag_round_trip(flags, HANDOVERS) / 2;
        if (i == 0 || seconds < least)
            least = seconds;
    }
    return least * 1e9;
}

int main(int argc, char **argv) {
    int size = 0;
    MPI_Init(&argc, &argv);
    int largest = argc > 1 ? atoi(argv[1]) : MOST;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size != 2 || largest < SMALLEST || largest > MOST) {
        fprintf(stderr, "pingpong: it takes two ranks and at most 4 MiB; there are %d ranks and %d bytes\n",
                size, largest);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    bind_to_processor();
    print_setting();

    static char buffer[MOST];
    memset(buffer, 'a' + rank, MOST);
    char *flags = shared_flags();
    for (int bytes = SMALLEST; bytes <= largest; bytes *= 2) {
        double before = handover(flags), seconds = time_of(round_trip, buffer, bytes) / 2;
        double after = handover(flags);
        if (rank == 0)
            printf("latency %d %.3f %.1f %.1f\n", bytes, seconds * 1e6, before, after);
    }
    for (int bytes = SMALLEST; bytes <= largest; bytes *= 2) {
        double before = handover(flags), seconds = time_of(full_window, buffer, bytes);
        double after = handover(flags);
        if (rank == 0)
            printf("bandwidth %d %.2f %.1f %.1f\n", bytes, (double)WINDOW * bytes / seconds / 1e6, before,
                   after);
    }

    unsigned long long mine[3] = {reads, bytes_read, reads_failed}, all[3] = {0};
    MPI_Reduce(mine, all, 3, MPI_UNSIGNED_LONG_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("copies %llu %llu %llu\n", all[0], all[1], all[2]);
    MPI_Finalize();
    return 0;
}
