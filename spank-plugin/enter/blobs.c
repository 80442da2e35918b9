#include "blobs.h"
#include "cleanup.h"
#include "unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

// The kernel passes at most SCM_MAX_FD descriptors with one message.
enum { DESCRIPTORS_MAX = 253, ANSWER_SECONDS = 30 };

static int send_all(int fd, const void *bytes, size_t length, struct error *err) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return error_errno(err, "cannot ask stowaged for the layers");
        at += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static void close_all(const int *descriptors, size_t count) {
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
}

static int receive_descriptors(int fd, int *descriptors, size_t count, struct error *err) {
    union {
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    unsigned char verdict = 1;
    struct iovec data = {.iov_base = &verdict, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return error_set(err, "stowaged has not handed over the layers for %d seconds; try again",
                         ANSWER_SECONDS);
    if (got < 0)
        return error_errno(err, "stowaged did not hand over the layers");

    size_t received = 0;
    int passed[DESCRIPTORS_MAX];
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            received = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(passed, CMSG_DATA(header), received * sizeof(int));
        }
    }
    if (got != 1 || verdict != 0 || received != count) {
        close_all(passed, received);
        return error_set(err, "stowaged refused to hand over the layers (%zu of %zu came); try again",
                         received, count);
    }
    memcpy(descriptors, passed, count * sizeof(int));
    return 0;
}

int daemon_fetch_blobs(const char *socket_path, const ProtobufCBinaryData *ticket, int *descriptors,
                       size_t count, struct error *err) {
    if (count > DESCRIPTORS_MAX)
        return error_set(err, "the image has more than %d layers", DESCRIPTORS_MAX);
    cleanup_close int fd = unix_connect(socket_path, err);
    if (fd < 0)
        return -1;
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send_all(fd, ticket->data, ticket->len, err) != 0)
        return -1;
    return receive_descriptors(fd, descriptors, count, err);
}
