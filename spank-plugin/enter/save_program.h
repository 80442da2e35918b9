// The programs that write a container to a file: mksquashfs, and stowage-save for OCI archives.
#pragma once

#include "error.h"
#include "save_target.h"

#include <stowage/v1/image.pb-c.h>

// Exit status of one that has said why it failed, as stowage-save does.
enum { SAVE_PROGRAM_EXPLAINED = 1 };

// Fails if the node has no program for the format.
int save_program_check(enum save_format format, struct error *err);

// Becomes the program that writes what is in the directory `view` to `file`. Call in a process of its own, in
// which this one's user namespace gives it the privilege to read files whatever their mode. `failing` begins
// what it says if it fails. Returns on failure.
int save_program_exec(enum save_format format, int view, int file, const Stowage__V1__ContainerPlan *plan,
                      const char *failing, struct error *err);

// What a status of the program, other than 0 and SAVE_PROGRAM_EXPLAINED, means. Returns -1.
int save_program_explain(enum save_format format, int status, struct error *err);
