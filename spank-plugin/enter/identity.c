#include "identity.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int malformed(struct error *err, const char *record) {
    return error_set(err,
                     "stowage-unpack says '%.100s' of a file, which stowage-enter does not understand; the "
                     "administrators must install the same release of both",
                     record);
}

static int parse_number(const char *text, const char **end, uint64_t *number) {
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (INT64_MAX - digit) / 10)
            return -1;
        value = value * 10 + digit;
    }
    if (at == text)
        return -1;
    *end = at;
    *number = value;
    return 0;
}

// "OFFSET SIZE NAME"
static int parse_member(struct identity *identity, const char *text) {
    struct archive_member member;
    if (identity->member_count == IDENTITY_MEMBERS_MAX ||
        parse_number(text, &text, &member.offset_bytes) != 0 || *text++ != ' ' ||
        parse_number(text, &text, &member.size_bytes) != 0 || *text++ != ' ' || *text == '\0')
        return -1;
    member.name = text;
    struct archive_member *grown =
        realloc(identity->members, (identity->member_count + 1) * sizeof *identity->members);
    if (!grown)
        return -1;
    identity->members = grown;
    grown[identity->member_count++] = member;
    return 0;
}

static const char *value_of(const char *record, const char *key) {
    size_t length = strlen(key);
    return strncmp(record, key, length) == 0 && record[length] == '=' ? record + length + 1 : NULL;
}

static int parse_record(struct identity *identity, const char *record) {
    const char *value, *end;
    if ((value = value_of(record, "kind")))
        identity->kind = value;
    else if ((value = value_of(record, "digest")))
        identity->digest = value;
    else if ((value = value_of(record, "architecture")))
        identity->architecture = value;
    else if ((value = value_of(record, "size")))
        return parse_number(value, &end, &identity->size_bytes) == 0 && *end == '\0' ? 0 : -1;
    else if ((value = value_of(record, "member")))
        return parse_member(identity, value);
    return 0;
}

static bool is_whole(const struct identity *identity) {
    static const char *const KINDS[] = {"archive", "tar", "cpio", "squashfs", "sif"};
    bool known = false;
    for (size_t i = 0; identity->kind && i < sizeof KINDS / sizeof *KINDS; i++)
        known = known || strcmp(identity->kind, KINDS[i]) == 0;
    return known && (identity_is_archive(identity) ||
                     (identity->digest && strlen(identity->digest) < IDENTITY_TEXT_MAX));
}

int identity_parse(struct identity *identity, const char *records, size_t length, struct error *err) {
    struct identity parsed = {.records = malloc(length + 1), .records_bytes = length};
    if (!parsed.records)
        return error_errno(err, "cannot hold what a file is");
    memcpy(parsed.records, records, length);
    parsed.records[length] = '\0';
    if (length == 0 || records[length - 1] != '\0') {
        identity_release(&parsed);
        return malformed(err, "");
    }
    for (const char *at = parsed.records; at < parsed.records + length; at += strlen(at) + 1) {
        if (parse_record(&parsed, at) != 0) {
            malformed(err, at);
            identity_release(&parsed);
            return -1;
        }
    }
    if (!is_whole(&parsed)) {
        malformed(err, parsed.records);
        identity_release(&parsed);
        return -1;
    }
    *identity = parsed;
    return 0;
}

void identity_release(struct identity *identity) {
    free(identity->members);
    free(identity->records);
    *identity = (struct identity){0};
}

bool identity_is_archive(const struct identity *identity) {
    return identity->kind && strcmp(identity->kind, "archive") == 0;
}

const struct archive_member *identity_member(const struct identity *identity, const char *name) {
    for (size_t i = 0; i < identity->member_count; i++) {
        if (strcmp(identity->members[i].name, name) == 0)
            return &identity->members[i];
    }
    return NULL;
}
