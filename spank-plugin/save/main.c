// stowage-save DIRECTORY WHAT: writes what is in the directory as an OCI image, a layout in a tar archive, to
// standard output, a file that can be sought in. Standard input has the image's configuration but for
// "rootfs" and "history". WHAT begins the sentence for a failure. Started by stowage-enter with the
// privileges to read every file of the user, whatever its mode.
#include "config.h"
#include "error.h"
#include "layer.h"
#include "outer.h"

#include <locale.h>
#include <stdio.h>

static int save(const char *directory, struct error *err) {
    struct outer outer;
    struct digest layer, config, manifest;
    if (outer_open(&outer, 1, err) != 0 || outer_begin_blob(&outer, err) != 0 ||
        layer_write(&outer, directory, err) != 0 || outer_end_blob(&outer, &layer, err) != 0)
        return -1;
    char *text = config_read(stdin, &layer, err);
    if (!text || outer_blob(&outer, text, &config, err) != 0)
        return -1;
    text = config_manifest(&config, &layer, err);
    if (!text || outer_blob(&outer, text, &manifest, err) != 0)
        return -1;
    text = config_index(&manifest, err);
    if (!text || outer_member(&outer, "index.json", text, err) != 0 ||
        outer_member(&outer, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err) != 0)
        return -1;
    return outer_close(&outer, err);
}

int main(int argc, char **argv) {
    struct error err;
    if (argc != 3) {
        fputs("stowage-save is started by stowage-enter\n", stderr);
        return 2;
    }
    // Without it, libarchive takes names for ASCII.
    setlocale(LC_CTYPE, "C.UTF-8");
    if (save(argv[1], &err) == 0)
        return 0;
    error_wrap(&err, "stowage: %s", argv[2]);
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
