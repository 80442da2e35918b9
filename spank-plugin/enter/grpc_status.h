// How a gRPC call says how it went: the trailers grpc-status and grpc-message
// (https://grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html).
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    // No status, or none of those that there are.
    GRPC_STATUS_UNKNOWN = -1,
    GRPC_STATUS_OK = 0,
    GRPC_STATUS_UNIMPLEMENTED = 12,
    GRPC_STATUS_LAST = 16,
};

// Reads grpc-status: a decimal number, or GRPC_STATUS_UNKNOWN.
int grpc_parse_status(const char *text);

// Undoes the percent-encoding of grpc-message. Writes at most `size` bytes, the NUL included; what is not
// encoded as it should be stays as it is.
void grpc_decode_message(char *out, size_t size, const uint8_t *text, size_t length);
