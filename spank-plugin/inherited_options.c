#include "inherited_options.h"
#include "carriers.h"
#include "switches.h"

#include <slurm/spank.h>
#include <stdlib.h>
#include <string.h>

static struct option_values job;
static enum dialect job_dialect;
// What Slurm is still to tell as if it had been written, and whether that is known.
static char *untold[SWITCH_COUNT];
static bool untold_known;

static const char *text_of_slurm(const struct option_switch *option) {
    char name[2 * OPTION_VARIABLE_MAX];
    switch_inherited_variable(option, name);
    return getenv(name);
}

static const char *text_of_ours(enum option_id id) {
    char name[OPTION_VARIABLE_MAX];
    option_variable(id, CARRIER_PREFIX, name);
    return getenv(name);
}

static void read_untold(void) {
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const char *text = text_of_slurm(&option_switches[i]);
        untold[i] = text ? strdup(text) : NULL;
    }
    untold_known = true;
}

static void drop_untold(int index) {
    free(untold[index]);
    untold[index] = NULL;
}

// srun trusts what the command that made the job left, which is more: the variables are in it. Others make a
// job of their own, of which Slurm decides what it inherits.
void inherited_options_read(void) {
    bool is_step = spank_context() == S_CTX_LOCAL;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        if (option->id == OPTION_COUNT)
            continue;
        const char *slurms = text_of_slurm(option), *ours = text_of_ours(option->id);
        if (job.text[option->id] || (!slurms && !is_step))
            continue;
        if (ours)
            job.text[option->id] = strdup(ours);
        else if (slurms)
            job.text[option->id] = switch_value_or_text(option, slurms);
    }
    const char *dialect = getenv(DIALECT_CARRIER);
    job_dialect = dialect && strcmp(dialect, CARRIED_PYXIS) == 0 ? DIALECT_PYXIS : DIALECT_STOWAGE;
    read_untold();
}

const struct option_values *inherited_options(void) {
    return &job;
}

enum dialect inherited_options_dialect(void) {
    return job_dialect;
}

bool inherited_options_are_told(int index, const char *argument) {
    if (!untold_known)
        read_untold();
    bool are = untold[index] && (!option_switches[index].argument || strcmp(untold[index], argument) == 0);
    if (are)
        drop_untold(index);
    return are;
}

void inherited_options_begin_part(void) {
    for (int i = 0; i < SWITCH_COUNT; i++)
        drop_untold(i);
    // In it, sbatch and salloc inherit what the part before was given, as Slurm has it by then.
    untold_known = spank_context() != S_CTX_ALLOCATOR;
}
