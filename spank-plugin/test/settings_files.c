#include "enter/settings_files.h"
#include "image_source.h"
#include "scratch.h"
#include "tap.h"

#include <sys/types.h>

static char scratch[PATH_MAX], home[PATH_MAX + 8], site[PATH_MAX + 8];
static int home_fd, own_fd, environments_fd, site_fd;
static struct settings_places places;
static struct error err;

static int directory_at(int at, const char *name) {
    make_directory(at, name, 0755);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0, name);
    return fd;
}

static void set_up(int at) {
    snprintf(home, sizeof home, "%s/home", scratch);
    snprintf(site, sizeof site, "%s/site", scratch);
    home_fd = directory_at(at, "home");
    site_fd = directory_at(at, "site");
    int config = directory_at(home_fd, ".config");
    own_fd = directory_at(config, "stowage");
    environments_fd = directory_at(own_fd, "environments");
    close(config);
    unsetenv("XDG_CONFIG_HOME");
    must(settings_places_find(&places, home, site, &err) == 0, "places");
}

static Stowage__V1__SettingsFile *config(void) {
    Stowage__V1__SettingsFile *file = NULL;
    must(settings_file_config(&places, &file, &err) == 0, err.text);
    return file;
}

static Stowage__V1__SettingsFile *environment(const char *name) {
    Stowage__V1__SettingsFile *file = NULL;
    must(settings_file_environment(&places, name, &file, &err) == 0, err.text);
    return file;
}

static void release(Stowage__V1__SettingsFile *file) {
    if (file)
        stowage__v1__settings_file__free_unpacked(file, NULL);
}

static void put_file(int at, const char *name, const char *text) {
    make_file(at, name, text, 0644);
}

static bool holds(const Stowage__V1__SettingsFile *file, const char *text) {
    return file->content.len == strlen(text) && memcmp(file->content.data, text, strlen(text)) == 0;
}

static void test_names(void) {
    char long_name[ENVIRONMENT_NAME_MAX + 2] = "";
    memset(long_name, 'a', ENVIRONMENT_NAME_MAX);
    ok(is_environment_name("pytorch-2.1_x") && is_environment_name("_x") && is_environment_name(long_name),
       "takes names");
    long_name[ENVIRONMENT_NAME_MAX] = 'a';
    static const char *const BAD[] = {"", ".x", "..", "-x", "a/b", "../x", "a b", "a\nb", "\xc3\xa4", NULL};
    for (const char *const *bad = BAD; *bad; bad++)
        ok(!is_environment_name(*bad), "refuses a name that would lead elsewhere: %zu", (size_t)(bad - BAD));
    ok(!is_environment_name(long_name), "refuses a name that is too long");
}

static void test_places(void) {
    struct settings_places other;
    setenv("XDG_CONFIG_HOME", "/c", 1);
    ok(settings_places_find(&other, "/home/u", "/s", &err) == 0, "finds places");
    is_text(other.own, "/c/stowage", "as XDG has it");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    ok(settings_places_find(&other, "/home/u", "/s", &err) == 0, "finds places");
    is_text(other.own_environments, "/home/u/.config/stowage/environments", "and takes no relative one");
    unsetenv("XDG_CONFIG_HOME");
    char longest[PATH_MAX];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    ok(settings_places_find(&other, longest, "/s", &err) == -1, "refuses a home that cannot be one");
}

static void test_config(void) {
    ok(config() == NULL, "finds nothing where there is nothing");
    put_file(own_fd, "config.toml", "home = false\n");
    Stowage__V1__SettingsFile *file = config();
    is_text(file->name, "config", "is called config");
    is_text(file->path, "~/.config/stowage/config.toml", "says where it is, as the user would");
    is_text(file->directory, places.own, "and in which directory, for programs");
    ok(holds(file, "home = false\n") && file->problem[0] == '\0', "holds the text");
    release(file);
    must(unlinkat(own_fd, "config.toml", 0) == 0, "unlink");
}

static void test_variables(void) {
    setenv("ST_A", "one", 1);
    setenv("ST_EMPTY", "", 1);
    unsetenv("ST_NONE");
    put_file(own_fd, "config.toml",
             "${ST_A} ${ST_A} $ST_A ${ST_EMPTY} ${ST_NONE} ${} ${1} ${ST_A ${ST-A} $${ST_A} $");
    Stowage__V1__SettingsFile *file = config();
    ok(file->n_variables == 2, "finds each variable once, and those that the job has only");
    is_text(file->variables[0]->name, "ST_A", "by name");
    is_text(file->variables[0]->value, "one", "with its value");
    is_text(file->variables[1]->value, "", "which may be empty");
    release(file);

    setenv("ST_A", "\xff", 1);
    file = config();
    is_text(file->problem, "names the variable ST_A, whose value is not UTF-8", "says what cannot be sent");
    release(file);

    char text[16 * (SETTINGS_VARIABLES_MAX + 1)], name[16];
    size_t used = 0;
    for (int i = 0; i <= SETTINGS_VARIABLES_MAX; i++) {
        snprintf(name, sizeof name, "ST_%d", i);
        setenv(name, "x", 1);
        used += (size_t)snprintf(text + used, sizeof text - used, "${%s}", name);
    }
    put_file(own_fd, "config.toml", text);
    file = config();
    is_text(file->problem, "names more than 256 variables", "stops at too many");
    release(file);
    must(unlinkat(own_fd, "config.toml", 0) == 0, "unlink");
}

static void test_odd_files(void) {
    must(mkfifoat(own_fd, "config.toml", 0644) == 0, "mkfifo");
    Stowage__V1__SettingsFile *file = config();
    is_text(file->problem, "is not a regular file", "does not wait for a FIFO");
    release(file);
    must(unlinkat(own_fd, "config.toml", 0) == 0, "unlink");

    must(symlinkat("/dev/zero", own_fd, "config.toml") == 0, "symlink");
    file = config();
    is_text(file->problem, "is not a regular file", "reads no device");
    release(file);
    must(unlinkat(own_fd, "config.toml", 0) == 0, "unlink");

    must(symlinkat("gone", own_fd, "config.toml") == 0, "symlink");
    ok(config() == NULL, "takes a link to nothing for nothing");
    must(unlinkat(own_fd, "config.toml", 0) == 0, "unlink");

    put_file(own_fd, "config.toml", "");
    must(truncate(strcat(strcpy((char[PATH_MAX]){0}, places.own), "/config.toml"), SETTINGS_FILE_MAX + 1) ==
             0,
         "truncate");
    file = config();
    is_text(file->problem, "is larger than 262144 bytes", "says that one is too large");
    ok(file->content.len == 0, "and does not send it");
    release(file);

    must(fchmodat(own_fd, "config.toml", 0, 0) == 0, "chmod");
    file = config();
    is_text(file->problem, "cannot be read: Permission denied", "says that one may not be read");
    release(file);
    must(fchmodat(home_fd, ".config", 0, 0) == 0, "chmod");
    ok(config() == NULL, "looks for nothing where nobody lets it");
    must(fchmodat(home_fd, ".config", 0755, 0) == 0 && unlinkat(own_fd, "config.toml", 0) == 0, "unlink");
}

static void test_environments(void) {
    put_file(site_fd, "a.toml", "site");
    put_file(site_fd, "b.toml", "site");
    put_file(environments_fd, "b.toml", "own");
    put_file(environments_fd, "config.toml", "own");
    put_file(environments_fd, "notes.txt", "");
    put_file(environments_fd, ".hidden.toml", "");
    Stowage__V1__SettingsFile *file = environment("a");
    ok(holds(file, "site"), "finds that of the site");
    is_text(file->directory, site, "where it is");
    release(file);
    file = environment("b");
    ok(holds(file, "own"), "prefers the user's own");
    is_text(file->path, "~/.config/stowage/environments/b.toml", "and says so");
    release(file);

    must(fchmodat(environments_fd, "b.toml", 0, 0) == 0, "chmod");
    file = environment("b");
    says(file->problem, "Permission denied", "does not take the site's in place of one that may not be read");
    release(file);

    file = environment("c");
    is_text(file->path, "", "has no path for one that is missing");
    ok(strncmp(file->problem, "it is neither in ~/.config/stowage/environments nor in /", 56) == 0,
       "says where it was looked for");
    ok(file->n_others == 4, "knows which there are, twice if in both places");
    release(file);
}

int main(void) {
    become_ordinary();
    int at = scratch_make(scratch);
    set_up(at);
    test_names();
    test_places();
    test_config();
    test_variables();
    test_odd_files();
    test_environments();
    scratch_remove(scratch);
    return tap_done();
}
