/* Linked before the C library with --wrap: of the calls that the front makes, the one whose
   number is in the file FAIL_FILE fails, and the file goes. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static bool
fails(void)
{
    static _Atomic long calls;
    static long at = -1;
    const char *name = getenv("FAIL_FILE");

    if (at < 0) {
        FILE *file = fopen(name, "r");
        at = file != NULL && fscanf(file, "%ld", &at) == 1 ? at : 0;
        if (file != NULL) {
            fclose(file);
        }
    }
    if (++calls != at) {
        return false;
    }
    unlink(name);
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
WRAP(int, -1, openat, (int within, const char *path, int flags, mode_t mode),
     (within, path, flags, mode))
WRAP(int, -1, fstat, (int descriptor, struct stat *state), (descriptor, state))
WRAP(int, -1, stat, (const char *path, struct stat *state), (path, state))
WRAP(int, -1, fstatat, (int in, const char *path, struct stat *state, int flags),
     (in, path, state, flags))
WRAP(ssize_t, -1, read, (int descriptor, void *data, size_t size), (descriptor, data, size))
WRAP(ssize_t, -1, write, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRAP(long, -1, syscall, (long number, long a, long b, long c, long d), (number, a, b, c, d))
WRAP(int, -1, close, (int descriptor), (descriptor))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(off_t, -1, lseek, (int descriptor, off_t offset, int whence), (descriptor, offset, whence))
WRAP(int, -1, dup2, (int from, int to), (from, to))
WRAP(char *, NULL, realpath, (const char *path, char *into), (path, into))
WRAP(int, -1, execv, (const char *path, char *const *argv), (path, argv))
WRAP(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, -1, mkdirat, (int within, const char *path, mode_t mode), (within, path, mode))
WRAP(int, -1, flock, (int descriptor, int how), (descriptor, how))
WRAP(int, -1, ftruncate, (int descriptor, off_t size), (descriptor, size))
WRAP(ssize_t, -1, pread, (int descriptor, void *data, size_t size, off_t offset),
     (descriptor, data, size, offset))
WRAP(int, -1, futimens, (int descriptor, const struct timespec times[2]), (descriptor, times))
WRAP(int, -1, unlinkat, (int within, const char *path, int flags), (within, path, flags))
WRAP(int, -1, setitimer, (int which, const struct itimerval *new, struct itimerval *old),
     (which, new, old))
WRAP(int, -1, poll, (struct pollfd *streams, nfds_t count, int limit), (streams, count, limit))
WRAP(int, -1, pipe, (int ends[2]), (ends))
WRAP(int, EAGAIN, pthread_create,
     (pthread_t *thread, const pthread_attr_t *how, void *(*what)(void *), void *with),
     (thread, how, what, with))
WRAP(int, -1, getentropy, (void *data, size_t size), (data, size))
WRAP(pid_t, -1, fork, (void), ())
WRAP(pid_t, -1, setsid, (void), ())
