// What the ranks of one step on one node share: who leads, what came of it, and where the namespaces are.
//
// The state lives in a shared anonymous mapping that slurmstepd makes before it forks the ranks. The first
// rank to take the lock leads: it starts stowage-enter, which builds the namespaces, and stores the answer.
// All others wait for the lock, find the answer, and act on it.
#pragma once

#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Room for the image's environment and the working directory, in bytes.
enum { STEP_REPLY_MAX = 1 << 20 };

enum step_outcome {
    STEP_UNDECIDED,
    STEP_READY,
    STEP_FAILED,
};

// What a rank does to be inside.
struct step_entry {
    // Besides the user and the mount namespace of the holder: its net, IPC and UTS namespace.
    bool net;
    bool ipc;
    bool uts;
    // The rank is uid 0 in there: calls that change owners or identity are made to seem to succeed.
    bool root;
    // The holder lives as long as slurmstepd, instead of until the last rank has joined.
    bool keep_holder;
};

// What stowage-enter hands to the ranks.
struct step_container {
    // Process that keeps the namespaces alive until the last rank has joined.
    pid_t holder;
    struct step_entry entry;
    // Process that saves the container after the last rank, or 0.
    pid_t saver;
    // Lock of the image's tree, on the host, see enter/tree_store.h; empty if it is no tree of ours.
    char tree_lock[PATH_MAX];
    // Directory to start in, inside the container.
    char working_directory[PATH_MAX];
    // NUL-terminated records, each "=NAME=VALUE" (set) or "-NAME" (remove).
    uint32_t environment_bytes;
    char environment[STEP_REPLY_MAX];
};

struct step;

// Makes the shared state for `ranks` ranks. Call in slurmstepd before any rank is forked.
int step_create(struct step **step, uint32_t ranks, struct error *err);

// Takes the lock and says what is known. With STEP_UNDECIDED the caller leads and must call step_decide();
// otherwise the lock is already released. Fails for one rank if the leader died on its way; the others then
// find STEP_FAILED.
int step_enter(struct step *step, enum step_outcome *outcome, struct error *err);

// Where the leader puts the container before it decides STEP_READY, and where all others read it.
struct step_container *step_container(struct step *step);

// Stores the outcome and lets the other ranks go on.
void step_decide(struct step *step, enum step_outcome outcome);

// Counts this rank as ended. True for the last one.
bool step_ended(struct step *step);

// Counts the ranks that have joined, see countdown.h: the last one ends the holder.
int step_countdown(const struct step *step);
