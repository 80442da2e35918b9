// Shape of an image's name in a registry, checked before a job is queued.
#pragma once

#include "error.h"

// Longest reference that is looked at, in bytes.
enum { REFERENCE_MAX = 4096 };

// Accepts what the grammar of docker and podman accepts:
//   [registry[:port]/]path[/path…][:tag][@algorithm:hex]
// (https://pkg.go.dev/github.com/distribution/reference), with docker:// or docker: in front if need be, and
// with '#' behind the registry instead of '/'. Only the shape: whether the image exists is for the node's
// daemon to find out. Fails with the reason and the remedy; a password in the text is not repeated.
int reference_check(const char *text, struct error *err);
