#include "show_login.h"
#include "account.h"
#include "cleanup.h"
#include "login/base64.h"
#include "login/find.h"
#include "utf8.h"
#include "wiped_memory.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char *to_json(const struct login *login) {
    cleanup_wiped char *password = malloc(BASE64_SIZE(login->password_bytes));
    if (!password)
        return NULL;
    base64_encode(login->password, login->password_bytes, password);
    // The names of files in the last two may be anything.
    const char *source = utf8_is_valid(login->source) ? login->source : "";
    const char *problem =
        utf8_is_valid(login->problem.text) ? login->problem.text : "your logins cannot be read";
    json_t *object =
        json_pack("{ss ss ss ss ss}", "username", login->username ? login->username : "", "password",
                  password, "identity_token", login->identity_token ? login->identity_token : "", "source",
                  source, "problem", problem);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(object);
    return text;
}

static int print(const struct login *login, struct error *err) {
    cleanup_wiped char *text = to_json(login);
    if (!text)
        return error_set(err, "cannot put the login into JSON");
    size_t length = strlen(text);
    for (size_t sent = 0; sent < length;) {
        ssize_t written = write(STDOUT_FILENO, text + sent, length - sent);
        if (written < 0 && errno != EINTR)
            return error_errno(err, "cannot write the login");
        sent += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int show_login(const struct options *options, struct error *err) {
    struct stat info;
    struct account account;
    struct login login;
    if (fstat(STDOUT_FILENO, &info) != 0 || (!S_ISFIFO(info.st_mode) && !S_ISSOCK(info.st_mode)))
        return error_set(err, "--login writes a password, and only into a pipe");
    if (account_read(&account, err) != 0)
        return -1;
    json_set_alloc_funcs(malloc, wiped_free);
    login_find(options->login, options->repository, account.home, &login);
    if (login.remark.text[0] != '\0')
        fprintf(stderr, "stowage: %s\n", login.remark.text);
    int result = print(&login, err);
    login_release(&login);
    account_release(&account);
    return result;
}
