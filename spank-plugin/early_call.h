// The call in which stowage-enter asks stowaged for an image, begun before stowage-enter runs: stowaged
// prepares itself for it meanwhile.
#pragma once

#define EARLY_CALL_PATH "/stowage.v1.ImageService/Prepare"

enum {
    // What the call may take in all.
    EARLY_CALL_TOTAL_MS = 2 * 60 * 60 * 1000,
    // stowaged ends one in which nothing is asked for 30 s: after so long stowage-enter begins another one.
    EARLY_CALL_FRESH_MS = 5 * 1000,
};

// Connects to stowaged and sends what precedes the request, as grpc_open() would. Returns the connection, or
// -1: what fails here fails once more in stowage-enter, which has words for it.
int early_call_begin(const char *socket_path);
