/* Faults at the n-th call: a library to be preloaded (LD_PRELOAD, ld.so(8)).
 *
 * It numbers the calls of a program, and of the programs that it starts, which touch a disk below
 * one directory, its own pipes, or a process or a thread; at the n-th of them something goes wrong.
 * Model: curl's torture tests. The environment says what:
 *
 *   FAULT_STATE  a file of at least 8 bytes: the number of the last call, shared by all processes
 *   FAULT_LOG    a file to which each call is added: "12 open /home/me/x"; "!" before the one that
 *                went wrong
 *   FAULT_BELOW  the directory
 *   FAULT_AT     n, from 1; 0 or nothing only records
 *   FAULT_DO     "errno 5", "short" (a read or write of less), "delay 100" (milliseconds), "kill"
 *
 * Calls that glibc makes within itself do not come by here: fopen(3), what posix_spawn(3) does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING, FAIL, SHORT };

static const char *below;
static size_t below_length;
static long at;
static const char *log_path;
static _Atomic long *count;

/* Where the interpreter looks for modules of the user's: not ours to fail. */
static const char not_ours[] = "/.local/lib/";

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* Raw calls: what is done here must not come by here. */
static long raw_open(const char *path, int flags)
{
    return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void begin(void)
{
    const char *state = getenv("FAULT_STATE"), *n = getenv("FAULT_AT");
    below = getenv("FAULT_BELOW");
    log_path = getenv("FAULT_LOG");
    if (state == NULL || below == NULL)
        return;
    long file = raw_open(state, O_RDWR);
    void *place = file < 0 ? MAP_FAILED
                           : mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, (int)file, 0);
    if (place == MAP_FAILED)
        abort();
    syscall(SYS_close, file);
    at = n == NULL ? 0 : atol(n);
    below_length = strlen(below);
    count = place;
}

static bool is_below(const char *path)
{
    return strncmp(path, below, below_length) == 0 &&
           (path[below_length] == '/' || path[below_length] == '\0') &&
           strstr(path, not_ours) == NULL;
}

/* Count one call of `kind`; carry out what is asked for at this one. */
static int pass(const char *kind, const char *path)
{
    if (count == NULL)
        return NOTHING;
    int saved = errno, verdict = NOTHING;
    long number = atomic_fetch_add(count, 1) + 1;
    bool now = number == at;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s%ld %s %s\n", now ? "!" : "", number, kind, path);
    if (length > 0 && log_path != NULL) {
        if ((size_t)length >= sizeof line)
            length = (int)sizeof line - 1;
        /* Opened each time: a program that closes all it did not open would close this, too. */
        long file = raw_open(log_path, O_WRONLY | O_APPEND);
        syscall(SYS_write, file, line, (size_t)length);
        syscall(SYS_close, file);
    }
    const char *what = now ? getenv("FAULT_DO") : NULL;
    if (what != NULL) {
        if (strcmp(what, "kill") == 0)
            syscall(SYS_kill, getpid(), SIGKILL);
        if (strncmp(what, "delay ", 6) == 0) {
            long ms = atol(what + 6);
            struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
            nanosleep(&wait, NULL);
        }
        if (strcmp(what, "short") == 0)
            verdict = SHORT;
        if (strncmp(what, "errno ", 6) == 0) {
            verdict = FAIL;
            saved = atoi(what + 6);
        }
    }
    errno = saved;
    return verdict;
}

/* The path behind a descriptor: below the directory, or a pipe that is a standard stream. */
static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return true;
}

static int pass_file(const char *kind, int fd, bool streams)
{
    int saved = errno;
    char path[PATH_MAX];
    static const char *const names[] = {"<stdin>", "<stdout>", "<stderr>"};
    if (count == NULL || !path_of(fd, path)) {
        errno = saved;
        return NOTHING;
    }
    errno = saved;
    if (streams && fd >= 0 && fd <= 2 && strncmp(path, "pipe:", 5) == 0)
        return pass(kind, names[fd]);
    return is_below(path) ? pass(kind, path) : NOTHING;
}

static int pass_path(const char *kind, int directory, const char *path)
{
    if (count == NULL)
        return NOTHING;
    if (path == NULL || *path == '\0')
        return pass_file(kind, directory, false);
    if (*path == '/')
        return is_below(path) ? pass(kind, path) : NOTHING;
    int saved = errno;
    char whole[2 * PATH_MAX], folder[PATH_MAX];
    bool known;
    if (directory == AT_FDCWD)
        known = syscall(SYS_getcwd, folder, sizeof folder) > 0;
    else
        known = path_of(directory, folder);
    errno = saved;
    if (!known)
        return NOTHING;
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    return is_below(whole) ? pass(kind, whole) : NOTHING;
}

/* TYPE NAME(...): by path (in DIRECTORY), by descriptor, or of a process. */
#define REAL(type, name, parameters) \
    static type(*real) parameters;   \
    if (real == NULL)                \
    real = (type(*) parameters)next(#name)
#define BY_PATH(type, bad, kind, name, parameters, arguments, directory, path) \
    type name parameters                                                      \
    {                                                                         \
        REAL(type, name, parameters);                                         \
        return pass_path(kind, directory, path) == FAIL ? bad : real arguments; \
    }
#define BY_FILE(type, bad, kind, name, parameters, arguments, fd)        \
    type name parameters                                                 \
    {                                                                    \
        REAL(type, name, parameters);                                    \
        return pass_file(kind, fd, false) == FAIL ? bad : real arguments; \
    }

#define OPEN(name)                                                          \
    int name(const char *path, int flags, ...)                              \
    {                                                                       \
        REAL(int, name, (const char *, int, ...));                          \
        va_list rest;                                                       \
        va_start(rest, flags);                                              \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        const char *kind = flags & O_CREAT ? "create" : "open";             \
        return pass_path(kind, AT_FDCWD, path) == FAIL ? -1 : real(path, flags, mode); \
    }
#define OPENAT(name)                                                        \
    int name(int directory, const char *path, int flags, ...)               \
    {                                                                       \
        REAL(int, name, (int, const char *, int, ...));                     \
        va_list rest;                                                       \
        va_start(rest, flags);                                              \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        const char *kind = flags & O_CREAT ? "create" : "open";             \
        return pass_path(kind, directory, path) == FAIL ? -1 : real(directory, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int fd, void *data, size_t size)
{
    REAL(ssize_t, read, (int, void *, size_t));
    int verdict = pass_file("read", fd, true);
    if (verdict == FAIL)
        return -1;
    if (verdict == SHORT && size > 16) /* Less than any file has: half a buffer may be all of it. */
        size = 16;
    return real(fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, (int, const void *, size_t));
    int verdict = pass_file("write", fd, true);
    if (verdict == SHORT && size > 1)
        size /= 2;
    return verdict == FAIL ? -1 : real(fd, data, size);
}

/* The descriptor is gone all the same, as on Linux (close(2)). */
int close(int fd)
{
    REAL(int, close, (int));
    bool fails = pass_file("close", fd, false) == FAIL;
    int saved = errno, done = real(fd);
    if (fails)
        errno = saved;
    return fails ? -1 : done;
}

BY_FILE(ssize_t, -1, "read", pread64, (int f, void *d, size_t n, off64_t o), (f, d, n, o), f)
BY_FILE(ssize_t, -1, "write", pwrite64, (int f, const void *d, size_t n, off64_t o), (f, d, n, o), f)
BY_FILE(int, -1, "fsync", fsync, (int f), (f), f)
BY_FILE(int, -1, "fsync", fdatasync, (int f), (f), f)
BY_FILE(int, -1, "truncate", ftruncate, (int f, off_t n), (f, n), f)
BY_FILE(int, -1, "truncate", ftruncate64, (int f, off64_t n), (f, n), f)
BY_FILE(int, -1, "stat", fstat, (int f, struct stat *s), (f, s), f)
BY_FILE(int, -1, "stat", fstat64, (int f, struct stat64 *s), (f, s), f)
BY_FILE(int, -1, "chmod", fchmod, (int f, mode_t m), (f, m), f)
BY_FILE(int, -1, "chmod", fchown, (int f, uid_t u, gid_t g), (f, u, g), f)
BY_FILE(int, -1, "utime", futimens, (int f, const struct timespec t[2]), (f, t), f)
BY_FILE(int, -1, "flock", flock, (int f, int how), (f, how), f)
BY_FILE(ssize_t, -1, "xattr", fgetxattr, (int f, const char *k, void *v, size_t n), (f, k, v, n), f)
BY_FILE(ssize_t, -1, "xattr", flistxattr, (int f, char *v, size_t n), (f, v, n), f)
BY_FILE(int, -1, "xattr", fsetxattr, (int f, const char *k, const void *v, size_t n, int h), (f, k, v, n, h), f)
BY_FILE(DIR *, NULL, "opendir", fdopendir, (int f), (f), f)
BY_FILE(struct dirent *, NULL, "readdir", readdir, (DIR *d), (d), dirfd(d))
BY_FILE(struct dirent64 *, NULL, "readdir", readdir64, (DIR *d), (d), dirfd(d))

BY_PATH(DIR *, NULL, "opendir", opendir, (const char *p), (p), AT_FDCWD, p)
BY_PATH(int, -1, "stat", stat, (const char *p, struct stat *s), (p, s), AT_FDCWD, p)
BY_PATH(int, -1, "stat", stat64, (const char *p, struct stat64 *s), (p, s), AT_FDCWD, p)
BY_PATH(int, -1, "stat", lstat, (const char *p, struct stat *s), (p, s), AT_FDCWD, p)
BY_PATH(int, -1, "stat", lstat64, (const char *p, struct stat64 *s), (p, s), AT_FDCWD, p)
BY_PATH(int, -1, "stat", fstatat, (int d, const char *p, struct stat *s, int h), (d, p, s, h), d, p)
BY_PATH(int, -1, "stat", fstatat64, (int d, const char *p, struct stat64 *s, int h), (d, p, s, h), d, p)
BY_PATH(int, -1, "stat", statx, (int d, const char *p, int h, unsigned m, struct statx *s), (d, p, h, m, s), d, p)
BY_PATH(int, -1, "stat", access, (const char *p, int m), (p, m), AT_FDCWD, p)
BY_PATH(int, -1, "stat", faccessat, (int d, const char *p, int m, int h), (d, p, m, h), d, p)
BY_PATH(ssize_t, -1, "stat", readlink, (const char *p, char *b, size_t n), (p, b, n), AT_FDCWD, p)
BY_PATH(ssize_t, -1, "stat", readlinkat, (int d, const char *p, char *b, size_t n), (d, p, b, n), d, p)
BY_PATH(int, -1, "mkdir", mkdir, (const char *p, mode_t m), (p, m), AT_FDCWD, p)
BY_PATH(int, -1, "mkdir", mkdirat, (int d, const char *p, mode_t m), (d, p, m), d, p)
BY_PATH(int, -1, "unlink", unlink, (const char *p), (p), AT_FDCWD, p)
BY_PATH(int, -1, "unlink", unlinkat, (int d, const char *p, int h), (d, p, h), d, p)
BY_PATH(int, -1, "unlink", rmdir, (const char *p), (p), AT_FDCWD, p)
BY_PATH(int, -1, "rename", rename, (const char *p, const char *q), (p, q), AT_FDCWD, q)
BY_PATH(int, -1, "rename", renameat, (int d, const char *p, int e, const char *q), (d, p, e, q), e, q)
BY_PATH(int, -1, "rename", link, (const char *p, const char *q), (p, q), AT_FDCWD, q)
BY_PATH(int, -1, "rename", linkat, (int d, const char *p, int e, const char *q, int h), (d, p, e, q, h), e, q)
BY_PATH(int, -1, "chmod", chmod, (const char *p, mode_t m), (p, m), AT_FDCWD, p)
BY_PATH(int, -1, "chmod", fchmodat, (int d, const char *p, mode_t m, int h), (d, p, m, h), d, p)
BY_PATH(int, -1, "chmod", chown, (const char *p, uid_t u, gid_t g), (p, u, g), AT_FDCWD, p)
BY_PATH(int, -1, "chmod", fchownat, (int d, const char *p, uid_t u, gid_t g, int h), (d, p, u, g, h), d, p)
BY_PATH(int, -1, "utime", utimensat, (int d, const char *p, const struct timespec t[2], int h), (d, p, t, h), d, p)
BY_PATH(ssize_t, -1, "xattr", getxattr, (const char *p, const char *k, void *v, size_t n), (p, k, v, n), AT_FDCWD, p)
BY_PATH(ssize_t, -1, "xattr", listxattr, (const char *p, char *v, size_t n), (p, v, n), AT_FDCWD, p)

pid_t fork(void)
{
    REAL(pid_t, fork, (void));
    return pass("fork", "") == FAIL ? -1 : real();
}

/* A function that returns in the child cannot stand before vfork(2): fork(2) does as well. */
pid_t vfork(void)
{
    return fork();
}

int execve(const char *path, char *const argv[], char *const environment[])
{
    REAL(int, execve, (const char *, char *const[], char *const[]));
    return pass("exec", path) == FAIL ? -1 : real(path, argv, environment);
}

int execv(const char *path, char *const argv[])
{
    REAL(int, execv, (const char *, char *const[]));
    return pass("exec", path) == FAIL ? -1 : real(path, argv);
}

/* These return the number of the error. */
#define SPAWN(name)                                                                         \
    int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,      \
             const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]) \
    {                                                                                       \
        REAL(int, name, (pid_t *, const char *, const posix_spawn_file_actions_t *,        \
                         const posix_spawnattr_t *, char *const[], char *const[]));         \
        int saved = errno;                                                                  \
        if (pass("spawn", path) == FAIL) {                                                  \
            int error = errno;                                                              \
            errno = saved;                                                                  \
            return error;                                                                   \
        }                                                                                   \
        return real(pid, path, actions, attributes, argv, environment);                     \
    }
SPAWN(posix_spawn)
SPAWN(posix_spawnp)

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *));
    int saved = errno;
    if (pass("thread", "") == FAIL) {
        int error = errno;
        errno = saved;
        return error;
    }
    return real(thread, attributes, start, argument);
}
