// --image-name=NAME[:auto|create|exec|no_exec]: a container that later steps of the job use again.
#pragma once

#include "container_name.h"
#include "error.h"

enum named_mode {
    // Join it while it runs, else start what was kept, else create it.
    NAMED_AUTO,
    // It must not be there yet.
    NAMED_CREATE,
    // It must be running.
    NAMED_EXEC,
    // It must not be running.
    NAMED_NO_EXEC,
};

struct named_option {
    char name[CONTAINER_NAME_MAX + 1];
    enum named_mode mode;
};

// As container_name_check().
int named_option_parse(const char *text, struct named_option *option, struct error *err);
