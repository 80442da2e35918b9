#include "step.h"
#include "children.h"
#include "tap.h"

#include <stdatomic.h>

enum { RANKS = 32, DEADLINE_SECONDS = 30 };

static struct step *step;

static struct { atomic_uint led, ready, failed, broken, wrong_container; } * seen;

static void start(void) {
    struct error err;
    memset(seen, 0, sizeof *seen);
    must(step_create(&step, RANKS, &err) == 0, "step_create");
}

static void wait_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000 * 1000}, NULL);
}

// Long enough for all others to be waiting for the lock.
static void work_as_leader(void) {
    atomic_fetch_add(&seen->led, 1);
    struct step_container *container = step_container(step);
    container->holder = 4711;
    strcpy(container->working_directory, "/work");
    wait_milliseconds(200);
}

// Does what the others do when they hear of the outcome; false for the leader.
static bool follow(void) {
    enum step_outcome outcome;
    struct error err;
    if (step_enter(step, &outcome, &err) != 0)
        atomic_fetch_add(&seen->broken, 1);
    else if (outcome == STEP_UNDECIDED)
        return false;
    else if (outcome == STEP_FAILED)
        atomic_fetch_add(&seen->failed, 1);
    else if (step_container(step)->holder != 4711 || strcmp(step_container(step)->working_directory, "/work"))
        atomic_fetch_add(&seen->wrong_container, 1);
    else
        atomic_fetch_add(&seen->ready, 1);
    return true;
}

static void rank_that_succeeds(unsigned number) {
    (void)number;
    if (!follow()) {
        work_as_leader();
        step_decide(step, STEP_READY);
    }
}

static void rank_that_gives_up(unsigned number) {
    (void)number;
    if (!follow()) {
        work_as_leader();
        step_decide(step, STEP_FAILED);
    }
}

static void rank_that_is_killed(unsigned number) {
    (void)number;
    if (!follow()) {
        work_as_leader();
        raise(SIGKILL);
    }
}

static void rank_that_is_killed_later(unsigned number) {
    (void)number;
    if (!follow()) {
        work_as_leader();
        step_decide(step, STEP_READY);
        raise(SIGKILL);
    }
}

int main(void) {
    seen = shared_memory(sizeof *seen);

    start();
    ok(run_children(RANKS, DEADLINE_SECONDS, rank_that_succeeds) == 0,
       "no rank hangs when the leader succeeds");
    ok(seen->led == 1, "exactly one of 32 ranks leads");
    ok(seen->ready == RANKS - 1, "all others find the leader's container");

    start();
    ok(run_children(RANKS, DEADLINE_SECONDS, rank_that_gives_up) == 0,
       "no rank hangs when the leader gives up");
    ok(seen->led == 1 && seen->failed == RANKS - 1, "all others fail when the leader gives up");

    start();
    ok(run_children(RANKS, DEADLINE_SECONDS, rank_that_is_killed) == 0,
       "no rank hangs when the leader is killed while it leads");
    ok(seen->led == 1, "nobody leads after a leader that was killed");
    ok(seen->failed == RANKS - 2 && seen->broken == 1,
       "all others fail when the leader is killed, one with a reason");
    run_children(1, DEADLINE_SECONDS, rank_that_is_killed);
    ok(seen->failed == RANKS - 1, "a rank that comes late fails as well");

    start();
    ok(run_children(RANKS, DEADLINE_SECONDS, rank_that_is_killed_later) == 0 && seen->ready == RANKS - 1,
       "a leader that is killed after it decided harms no other");
    return tap_done();
}
