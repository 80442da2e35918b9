#include "early_call.h"
#include "cleanup.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

// HTTP/2 (RFC 9113) and its headers (RFC 7541), as far as the beginning of a call needs them.
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum {
    FRAME_HEADERS = 1,
    FRAME_SETTINGS = 4,
    FLAG_END_HEADERS = 4,
    SETTINGS_ENABLE_PUSH = 2,
    SETTING_BYTES = 6,
    FRAME_HEADER_BYTES = 9,
    OPENING_MAX = 512,
};

struct opening {
    uint8_t bytes[OPENING_MAX];
    size_t length;
};

static void add(struct opening *opening, const void *bytes, size_t length) {
    memcpy(opening->bytes + opening->length, bytes, length);
    opening->length += length;
}

static void add_frame(struct opening *opening, uint8_t type, uint8_t flags, uint8_t stream,
                      const struct opening *payload) {
    const uint8_t header[FRAME_HEADER_BYTES] = {
        0, (uint8_t)(payload->length >> 8), (uint8_t)payload->length, type, flags, 0, 0, 0, stream};
    add(opening, header, sizeof header);
    add(opening, payload->bytes, payload->length);
}

// A literal that no table has, or gets: lengths below 127 are one byte.
static void add_field(struct opening *headers, const char *name, const char *value) {
    const uint8_t lengths[] = {(uint8_t)strlen(name), (uint8_t)strlen(value)};
    add(headers, "", 1);
    add(headers, &lengths[0], 1);
    add(headers, name, lengths[0]);
    add(headers, &lengths[1], 1);
    add(headers, value, lengths[1]);
}

static void write_opening(struct opening *opening) {
    char timeout[16];
    struct opening headers = {.length = 0};
    struct opening settings = {.bytes = {[1] = SETTINGS_ENABLE_PUSH}, .length = SETTING_BYTES};
    snprintf(timeout, sizeof timeout, "%dm", EARLY_CALL_TOTAL_MS);
    add_field(&headers, ":method", "POST");
    add_field(&headers, ":scheme", "http");
    add_field(&headers, ":path", EARLY_CALL_PATH);
    add_field(&headers, ":authority", "localhost");
    add_field(&headers, "te", "trailers");
    add_field(&headers, "content-type", "application/grpc+proto");
    add_field(&headers, "grpc-timeout", timeout);
    add_field(&headers, "user-agent", "spank_stowage/" SOFTWARE_VERSION);
    opening->length = 0;
    add(opening, PREFACE, strlen(PREFACE));
    add_frame(opening, FRAME_SETTINGS, 0, 0, &settings);
    add_frame(opening, FRAME_HEADERS, FLAG_END_HEADERS, 1, &headers);
}

int early_call_begin(const char *socket_path) {
    struct opening opening;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, socket_path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    write_opening(&opening);
    ssize_t sent = send(fd, opening.bytes, opening.length, MSG_NOSIGNAL);
    return sent == (ssize_t)opening.length ? steal_fd(&fd) : -1;
}
