/* The environment: where the cache is, and whether tokens are renewed behind the answer. */

#include "front.h"

#include <string.h>
#include <strings.h>

extern char **environ;

/* Return the value of a variable, or NULL.  Not getenv: Python takes the first of two that have one
   name, and knows the variable without a name. */
const char *
variable(const char *name, size_t length)
{
    if (environ == NULL || (length && (memchr(name, '=', length) || memchr(name, '\0', length)))) {
        return NULL;
    }
    for (char **entry = environ; *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

static const char *
named(const char *name)
{
    const char *value = variable(name, strlen(name));

    return value == NULL ? "" : value;
}

bool
append(char *path, size_t *length, size_t limit, const char *more, size_t size)
{
    if (size >= limit - *length) {
        return false;
    }
    memcpy(path + *length, more, size);
    *length += size;
    path[*length] = '\0';
    return true;
}

static bool
append_home(char *path, size_t *length, size_t limit, const char **reason)
{
    const char *home = named("HOME");
    size_t size = strlen(home);

    if (home[0] != '/') {
        *reason = "HOME is not an absolute path";
        return false;
    }
    while (size && home[size - 1] == '/') {
        size--;
    }
    return append(path, length, limit, home, size);
}

/* Set path to the cache's directory, as cache.directory does. */
bool
cache_directory(char *path, size_t limit, const char **reason)
{
#ifdef __APPLE__
    static const char below_home[] = "/Library/Caches";
#else
    static const char below_home[] = "/.cache";
#endif
    const char *chosen = named("AWS_ECR_CACHE_DIR");
    const char *base = named("XDG_CACHE_HOME");
    size_t length = 0;

    *reason = "the cache's path is too long";
    if (named("AWS_ECR_DISABLE_CACHE")[0] != '\0') {
        *reason = "the cache is switched off";
        return false;
    }
    if (chosen[0] == '~' && (chosen[1] == '/' || chosen[1] == '\0')) {
        if (!append_home(path, &length, limit, reason)) {
            return false;
        }
        chosen++;
        if (length == 0 && chosen[0] == '\0') {
            chosen = "/";
        }
    }
    else if (chosen[0] != '\0' && chosen[0] != '/') {
        *reason = "AWS_ECR_CACHE_DIR is not an absolute path";
        return false;
    }
    if (chosen[0] != '\0' || length > 0) {
        return append(path, &length, limit, chosen, strlen(chosen));
    }
    if (base[0] == '/') {
        if (!append(path, &length, limit, base, strlen(base))) {
            return false;
        }
    }
    else if (!append_home(path, &length, limit, reason)
             || !append(path, &length, limit, below_home, strlen(below_home))) {
        return false;
    }
    return append(path, &length, limit, "/" PROGRAM, strlen("/" PROGRAM));
}

bool
renews_behind(void)
{
    const char *value = named("AWS_ECR_BACKGROUND_REFRESH");

    return strcasecmp(value, "false") && strcasecmp(value, "0") && strcasecmp(value, "no")
           && strcasecmp(value, "off");
}
