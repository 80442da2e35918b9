#include "search.h"
#include "auth_file.h"
#include "credential_program.h"
#include "enter/wiped_memory.h"
#include "netrc.h"
#include "places.h"
#include "user_file.h"

#include <stdio.h>

static void announce(const struct login_search *search, const char *doing, const char *name) {
    char what[LOGIN_SOURCE_MAX + 64];
    snprintf(what, sizeof what, "%s%s", doing, name);
    search->doing(search->context, what);
}

// What goes wrong is a clause about the file that names the program.
static int ask_program(const struct login_search *search, const char *name, struct login *login,
                       struct error *problem) {
    announce(search, "docker-credential-", name);
    int result = credential_program_ask(name, search->registry, login, problem);
    if (result == 1)
        snprintf(login->source, sizeof login->source, "docker-credential-%s", name);
    return result;
}

// The first failure is told, if nothing better comes: "<name> is not JSON".
static void keep(struct error *first, const char *name, const struct error *problem) {
    if (first->text[0] == '\0')
        error_set(first, "%s %s", name, problem->text);
}

static int look_into_json(const struct login_search *search, const struct user_file *file, const char *name,
                          struct login *login, struct error *first) {
    struct auth_file_entry entry;
    struct error problem;
    if (file->length == 0)
        return 0;
    if (auth_file_find(file->content, file->length, search->registry, search->repository, &entry, &problem) !=
        0) {
        keep(first, name, &problem);
        return 0;
    }
    int asked = entry.program[0] == '\0' ? 0 : ask_program(search, entry.program, login, &problem);
    if (asked < 0)
        keep(first, name, &problem);
    if (asked == 1) {
        login_release(&entry.login);
        return 1;
    }
    *login = entry.login;
    return login_is_there(login);
}

static int look_into_netrc(const struct login_search *search, const struct user_file *file, const char *name,
                           struct login *login, struct error *first) {
    struct error problem;
    int found = netrc_find(file->content, search->registry, login, &problem);
    if (found < 0)
        keep(first, name, &problem);
    return found == 1;
}

static int look_into(const struct login_search *search, const struct login_place *place, struct login *login,
                     struct error *first) {
    char name[LOGIN_SOURCE_MAX];
    struct error problem;
    struct user_file file;
    snprintf(name, sizeof name, "%s", login_place_name(place->path, search->home));
    announce(search, "", name);
    int found = user_file_read(place->path, &file, &problem);
    if (found == USER_FILE_MISSING && place->is_named)
        found = error_set(&problem, "does not exist, though $REGISTRY_AUTH_FILE names it");
    if (found < 0)
        keep(first, name, &problem);
    if (found != 0)
        return 0;
    int result = place->kind == LOGIN_PLACE_JSON ? look_into_json(search, &file, name, login, first)
                                                 : look_into_netrc(search, &file, name, login, first);
    wiped_free(file.content);
    if (result == 1 && login->source[0] == '\0') {
        snprintf(login->source, sizeof login->source, "%s", name);
        if (file.is_open_to_all)
            error_set(&login->remark, "everybody can read the passwords in %s; run 'chmod 600 %s'", name,
                      name);
    }
    return result;
}

void login_search(const struct login_search *search, struct login *login) {
    struct login_place places[LOGIN_PLACES_MAX];
    struct error first = {""};
    size_t count = login_places(search->home, places);
    for (size_t i = 0; i < count; i++) {
        struct login found = {0};
        if (look_into(search, &places[i], &found, &first) == 1) {
            *login = found;
            return;
        }
        login_release(&found);
    }
    *login = (struct login){.problem = first};
}
