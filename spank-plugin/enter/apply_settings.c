#include "apply_settings.h"
#include "daemon_client.h"
#include "image_source.h"
#include "protocol.h"
#include "settings_files.h"

#include <stdbool.h>
#include <string.h>

enum {
    // As image.proto says: the first call, and eight with further files.
    CALLS_MAX = 9,
    FILES_MAX = 32,
};

struct conversation {
    struct settings_places places;
    Stowage__V1__SettingsFile *files[FILES_MAX];
    size_t count;
};

static int add_environment(struct conversation *conversation, const char *name, struct error *err) {
    if (!is_environment_name(name))
        return error_set(
            err,
            "'%.200s' is no name of an environment: that has at most %d letters, digits, '.', '_' "
            "and '-', and begins with a letter, a digit or '_'",
            name, ENVIRONMENT_NAME_MAX);
    if (conversation->count == FILES_MAX)
        return error_set(err, "more than %d settings files would have to be read", FILES_MAX);
    if (settings_file_environment(&conversation->places, name, &conversation->files[conversation->count],
                                  err) != 0)
        return -1;
    conversation->count++;
    return 0;
}

static int ask(const struct conversation *conversation, const struct options *options,
               Stowage__V1__ReadSettingsResponse **response, struct error *err) {
    Stowage__V1__Version version = STOWAGE__V1__VERSION__INIT;
    version.protocol = PROTOCOL_VERSION;
    version.software = "stowage-enter " SOFTWARE_VERSION;
    Stowage__V1__Option given[GIVEN_OPTIONS_MAX];
    Stowage__V1__Option *pointers[GIVEN_OPTIONS_MAX];
    for (size_t i = 0; i < options->given_count; i++) {
        stowage__v1__option__init(&given[i]);
        given[i].name = options->given[i].name;
        given[i].value = (char *)options->given[i].value;
        pointers[i] = &given[i];
    }
    Stowage__V1__ReadSettingsRequest request = STOWAGE__V1__READ_SETTINGS_REQUEST__INIT;
    request.client = &version;
    request.reference = (char *)options->image;
    request.n_options = options->given_count;
    request.options = pointers;
    request.n_files = conversation->count;
    request.files = (Stowage__V1__SettingsFile **)conversation->files;
    return daemon_read_settings(options->socket, &request, response, err);
}

// What is not for stowaged, and is on the command line too, where it goes first.
static int take_own(struct options *options, const Stowage__V1__ReadSettingsResponse *response,
                    struct error *err) {
    const char *pull = NULL, *show = NULL;
    for (size_t i = 0; i < response->n_options; i++) {
        const Stowage__V1__Option *option = response->options[i];
        if (strcmp(option->name, "pull") == 0)
            pull = option->value;
        if (strcmp(option->name, "show-digest") == 0)
            show = option->value;
    }
    if (show && strcmp(show, "yes") == 0)
        options->show_digest = true;
    return pull && options->pull == PULL_OF_SITE ? pull_policy_parse(pull, &options->pull, err) : 0;
}

// The strings go from the response to the options, and stay for as long as this process.
static int take_given(struct options *options, Stowage__V1__ReadSettingsResponse *response,
                      struct error *err) {
    size_t count = 0;
    struct given_option given[GIVEN_OPTIONS_MAX];
    for (size_t i = 0; i < response->n_options; i++) {
        Stowage__V1__Option *option = response->options[i];
        if (strcmp(option->name, "pull") == 0 || strcmp(option->name, "show-digest") == 0)
            continue;
        if (count == GIVEN_OPTIONS_MAX)
            return error_set(err, "your settings and the command line hold more than %d options",
                             GIVEN_OPTIONS_MAX);
        given[count].name = strdup(option->name);
        given[count].value = strdup(option->value);
        given[count].origin = strdup(option->origin);
        if (!given[count].name || !given[count].value || !given[count].origin)
            return error_errno(err, "cannot hold the options");
        count++;
    }
    memcpy(options->given, given, count * sizeof *given);
    options->given_count = count;
    return 0;
}

static int take(struct options *options, Stowage__V1__ReadSettingsResponse *response, struct error *err) {
    char *image = strdup(response->reference);
    if (!image)
        return error_errno(err, "cannot hold the name of the image");
    options->image = image;
    return take_own(options, response, err) == 0 ? take_given(options, response, err) : -1;
}

// Asks until stowaged knows all files.
static int converse(struct conversation *conversation, struct options *options, struct error *err) {
    for (int call = 0; call < CALLS_MAX; call++) {
        Stowage__V1__ReadSettingsResponse *response;
        if (ask(conversation, options, &response, err) != 0)
            return -1;
        bool complete = response->n_wanted == 0;
        int result = complete ? take(options, response, err) : 0;
        for (size_t i = 0; i < response->n_wanted && result == 0; i++)
            result = add_environment(conversation, response->wanted[i], err);
        stowage__v1__read_settings_response__free_unpacked(response, NULL);
        if (complete || result != 0)
            return result;
    }
    return error_set(err, "stowaged asks for settings files without end; the administrators must see to it");
}

int apply_settings(struct options *options, const char *home, struct error *err) {
    struct conversation conversation = {0};
    Stowage__V1__SettingsFile *config;
    bool is_named = options->image[0] == '@';
    if (settings_places_find(&conversation.places, home, options->environments, err) != 0 ||
        settings_file_config(&conversation.places, &config, err) != 0)
        return -1;
    if (!config && !is_named)
        return 0;
    if (config)
        conversation.files[conversation.count++] = config;
    int result = is_named ? add_environment(&conversation, options->image + 1, err) : 0;
    if (result == 0)
        result = converse(&conversation, options, err);
    while (conversation.count > 0)
        stowage__v1__settings_file__free_unpacked(conversation.files[--conversation.count], NULL);
    return result;
}
