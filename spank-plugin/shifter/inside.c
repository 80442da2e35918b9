// `shifter`, in a container: runs the program behind its name, because `srun shifter PROGRAM` has brought it
// into the image already. A site shows this at /usr/bin/shifter with [[mounts]], docs/shifter.md. Linked
// statically: an image may have no C library.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USAGE = 2, NOT_FOUND = 127, NOT_EXECUTABLE = 126 };

static int refuse_for_srun(const char *option) {
    fprintf(stderr,
            "shifter: --%s is for what has made this container; give it to srun, sbatch or salloc, as in "
            "'srun --%s=... shifter PROGRAM'\n",
            option, option);
    return USAGE;
}

static int set_variable(char *variable) {
    char *equals = strchr(variable, '=');
    if (!equals || equals == variable) {
        fprintf(stderr, "shifter: --env: a variable is written NAME=VALUE\n");
        return USAGE;
    }
    *equals = '\0';
    return setenv(variable, equals + 1, 1) == 0 ? 0 : EXIT_FAILURE;
}

static int enter_directory(const char *directory) {
    if (chdir(directory) == 0)
        return 0;
    fprintf(stderr, "shifter: --workdir=%s: %s\n", directory, strerror(errno));
    return EXIT_FAILURE;
}

// Options end with the first word that is none: the rest is the program's.
static int take_options(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"help", no_argument, NULL, 'h'},
        {"verbose", no_argument, NULL, 'v'},
        {"env", required_argument, NULL, 'e'},
        {"workdir", required_argument, NULL, 'w'},
        {"image", required_argument, NULL, 'i'},
        {"volume", required_argument, NULL, 'V'},
        {"module", required_argument, NULL, 'm'},
        {"entrypoint", optional_argument, NULL, 'E'},
        {NULL, 0, NULL, 0},
    };
    int option, result = 0;
    while (result == 0 && (option = getopt_long(argc, argv, "+hve:w:i:V:m:", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'h':
            printf("usage: shifter [--env=NAME=VALUE] [--workdir=DIR] PROGRAM [ARGUMENT...]\n");
            exit(EXIT_SUCCESS);
        case 'v':
            break;
        case 'e':
            result = set_variable(optarg);
            break;
        case 'w':
            result = enter_directory(optarg);
            break;
        case 'i':
            return refuse_for_srun("image");
        case 'V':
            return refuse_for_srun("volume");
        case 'm':
            return refuse_for_srun("module");
        case 'E':
            return refuse_for_srun("entrypoint");
        default:
            return USAGE;
        }
    }
    return result;
}

int main(int argc, char **argv) {
    static char *shell[] = {"/bin/sh", NULL};
    int result = take_options(argc, argv);
    if (result != 0)
        return result;
    char **program = optind < argc ? argv + optind : shell;
    execvp(program[0], program);
    fprintf(stderr, "shifter: %s: %s\n", program[0], strerror(errno));
    return errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}
