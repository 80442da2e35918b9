// Opening what may be anything.
#pragma once

// Opens a file inside root for reading, if it is a regular one: opening a device or a FIFO may do something,
// or wait. Returns -1 otherwise.
int regular_file_open(int root, const char *path);
