/* The Python program that pip installs beside the front, under the same name with .py behind it. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#else
#include <sys/auxv.h>
#include <sys/mman.h>
#endif

/* Set path to the front's own file, links followed. */
static bool
own_path(char path[PATH_MAX])
{
#ifdef __APPLE__
    char name[PATH_MAX];
    uint32_t size = sizeof name;

    return _NSGetExecutablePath(name, &size) == 0 && realpath(name, path) != NULL;
#else
    /* As the kernel was given it: /proc may be missing. */
    const char *name = (const char *)getauxval(AT_EXECFN);

    return name != NULL && realpath(name, path) != NULL;
#endif
}

/* Put what was read of stdin back in front of it; there is no more that Python would read. */
static bool
replay(Text request)
{
#ifdef __APPLE__
    int ends[2];  /* a pipe there takes 16 KiB, far more than a server URL */

    if (pipe(ends) < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
        return false;
    }
    bool is_whole = write(ends[1], request.start, request.length) == (ssize_t)request.length;
    close(ends[1]);
    int source = ends[0];
#else
    int source = memfd_create("request", MFD_CLOEXEC);

    if (source < 0) {
        return false;
    }
    bool is_whole = write(source, request.start, request.length) == (ssize_t)request.length
                    && lseek(source, 0, SEEK_SET) == 0;
#endif
    is_whole = is_whole && dup2(source, 0) == 0;
    close(source);
    return is_whole;
}

/* Become the Python program.  Returns only if that failed, with the exit code. */
int
go_on(int argc, char **argv, Text request, bool was_read)
{
    char path[PATH_MAX];

    (void)argc;
    if (was_read && !replay(request)) {
        fprintf(stderr, PROGRAM ": error: the request cannot be handed on: \"%s\"\n",
                strerror(errno));
        return 1;
    }
    if (own_path(path)) {
        size_t length = strlen(path);

        if (append(path, &length, sizeof path, ".py", strlen(".py"))) {
            execv(path, argv);
        }
    }
    fprintf(stderr,
            PROGRAM ": error: the Python program beside it cannot be started: \"%s\"\n" PROGRAM
                    ": hint: install it anew: pip install --force-reinstall " PROGRAM "\n",
            strerror(errno));
    return 1;
}
