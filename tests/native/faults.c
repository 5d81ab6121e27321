/* Linked before the C library with --wrap: of the calls that the front makes, the one that FAIL_AT
   counts to fails. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool
fails(void)
{
    static long calls;
    const char *at = getenv("FAIL_AT");

    calls++;
    if (at == NULL || strtol(at, NULL, 10) != calls) {
        return false;
    }
    errno = EIO;
    return true;
}

#define WRAP(type, failure, name, parameters, arguments) \
    type __real_##name parameters;                       \
    type __wrap_##name parameters;                       \
    type __wrap_##name parameters                        \
    {                                                    \
        return fails() ? (failure) : __real_##name arguments; \
    }

WRAP(int, -1, open, (const char *path, int flags), (path, flags))
WRAP(int, -1, openat, (int within, const char *path, int flags), (within, path, flags))
WRAP(int, -1, fstat, (int descriptor, struct stat *state), (descriptor, state))
WRAP(int, -1, stat, (const char *path, struct stat *state), (path, state))
WRAP(int, -1, fstatat, (int in, const char *path, struct stat *state, int flags),
     (in, path, state, flags))
WRAP(ssize_t, -1, read, (int descriptor, void *data, size_t size), (descriptor, data, size))
WRAP(ssize_t, -1, write, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRAP(DIR *, NULL, fdopendir, (int descriptor), (descriptor))
WRAP(struct dirent *, NULL, readdir, (DIR *names), (names))
WRAP(int, -1, close, (int descriptor), (descriptor))
WRAP(int, -1, closedir, (DIR *names), (names))
WRAP(int, -1, clock_gettime, (clockid_t clock, struct timespec *time), (clock, time))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(off_t, -1, lseek, (int descriptor, off_t offset, int whence), (descriptor, offset, whence))
WRAP(int, -1, dup2, (int from, int to), (from, to))
WRAP(char *, NULL, realpath, (const char *path, char *into), (path, into))
WRAP(int, -1, execv, (const char *path, char *const *argv), (path, argv))
