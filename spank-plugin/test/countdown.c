#include "countdown.h"
#include "children.h"
#include "tap.h"

#include <stdatomic.h>

enum { RANKS = 32, DEADLINE_SECONDS = 30 };

static int countdown;
static atomic_uint *last;

static void start(uint32_t count) {
    struct error err;
    must(countdown_make(count, &countdown, &err) == 0, "countdown_make");
}

static void rank_that_counts(unsigned number) {
    (void)number;
    atomic_fetch_add(last, countdown_is_last(countdown));
}

int main(void) {
    last = shared_memory(sizeof *last);

    start(RANKS);
    run_children(RANKS, DEADLINE_SECONDS, rank_that_counts);
    ok(*last == 1, "one of 32 ranks that come at once is told that it is the last");

    start(RANKS);
    unsigned early = 0;
    for (unsigned i = 0; i + 1 < RANKS; i++)
        early += countdown_is_last(countdown);
    ok(early == 0, "no rank but the last is told so");
    ok(countdown_is_last(countdown), "the last rank is told so");

    start(1);
    ok(countdown_is_last(countdown), "a single rank is the last one");
    ok((fcntl(countdown, F_GETFD) & FD_CLOEXEC) != 0, "the program of a rank does not get the descriptor");
    return tap_done();
}
