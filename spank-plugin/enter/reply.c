#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { REPLY_FD = 3 };

static int send_all(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(REPLY_FD, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    // The plugin goes on at once, and not when this process has ended.
    return shutdown(REPLY_FD, SHUT_WR);
}

void reply_keep(void) {
    fcntl(REPLY_FD, F_SETFD, FD_CLOEXEC);
}

static void write_entry(FILE *out, const struct step_entry *entry) {
    fprintf(out, "J%s%s%s%s%s%c", entry->net ? "n" : "", entry->ipc ? "i" : "", entry->uts ? "u" : "",
            entry->root ? "r" : "", entry->keep_holder ? "k" : "", 0);
}

int reply_ready(pid_t holder, const struct step_entry *entry, pid_t saver, const char *tree_lock,
                const char *working_directory, const struct environment *environment, struct error *err) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return error_errno(err, "cannot hold the answer");
    fprintf(out, "H%d%c", (int)holder, 0);
    write_entry(out, entry);
    if (saver > 0)
        fprintf(out, "S%d%c", (int)saver, 0);
    fprintf(out, "L%s%cW%s%c", tree_lock, 0, working_directory, 0);
    for (size_t i = 0; i < environment->unset_count; i++)
        fprintf(out, "-%s%c", environment->unset[i], 0);
    for (size_t i = 0; i < environment->set_count; i++)
        fprintf(out, "=%s%c", environment->set[i], 0);
    int result =
        fclose(out) == 0 && send_all(text, length) == 0 ? 0 : error_errno(err, "cannot answer the plugin");
    free(text);
    return result;
}

void reply_error(const struct error *failure) {
    struct error sentence = *failure;
    memmove(sentence.text + 1, failure->text, sizeof sentence.text - 2);
    sentence.text[0] = 'E';
    sentence.text[sizeof sentence.text - 1] = '\0';
    if (send_all(sentence.text, strlen(sentence.text) + 1) != 0)
        fprintf(stderr, "stowage-enter: %s\n", failure->text);
}
