/* The environment: where the cache is, and whether tokens are renewed behind the answer. */

#include "front.h"

#include <string.h>
#include <strings.h>

/* Return the value of a variable, or NULL.  Not getenv: Python takes the first of two that have one
   name, and knows the variable without a name. */
const char *
variable(const char *name, size_t length)
{
    if (environ == NULL || (length && (memchr(name, '=', length) || memchr(name, '\0', length)))) {
        return NULL;
    }
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t same = 0;

        while (same < length && (*entry)[same] == name[same]) {
            same++;
        }
        if (same == length && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

const char *
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

/* Set path to the cache's directory, as cache.directory does.  Return NULL, or why there is none. */
const char *
cache_directory(char *path, size_t limit)
{
#ifdef __APPLE__
    static const char below_home[] = "/Library/Caches";
#else
    static const char below_home[] = "/.cache";
#endif
    const char *chosen = named("AWS_ECR_CACHE_DIR"), *end = "";
    const char *home = named("HOME");
    size_t length = 0, size = strlen(home);
    bool is_below_home = chosen[0] == '~' && (chosen[1] == '/' || chosen[1] == '\0');

    if (named("AWS_ECR_DISABLE_CACHE")[0] != '\0') {
        return "the cache is switched off";
    }
    if (is_below_home) {
        chosen++;
    }
    else if (chosen[0] == '\0') {
        chosen = named("XDG_CACHE_HOME");
        is_below_home = chosen[0] != '/';
        chosen = is_below_home ? below_home : chosen;
        end = "/" PROGRAM;
    }
    if ((is_below_home ? home : chosen)[0] != '/') {
        return is_below_home ? "HOME is not an absolute path"
                             : "AWS_ECR_CACHE_DIR is not an absolute path";
    }
    while (size && home[size - 1] == '/') {
        size--;
    }
    if (is_below_home && size == 0 && chosen[0] == '\0') {
        chosen = "/";
    }
    return append(path, &length, limit, home, is_below_home ? size : 0)
                   && append(path, &length, limit, chosen, strlen(chosen))
                   && append(path, &length, limit, end, strlen(end))
               ? NULL
               : "the cache's path is too long";
}

bool
renews_behind(void)
{
    const char *value = named("AWS_ECR_BACKGROUND_REFRESH");

    return strcasecmp(value, "false") && strcasecmp(value, "0") && strcasecmp(value, "no")
           && strcasecmp(value, "off");
}
