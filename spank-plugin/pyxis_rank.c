#include "pyxis_rank.h"
#include "step_options.h"

#include <stdbool.h>
#include <string.h>

enum { NUMBER_MAX = 16 };

static void forget_locale(spank_t spank) {
    static const char *const NAMES[] = {"LANG", "LANGUAGE", "LC_ALL"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (!step_options_name_variable(NAMES[i]))
            spank_unsetenv(spank, NAMES[i]);
    }
}

static bool is_set_by_job(spank_t spank, const char *name) {
    char ignored[2];
    return spank_getenv(spank, name, ignored, sizeof ignored) != ESPANK_ENV_NOEXIST;
}

static bool is_set_by_image(const struct step_container *container, const char *name) {
    const char *end = container->environment + container->environment_bytes;
    size_t length = strlen(name);
    for (const char *record = container->environment; record < end; record += strlen(record) + 1) {
        if (record[0] == '=' && strncmp(record + 1, name, length) == 0 && record[1 + length] == '=')
            return true;
    }
    return false;
}

int pyxis_rank_prepare(spank_t spank, const struct step_container *container, struct error *err) {
    static const struct {
        const char *slurms;
        const char *torchs;
    } NUMBERS[] = {{"SLURM_PROCID", "RANK"}, {"SLURM_LOCALID", "LOCAL_RANK"}};
    static const char TORCH[] = "PYTORCH_VERSION";
    forget_locale(spank);
    if (!is_set_by_image(container, TORCH) && !is_set_by_job(spank, TORCH))
        return 0;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        char number[NUMBER_MAX];
        if (spank_getenv(spank, NUMBERS[i].slurms, number, sizeof number) != ESPANK_SUCCESS ||
            spank_setenv(spank, NUMBERS[i].torchs, number, 1) != ESPANK_SUCCESS)
            return error_set(err, "cannot set %s for PyTorch", NUMBERS[i].torchs);
    }
    return 0;
}
