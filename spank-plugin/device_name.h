// The grammar of --image-device: qualified names of the Container Device Interface, vendor/class=name,
// or "none", separated by ','
// (https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md).
#pragma once

#include "error.h"

int device_names_check(const char *text, struct error *err);
