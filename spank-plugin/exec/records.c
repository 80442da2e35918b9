#include "exec/records.h"

#include <stdlib.h>
#include <string.h>

int records_apply(struct step_container *container, struct error *err) {
    char *end = container->environment + container->environment_bytes;
    for (char *record = container->environment; record < end; record += strlen(record) + 1) {
        char *entry = record + 1;
        int failure = record[0] == '-' ? unsetenv(entry) : putenv(entry);
        if (failure)
            return error_errno(err, "cannot set the variable %.100s of the image's environment", entry);
    }
    if (setenv("PWD", container->working_directory, 1) != 0)
        return error_errno(err, "cannot set PWD");
    return 0;
}
