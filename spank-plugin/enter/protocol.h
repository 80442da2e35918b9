// What stowage-enter says of itself to stowaged.
#pragma once

enum { PROTOCOL_VERSION = 5 };

#ifndef SOFTWARE_VERSION
#error "SOFTWARE_VERSION comes from package.json, see the Makefile"
#endif
