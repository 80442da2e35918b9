#include "slurm_switches.h"
#include "switches.h"

#include <string.h>

bool slurm_switches_has(const struct settings *settings, enum dialect dialect) {
    if (dialect == DIALECT_PYXIS && spank_context() == S_CTX_ALLOCATOR && !settings->pyxis.sbatch_support)
        return false;
    return settings->speaks[dialect];
}

// Another plugin's may be in the place of our own.
static bool is_replaced(const struct settings *settings, const struct option_switch *option) {
    for (int i = 0; option->dialect == DIALECT_STOWAGE && i < SWITCH_COUNT; i++) {
        const struct option_switch *other = &option_switches[i];
        if (other != option && slurm_switches_has(settings, other->dialect) &&
            strcmp(other->name, option->name) == 0)
            return true;
    }
    return false;
}

void slurm_switches_register(spank_t spank, const struct settings *settings, spank_opt_cb_f callback) {
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        if (!slurm_switches_has(settings, option->dialect) || is_replaced(settings, option))
            continue;
        struct spank_option slurms = {.name = (char *)option->name,
                                      .arginfo = (char *)option->argument,
                                      .usage = (char *)option->usage,
                                      .has_arg = option->argument ? 1 + option->argument_is_optional : 0,
                                      .val = i,
                                      .cb = callback};
        spank_option_register(spank, &slurms);
    }
}
