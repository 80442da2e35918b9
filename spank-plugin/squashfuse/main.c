// stowage-squashfuse: serves a squashfs image to one step, as a FUSE file system in which everything belongs
// to the step's user. Started by stowage-enter in the namespaces of the step; lives as long as they do.
//
// It says on standard error why it cannot begin, or one NUL byte, and then closes it.
#include "confine.h"
#include "image.h"
#include "session.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS_MIN = 2, THREADS_MAX = 8, ARENAS = 2 };

static const char USAGE[] = "stowage-squashfuse is started by stowage-enter; see docs/path-of-an-image.md.\n"
                            "  stowage-squashfuse --image-fd N --fuse-fd N    serve a squashfs image\n"
                            "  stowage-squashfuse --version | --help\n";

struct options {
    bool help;
    bool version;
    int image;
    int device;
};

static int parse_descriptor(const char *name, const char *text, int *fd, struct error *err) {
    char *end;
    errno = 0;
    long parsed = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || parsed < 0 || parsed > INT_MAX)
        return error_set(err, "--%s wants the number of a descriptor, not '%s'", name, text);
    *fd = (int)parsed;
    return 0;
}

static int parse_options(struct options *options, int argc, char **argv, struct error *err) {
    enum { HELP = 1, VERSION, IMAGE, DEVICE };
    static const struct option known[] = {
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {"image-fd", required_argument, NULL, IMAGE},
        {"fuse-fd", required_argument, NULL, DEVICE},
        {0},
    };
    *options = (struct options){.image = -1, .device = -1};
    opterr = 0;
    int found, index = 0;
    while ((found = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (found == '?')
            return error_set(err, "unknown option or missing value: %s", argv[optind - 1]);
        if (found == HELP || found == VERSION)
            *(found == HELP ? &options->help : &options->version) = true;
        else if (parse_descriptor(known[index].name, optarg,
                                  found == IMAGE ? &options->image : &options->device, err) != 0)
            return -1;
    }
    if (optind < argc)
        return error_set(err, "unexpected argument: %s", argv[optind]);
    if (!options->help && !options->version && (options->image < 0 || options->device < 0))
        return error_set(err, "--image-fd and --fuse-fd are needed");
    return 0;
}

static unsigned count_threads(void) {
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : THREADS_MIN;
    if (count < THREADS_MIN)
        return THREADS_MIN;
    return count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

// Returns only on failure.
static int serve(const struct options *options, struct error *err) {
    static struct image image;
    const unsigned threads = count_threads();
    // Told how many there may be, malloc does not open /sys to count processors.
    mallopt(M_ARENA_MAX, ARENAS);
    if (confine(options->image, options->device, err) != 0 ||
        image_open(&image, options->image, threads, err) != 0)
        return -1;
    struct session *session = session_prepare(options->device, &image, threads, err);
    if (!session || session_begin(options->device, err) != 0)
        return -1;
    // Until here the end of stowage-enter was the end of this process too.
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    if (write(STDERR_FILENO, "", 1) != 1)
        return error_errno(err, "nobody waits for the squashfs image any more");
    close(STDERR_FILENO);
    session_run(session);
}

int main(int argc, char **argv) {
    struct options options;
    struct error err;
    if (parse_options(&options, argc, argv, &err) != 0) {
        fprintf(stderr, "stowage-squashfuse: %s\n%s", err.text, USAGE);
        return 2;
    }
    if (options.help || options.version) {
        fputs(options.help ? USAGE : "stowage-squashfuse " SOFTWARE_VERSION "\n", stdout);
        return 0;
    }
    serve(&options, &err);
    fprintf(stderr, "stowage-squashfuse: %s\n", err.text);
    return 1;
}
