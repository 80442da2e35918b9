// How registries are called in the files where users keep logins.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Whether `name` is how a login file may call the host of `registry`, "localhost:5000". Docker Hub has
// several names, and all of them mean "docker.io".
bool registry_is_called(const char *registry, const char *name, size_t length);

// How well `key` of the auths in containers-auth.json(5) or docker's config.json fits an image: 0 not at all;
// the more it says, the more. "registry/namespace" is better than "registry", and a plain name better than
// docker's older "https://registry/v1/".
unsigned registry_key_fit(const char *key, const char *registry, const char *repository);
