#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static int parse_number(const char *name, const char *text, unsigned long max, unsigned long *number,
                        struct error *err) {
    char *end;
    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || parsed > max)
        return error_set(err, "--%s wants a number, not '%s'", name, text);
    *number = parsed;
    return 0;
}

static int check(const struct options *options, struct error *err) {
    if (options->help || options->version)
        return 0;
    if (options->environments[0] != '/')
        return error_set(err, "--environments wants an absolute path, not '%s'", options->environments);
    if (options->login)
        return options->repository ? 0 : error_set(err, "--repository is missing");
    if (!options->trees)
        return error_set(err, "--trees is missing");
    if (options->sweep)
        return 0;
    if (options->prefetch && (!options->socket || !options->image || options->job_id == 0))
        return error_set(err, "--socket, --image and --job are needed");
    if (!options->prefetch &&
        (!options->socket || options->lifeline == 0 || (!options->image && !options_value(options, "name"))))
        return error_set(err, "--socket, --lifeline, and --image or --option name= are needed");
    return 0;
}

int options_add_given(struct options *options, const char *text, struct error *err) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(err, "--option wants NAME=VALUE, not '%s'", text);
    if (options->given_count == GIVEN_OPTIONS_MAX)
        return error_set(err, "there are more than %d options", GIVEN_OPTIONS_MAX);
    struct given_option *given = &options->given[options->given_count];
    *given = (struct given_option){.name = strndup(text, (size_t)(equals - text)), .value = equals + 1};
    if (!given->name)
        return error_errno(err, "cannot hold the options");
    options->given_count++;
    return 0;
}

const char *options_value(const struct options *options, const char *name) {
    for (size_t i = options->given_count; i > 0; i--) {
        if (strcmp(options->given[i - 1].name, name) == 0)
            return options->given[i - 1].value;
    }
    return NULL;
}

int options_parse(struct options *options, int argc, char **argv, struct error *err) {
    enum {
        HELP = 1,
        VERSION,
        SWEEP,
        PREFETCH,
        LOGIN,
        REPOSITORY,
        SOCKET,
        EARLY_CALL,
        TREES,
        IMAGE,
        PULL,
        SHOW_DIGEST,
        PYXIS,
        JOB,
        STEP,
        LIFELINE,
        CHDIR,
        SHOW,
        OPTION,
        ENVIRONMENTS
    };
    static const struct option known[] = {
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {"sweep", no_argument, NULL, SWEEP},
        {"socket", required_argument, NULL, SOCKET},
        {"early-call", required_argument, NULL, EARLY_CALL},
        {"trees", required_argument, NULL, TREES},
        {"image", required_argument, NULL, IMAGE},
        {"job", required_argument, NULL, JOB},
        {"step", required_argument, NULL, STEP},
        {"chdir", required_argument, NULL, CHDIR},
        {"lifeline", required_argument, NULL, LIFELINE},
        {"show", required_argument, NULL, SHOW},
        {"prefetch", no_argument, NULL, PREFETCH},
        {"login", required_argument, NULL, LOGIN},
        {"repository", required_argument, NULL, REPOSITORY},
        {"pull", required_argument, NULL, PULL},
        {"show-digest", no_argument, NULL, SHOW_DIGEST},
        {"pyxis", no_argument, NULL, PYXIS},
        {"option", required_argument, NULL, OPTION},
        {"environments", required_argument, NULL, ENVIRONMENTS},
        {0},
    };
    struct options read = {.early_call = -1, .working_directory = "", .environments = SITE_ENVIRONMENTS};
    opterr = 0;
    optind = 1;
    int found, index = 0;
    while ((found = getopt_long(argc, argv, "", known, &index)) != -1) {
        unsigned long number = 0;
        bool is_id = found == JOB || found == STEP;
        if (is_id || found == LIFELINE || found == EARLY_CALL) {
            if (parse_number(known[index].name, optarg, is_id ? UINT32_MAX : INT32_MAX, &number, err) != 0)
                return -1;
        }
        switch (found) {
        case HELP:
            read.help = true;
            break;
        case VERSION:
            read.version = true;
            break;
        case SWEEP:
            read.sweep = true;
            break;
        case PREFETCH:
            read.prefetch = true;
            break;
        case LOGIN:
            read.login = optarg;
            break;
        case REPOSITORY:
            read.repository = optarg;
            break;
        case PULL:
            if (pull_policy_parse(optarg, &read.pull, err) != 0)
                return -1;
            break;
        case SHOW_DIGEST:
            read.show_digest = true;
            break;
        case PYXIS:
            read.pyxis = true;
            break;
        case SOCKET:
            read.socket = optarg;
            break;
        case EARLY_CALL:
            read.early_call = (int)number;
            break;
        case TREES:
            read.trees = optarg;
            break;
        case IMAGE:
            read.image = optarg;
            break;
        case JOB:
            read.job_id = (uint32_t)number;
            break;
        case STEP:
            read.step_id = (uint32_t)number;
            break;
        case LIFELINE:
            read.lifeline = (pid_t)number;
            break;
        case CHDIR:
            read.working_directory = optarg;
            break;
        case SHOW:
            read.shown_directory = optarg;
            break;
        case ENVIRONMENTS:
            read.environments = optarg;
            break;
        case OPTION:
            if (options_add_given(&read, optarg, err) != 0)
                return -1;
            break;
        default:
            return error_set(err, "unknown option or missing value: %s", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return error_set(err, "unexpected argument: %s", argv[optind]);
    if (check(&read, err) != 0)
        return -1;
    if (!read.image && options_value(&read, "name"))
        read.image = "";
    *options = read;
    return 0;
}
