#include "step.h"
#include "countdown.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

struct step {
    pthread_mutex_t lock;
    enum step_outcome outcome;
    uint32_t ranks;
    // Of ranks that have still to join.
    int countdown;
    atomic_uint ended;
    struct step_container container;
};

int step_create(struct step **step, uint32_t ranks, struct error *err) {
    struct step *made =
        mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED)
        return error_errno(err, "cannot map memory shared by the ranks");

    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&made->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    made->ranks = ranks;
    if (countdown_make(ranks, &made->countdown, err) != 0) {
        munmap(made, sizeof *made);
        return -1;
    }
    *step = made;
    return 0;
}

int step_enter(struct step *step, enum step_outcome *outcome, struct error *err) {
    int failure = pthread_mutex_lock(&step->lock);
    if (failure != 0 && failure != EOWNERDEAD) {
        errno = failure;
        return error_errno(err, "cannot take the lock shared by the ranks");
    }
    bool leader_died = failure == EOWNERDEAD && step->outcome == STEP_UNDECIDED;
    if (failure == EOWNERDEAD)
        pthread_mutex_consistent(&step->lock);
    if (leader_died)
        step->outcome = STEP_FAILED;
    *outcome = step->outcome;
    if (*outcome != STEP_UNDECIDED)
        pthread_mutex_unlock(&step->lock);
    if (leader_died)
        return error_set(err, "the rank that prepared the image was killed");
    return 0;
}

struct step_container *step_container(struct step *step) {
    return &step->container;
}

void step_decide(struct step *step, enum step_outcome outcome) {
    step->outcome = outcome;
    pthread_mutex_unlock(&step->lock);
}

int step_countdown(const struct step *step) {
    return step->countdown;
}

bool step_ended(struct step *step) {
    return atomic_fetch_add(&step->ended, 1) + 1 == step->ranks;
}
