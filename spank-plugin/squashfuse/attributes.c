#include "attributes.h"

#include <errno.h>
#include <sqfs/xattr.h>
#include <string.h>

// More sets of attributes than that are not looked through beforehand.
enum { SETS_MAX = 4096 };

static const uint32_t NO_ATTRIBUTES = UINT32_MAX;

static bool is_shown(const char *name) {
    return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0;
}

// What to do with each attribute of a set. A result other than 0 ends the walk.
typedef ssize_t visit(void *context, const char *name, const sqfs_xattr_value_t *value);

static ssize_t walk_set(struct reader *reader, uint32_t set, visit *visitor, void *context) {
    sqfs_xattr_id_t description;
    int code = sqfs_xattr_reader_get_desc(reader->attributes, set, &description);
    if (code == 0)
        code = sqfs_xattr_reader_seek_kv(reader->attributes, &description);
    ssize_t result = 0;
    for (uint32_t i = 0; code == 0 && result == 0 && i < description.count; i++) {
        sqfs_xattr_entry_t *key;
        sqfs_xattr_value_t *value;
        code = sqfs_xattr_reader_read_key(reader->attributes, &key);
        if (code != 0)
            break;
        code = sqfs_xattr_reader_read_value(reader->attributes, key, &value);
        if (code == 0) {
            if (is_shown((const char *)key->key))
                result = visitor(context, (const char *)key->key, value);
            sqfs_free(value);
        }
        sqfs_free(key);
    }
    return code == 0 ? result : image_errno(code);
}

static ssize_t walk_inode(struct reader *reader, const sqfs_inode_generic_t *inode, visit *visitor,
                          void *context) {
    uint32_t set = NO_ATTRIBUTES;
    if (!reader->attributes || sqfs_inode_get_xattr_index(inode, &set) != 0 || set == NO_ATTRIBUTES)
        return 0;
    return walk_set(reader, set, visitor, context);
}

static ssize_t found(void *context, const char *name, const sqfs_xattr_value_t *value) {
    (void)context, (void)name, (void)value;
    return 1;
}

bool attributes_any(struct reader *reader) {
    sqfs_xattr_id_t description;
    if (!reader->attributes)
        return false;
    for (uint32_t set = 0; set < SETS_MAX; set++) {
        if (sqfs_xattr_reader_get_desc(reader->attributes, set, &description) != 0)
            return false;
        if (walk_set(reader, set, found, NULL) != 0)
            return true;
    }
    return true;
}

struct names {
    char *text;
    size_t room;
    size_t used;
};

static ssize_t add_name(void *context, const char *name, const sqfs_xattr_value_t *value) {
    struct names *names = context;
    size_t length = strlen(name) + 1;
    (void)value;
    if (names->text) {
        if (length > names->room - names->used)
            return -ERANGE;
        memcpy(names->text + names->used, name, length);
    }
    names->used += length;
    return 0;
}

ssize_t attributes_list(struct reader *reader, const sqfs_inode_generic_t *inode, char *text, size_t size) {
    struct names names = {.text = size > 0 ? text : NULL, .room = size};
    ssize_t result = walk_inode(reader, inode, add_name, &names);
    return result < 0 ? result : (ssize_t)names.used;
}

struct wanted {
    const char *name;
    void *value;
    size_t room;
    size_t size;
};

static ssize_t take_value(void *context, const char *name, const sqfs_xattr_value_t *value) {
    struct wanted *wanted = context;
    if (strcmp(name, wanted->name) != 0)
        return 0;
    if (wanted->room > 0) {
        if (value->size > wanted->room)
            return -ERANGE;
        memcpy(wanted->value, value->value, value->size);
    }
    wanted->size = value->size;
    return 1;
}

ssize_t attribute_get(struct reader *reader, const sqfs_inode_generic_t *inode, const char *name, void *value,
                      size_t size) {
    struct wanted wanted = {.name = name, .value = value, .room = size};
    ssize_t result = walk_inode(reader, inode, take_value, &wanted);
    if (result == 0)
        return -ENODATA;
    return result < 0 ? result : (ssize_t)wanted.size;
}
