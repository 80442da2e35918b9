#include "exec/records.h"
#include "tap.h"

#include <stdlib.h>

static struct step_container container;

int main(void) {
    struct error err;
    static const char records[] = "=FROM_IMAGE=a=b\0-GONE\0-NEVER_THERE\0=EMPTY=";
    memcpy(container.environment, records, sizeof records);
    container.environment_bytes = sizeof records;
    strcpy(container.working_directory, "/work");
    setenv("GONE", "1", 1);
    setenv("KEPT", "1", 1);
    setenv("FROM_IMAGE", "of the job", 1);
    setenv("PWD", "/elsewhere", 1);

    ok(records_apply(&container, &err) == 0, "records are applied");
    is_text(getenv("FROM_IMAGE"), "a=b", "a variable is set over what was there");
    ok(getenv("GONE") == NULL, "a variable is removed");
    is_text(getenv("EMPTY"), "", "a value can be empty");
    is_text(getenv("KEPT"), "1", "what no record names stays");
    is_text(getenv("PWD"), "/work", "PWD is the working directory");
    return tap_done();
}
