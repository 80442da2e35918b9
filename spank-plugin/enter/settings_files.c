#include "settings_files.h"
#include "cleanup.h"
#include "image_source.h"
#include "login/places.h"
#include "login/user_file.h"
#include "plain_name.h"
#include "utf8.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".toml"

enum { OTHERS_MAX = 256 };

int settings_places_find(struct settings_places *places, const char *home, const char *site,
                         struct error *err) {
    const char *config = getenv("XDG_CONFIG_HOME");
    bool is_set = config && config[0] == '/';
    int own =
        snprintf(places->own, PATH_MAX, "%s%s/stowage", is_set ? config : home, is_set ? "" : "/.config");
    int environments = snprintf(places->own_environments, PATH_MAX, "%s/environments", places->own);
    if (own >= PATH_MAX || environments >= PATH_MAX)
        return error_set(err, "the path of your home directory, or XDG_CONFIG_HOME, is too long");
    places->home = home;
    places->site_environments = site;
    return 0;
}

bool is_environment_name(const char *name) {
    return is_plain_name(name, strlen(name), ENVIRONMENT_NAME_MAX);
}

static int no_memory(struct error *err) {
    errno = ENOMEM;
    return error_errno(err, "cannot hold your settings");
}

// Replaces a field that is still empty.
static int put(char **field, const char *text, struct error *err) {
    char *copy = strdup(text);
    if (!copy)
        return no_memory(err);
    *field = copy;
    return 0;
}

static Stowage__V1__SettingsFile *make(const char *name, struct error *err) {
    Stowage__V1__SettingsFile *file = malloc(sizeof *file);
    if (file)
        stowage__v1__settings_file__init(file);
    if (!file || put(&file->name, name, err) != 0) {
        free(file);
        no_memory(err);
        return NULL;
    }
    return file;
}

static bool is_known(const Stowage__V1__SettingsFile *file, const char *name) {
    for (size_t i = 0; i < file->n_variables; i++) {
        if (strcmp(file->variables[i]->name, name) == 0)
            return true;
    }
    return false;
}

static int add_variable(Stowage__V1__SettingsFile *file, const char *name, const char *value,
                        struct error *err) {
    Stowage__V1__EnvironmentVariable *variable = malloc(sizeof *variable);
    if (!variable)
        return no_memory(err);
    stowage__v1__environment_variable__init(variable);
    file->variables[file->n_variables++] = variable;
    return put(&variable->name, name, err) == 0 ? put(&variable->value, value, err) : -1;
}

// The length of NAME in ${NAME} at `at`, or 0.
static size_t name_length(const char *at) {
    if (at[0] != '$' || at[1] != '{' || !(isalpha((unsigned char)at[2]) || at[2] == '_'))
        return 0;
    size_t length = 0;
    while (isalnum((unsigned char)at[2 + length]) || at[2 + length] == '_')
        length++;
    return at[2 + length] == '}' ? length : 0;
}

// Looks up what `text` names. Whatever is wrong with one of them is the file's problem.
static int find_variables(Stowage__V1__SettingsFile *file, const char *text, struct error *err) {
    file->variables = calloc(SETTINGS_VARIABLES_MAX, sizeof *file->variables);
    if (!file->variables)
        return no_memory(err);
    for (const char *at = strchr(text, '$'); at; at = strchr(at + 1, '$')) {
        size_t length = name_length(at);
        cleanup_free char *name = strndup(at + 2, length);
        if (!name)
            return no_memory(err);
        const char *value = length > 0 ? getenv(name) : NULL;
        if (!value || is_known(file, name))
            continue;
        struct error problem;
        if (file->n_variables == SETTINGS_VARIABLES_MAX)
            error_set(&problem, "names more than %d variables", SETTINGS_VARIABLES_MAX);
        else if (!utf8_is_valid(value))
            error_set(&problem, "names the variable %.200s, whose value is not UTF-8", name);
        else if (add_variable(file, name, value, err) == 0)
            continue;
        else
            return -1;
        return put(&file->problem, problem.text, err);
    }
    return 0;
}

// Whether the file is there at all, as far as this user can see: a directory above it may be closed to them.
static bool is_there(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

static int take_content(Stowage__V1__SettingsFile *file, struct user_file *read, struct error *err) {
    struct error problem;
    file->content.data = (uint8_t *)read->content;
    file->content.len = read->length;
    if (read->length <= SETTINGS_FILE_MAX)
        return find_variables(file, read->content, err);
    error_set(&problem, "is larger than %d bytes", SETTINGS_FILE_MAX);
    free(file->content.data);
    file->content = (ProtobufCBinaryData){0};
    return put(&file->problem, problem.text, err);
}

// Returns 1 if there is <directory>/<name>.toml, and it or its problem is in *file; 0 if there is none.
static int read_file(const struct settings_places *places, const char *directory, const char *name,
                     Stowage__V1__SettingsFile **file, struct error *err) {
    char path[PATH_MAX];
    struct user_file read;
    struct error problem;
    if (snprintf(path, sizeof path, "%s/%s" SUFFIX, directory, name) >= (int)sizeof path)
        return 0;
    int result = user_file_read(path, &read, &problem);
    if (result == USER_FILE_MISSING || (result != 0 && !is_there(path)))
        return 0;
    Stowage__V1__SettingsFile *made = make(name, err);
    if (!made) {
        if (result == 0)
            free(read.content);
        return -1;
    }
    int done = result == 0 ? take_content(made, &read, err) : put(&made->problem, problem.text, err);
    if (done != 0 || put(&made->path, login_place_name(path, places->home), err) != 0 ||
        put(&made->directory, directory, err) != 0) {
        stowage__v1__settings_file__free_unpacked(made, NULL);
        return -1;
    }
    *file = made;
    return 1;
}

int settings_file_config(const struct settings_places *places, Stowage__V1__SettingsFile **file,
                         struct error *err) {
    *file = NULL;
    return read_file(places, places->own, "config", file, err) < 0 ? -1 : 0;
}

static int list_others(Stowage__V1__SettingsFile *file, const char *path, struct error *err) {
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    int result = 0;
    struct dirent *entry;
    while (result == 0 && file->n_others < OTHERS_MAX && (entry = readdir(directory))) {
        size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);
        if (length <= suffix || strcmp(entry->d_name + length - suffix, SUFFIX) != 0)
            continue;
        entry->d_name[length - suffix] = '\0';
        if (is_environment_name(entry->d_name))
            result = put(&file->others[file->n_others++], entry->d_name, err);
    }
    closedir(directory);
    return result;
}

static int say_missing(const struct settings_places *places, Stowage__V1__SettingsFile *file,
                       struct error *err) {
    struct error where;
    error_set(&where, "it is neither in %s", login_place_name(places->own_environments, places->home));
    file->others = calloc(OTHERS_MAX, sizeof *file->others);
    if (!file->others)
        return no_memory(err);
    if (list_others(file, places->own_environments, err) != 0 ||
        list_others(file, places->site_environments, err) != 0)
        return -1;
    size_t length = strlen(where.text);
    snprintf(where.text + length, sizeof where.text - length, " nor in %s", places->site_environments);
    return put(&file->problem, where.text, err);
}

int settings_file_environment(const struct settings_places *places, const char *name,
                              Stowage__V1__SettingsFile **file, struct error *err) {
    int found = read_file(places, places->own_environments, name, file, err);
    if (found == 0)
        found = read_file(places, places->site_environments, name, file, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    Stowage__V1__SettingsFile *made = make(name, err);
    if (!made || say_missing(places, made, err) != 0) {
        if (made)
            stowage__v1__settings_file__free_unpacked(made, NULL);
        return -1;
    }
    *file = made;
    return 0;
}
