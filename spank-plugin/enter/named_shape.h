// What a container that runs cannot be made otherwise: its mounts, namespaces and devices.
#pragma once

#include "error.h"
#include "named_record.h"
#include "options.h"

// Fills record->options. The text is the record's.
int named_shape_describe(const struct options *options, struct named_record *record, struct error *err);

// Makes the step's options those of the container where they shape it. Fails for one that was given and is
// not the container's, unless it is what pyxis takes for granted.
int named_shape_adopt(const struct named_record *record, struct options *options, struct error *err);
