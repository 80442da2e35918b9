// Whose options they are: our own, or those of a plugin that Stowage stands in for, which compat= in
// plugstack.conf asks for. All of them end in the one table of option_rules.h.
#pragma once

enum dialect {
    DIALECT_STOWAGE,
    DIALECT_PYXIS,
    DIALECT_SHIFTER,
    DIALECT_COUNT,
};
