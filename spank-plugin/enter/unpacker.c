#include "unpacker.h"
#include "arguments.h"
#include "cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void add_number(struct arguments *arguments, const char *option, uint64_t value) {
    arguments_add(arguments, "%s", option);
    arguments_add(arguments, "%" PRIu64, value);
}

static void add_layer(struct arguments *arguments, const Stowage__V1__Layer *layer,
                      const struct file_range *range) {
    arguments_add(arguments, "--layer");
    if (range->offset_bytes > 0)
        arguments_add(arguments, "%d@%" PRIu64 ":%" PRIu64 ":%s:%s", range->fd, range->offset_bytes,
                      range->size_bytes, layer->digest[0] ? layer->digest : "-", layer->diff_id);
    else
        arguments_add(arguments, "%d:%" PRIu64 ":%s:%s", range->fd, range->size_bytes,
                      layer->digest[0] ? layer->digest : "-", layer->diff_id);
}

static void make_arguments(struct arguments *arguments, int root, int progress_fd,
                           const struct unpacking *unpacking) {
    const Stowage__V1__Budget *budget = unpacking->budget;
    arguments_add(arguments, "stowage-unpack");
    add_number(arguments, "--root-fd", (uint64_t)root);
    add_number(arguments, "--max-bytes", budget ? budget->max_bytes : 0);
    add_number(arguments, "--max-inodes", budget ? budget->max_inodes : 0);
    // Both are of a later contract than the others, and have defaults.
    if (budget && budget->max_seconds > 0)
        add_number(arguments, "--max-seconds", budget->max_seconds);
    if (budget && budget->max_depth > 0)
        add_number(arguments, "--max-depth", budget->max_depth);
    add_number(arguments, "--progress-fd", (uint64_t)progress_fd);
    if (unpacking->growing)
        arguments_add(arguments, "--growing");
    if (unpacking->keep_squashfs)
        arguments_add(arguments, "--keep-squashfs");
    for (size_t i = 0; unpacking->sources && i < unpacking->sources->count; i++)
        add_layer(arguments, unpacking->layers[i], &unpacking->sources->ranges[i]);
    if (unpacking->file >= 0) {
        arguments_add(arguments, "--file");
        arguments_add(arguments, "%d:%" PRIu64 ":%s", unpacking->file, unpacking->file_bytes,
                      unpacking->file_digest);
    }
}

static int start_program(struct unpack_program *program, int root, const struct unpacking *unpacking,
                         struct error *err) {
    size_t layers = unpacking->sources ? unpacking->sources->count : 0;
    cleanup_free int *kept = calloc(layers + 2, sizeof *kept);
    if (!kept)
        return error_errno(err, "cannot hold the layers");
    size_t count = 0;
    kept[count++] = root;
    for (size_t i = 0; i < layers; i++)
        kept[count++] = unpacking->sources->ranges[i].fd;
    if (unpacking->file >= 0)
        kept[count++] = unpacking->file;

    struct arguments arguments = {0};
    make_arguments(&arguments, root, program->progress_in, unpacking);
    int result = arguments_check(&arguments, err);
    if (result == 0)
        result = unpack_program_start(program, arguments.values, kept, count, err);
    arguments_release(&arguments);
    return result;
}

static int add_up(struct unpacker *unpacker, const struct unpacking *unpacking, struct error *err) {
    size_t count = unpacking->sources ? unpacking->sources->count : 0;
    uint64_t *below = calloc(count + 1, sizeof *below);
    if (!below)
        return error_errno(err, "cannot hold the layers");
    for (size_t i = 0; i < count; i++)
        below[i + 1] = below[i] + unpacking->sources->ranges[i].size_bytes;
    unpacker->below_bytes = below;
    unpacker->layer_count = count;
    return 0;
}

int unpacker_start(struct unpacker *unpacker, int root, const struct unpacking *unpacking,
                   struct error *err) {
    *unpacker = (struct unpacker)UNPACKER_NONE;
    if (unpacking->file < 0 && (!unpacking->sources || unpacking->sources->count == 0))
        return error_set(err, "the image has no layers");
    int result = unpack_program_open(&unpacker->program, err);
    if (result == 0)
        result = add_up(unpacker, unpacking, err);
    if (result == 0)
        result = start_program(&unpacker->program, root, unpacking, err);
    if (result != 0)
        unpacker_end(unpacker);
    return result;
}

static void report(const struct unpacker *unpacker, struct progress *progress) {
    const struct unpack_program *program = &unpacker->program;
    if (program->total_bytes == 0)
        return;
    if (unpacker->layer_count == 0)
        progress_bytes(progress, "unpacking", program->done_bytes, program->total_bytes);
    else if (program->layer < unpacker->layer_count)
        progress_bytes(progress, "unpacking", unpacker->below_bytes[program->layer] + program->done_bytes,
                       unpacker->below_bytes[unpacker->layer_count]);
}

int unpacker_finish(struct unpacker *unpacker, struct progress *progress, struct error *err) {
    struct pollfd watched[UNPACK_STREAMS];
    bool refused;
    do {
        report(unpacker, progress);
        unpack_program_watch(&unpacker->program, watched);
        if (poll(watched, UNPACK_STREAMS, -1) < 0 && errno != EINTR)
            return error_errno(err, "cannot wait for stowage-unpack");
    } while (unpack_program_listen(&unpacker->program, watched));
    return unpack_program_wait(&unpacker->program, &refused, err);
}

void unpacker_remark(const struct unpacker *unpacker, struct progress *progress) {
    if (unpacker->program.words_length > 0)
        progress_say(progress, unpacker->program.words);
}

bool unpacker_doubts_bytes(const struct error *failure) {
    return strstr(failure->text, "does not match its digest") != NULL;
}

void unpacker_end(struct unpacker *unpacker) {
    unpack_program_end(&unpacker->program);
    free(unpacker->below_bytes);
    *unpacker = (struct unpacker)UNPACKER_NONE;
}
