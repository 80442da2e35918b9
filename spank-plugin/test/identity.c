#include "enter/identity.h"
#include "tap.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char SIF[] =
    "kind=sif\0digest=" DIGEST "\0size=12345\0offset=4096\0length=8192\0architecture=amd64";
static const char ARCHIVE[] = "kind=archive\0member=512 10 manifest.json\0member=2048 0 a b=c\0later=1";

static const struct {
    const char *claim;
    const char *records;
    size_t length;
} BAD[] = {
    {"refuses nothing", "", 0},
    {"refuses an empty record", "", 1},
    {"refuses a record that does not end", "kind=archive", 12},
    {"refuses records without a kind", "size=1", 7},
    {"refuses an unknown kind", "kind=ext3\0digest=" DIGEST, 89},
    {"refuses a file without a digest", "kind=tar\0size=1", 16},
    {"refuses a size that is none", "kind=archive\0size=1x", 21},
    {"refuses a negative size", "kind=archive\0size=-1", 21},
    {"refuses a size above 2^63", "kind=archive\0size=9223372036854775808", 38},
    {"refuses a member without a name", "kind=archive\0member=1 2 ", 25},
    {"refuses a member without a size", "kind=archive\0member=1 name", 27},
    {"refuses a member without a place", "kind=archive\0member= 2 name", 28},
};

static void reads_a_root_file_system(void) {
    struct identity identity;
    struct error err;
    ok(identity_parse(&identity, SIF, sizeof SIF, &err) == 0, "reads a root file system");
    is_text(identity.kind, "sif", "its kind");
    is_text(identity.digest, DIGEST, "its digest");
    is_text(identity.architecture, "amd64", "its architecture");
    ok(identity.size_bytes == 12345, "its size");
    ok(!identity_is_archive(&identity), "it is no archive");
    ok(identity.records_bytes == sizeof SIF && memcmp(identity.records, SIF, sizeof SIF) == 0,
       "keeps the records for the next time");
    identity_release(&identity);
}

static void reads_an_archive(void) {
    struct identity identity;
    struct error err;
    ok(identity_parse(&identity, ARCHIVE, sizeof ARCHIVE, &err) == 0,
       "reads an archive, unknown keys or not");
    ok(identity_is_archive(&identity), "it is one");
    const struct archive_member *first = identity_member(&identity, "manifest.json");
    ok(first && first->offset_bytes == 512 && first->size_bytes == 10, "knows where a member is");
    ok(identity_member(&identity, "a b=c") != NULL, "takes names with spaces");
    ok(identity_member(&identity, "manifest.jso") == NULL, "knows no half of a name");
    identity_release(&identity);
}

int main(void) {
    reads_a_root_file_system();
    reads_an_archive();
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct identity identity = {.kind = "untouched"};
        struct error err = {.text = ""};
        if (ok(identity_parse(&identity, BAD[i].records, BAD[i].length, &err) == -1, "%s", BAD[i].claim)) {
            says(err.text, "the same release of both", "with the remedy");
            is_text(identity.kind, "untouched", "and leaves the result alone");
        }
    }
    return tap_done();
}
