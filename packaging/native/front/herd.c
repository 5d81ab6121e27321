/* A herd: of the processes that find nothing on the disk for one host one asks, by way of Python, and
   the others wait for it in the kernel, then look again.  What it comes to if that is no token they
   say, too.

   The lock is a file of <cache>/.fronts/, named after the request and the whole environment: what
   fails in one process fails in the other.  Of their hash there are 32 bits, which give no secret
   away.  The kernel releases it with its holder.  herd.py is Python's part. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define FRONTS ".fronts"  /* claims.FRONTS */
#define VARIABLE "DOCKER_CREDENTIAL_ECR_FRONT"  /* herd.VARIABLE */
#define TIMEOUT 25        /* seconds, deadline.TIMEOUT */
#define TIMEOUT_LIMIT 600 /* seconds, deadline.TIMEOUT_LIMIT */
#define LOCK_SHARE 0.35   /* of the time-out, renewal.LOCK_SHARE */
#define TICK 250000       /* microseconds between two looks at the clock */
#define PATIENCE 2.0      /* seconds after which a person is told, deadline.PATIENCE */
#define SAID_LIMIT 8192   /* bytes, herd.SAID_LIMIT */
#define JUST_NOW 1000000000LL /* nanoseconds in which what was said before may still be so */

static const char *folder;           /* the cache's directory */
static char name[NAME_LENGTH + 1];   /* of the lock */
static int lock = -1;
static bool holds_lock, is_held, is_over;  /* held by us, by another; not to be had any more */
static bool is_clear;
static int64_t arrived;         /* nanoseconds of the clock: what was said before is of no concern */
static char said[SAID_LIMIT + 1];

static double
seconds(void)
{
    struct timespec now = {0, 0};

    read_clock(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int64_t
nanoseconds(struct timespec of)
{
    return (int64_t)of.tv_sec * 1000000000 + of.tv_nsec;
}

/* Seconds that may be waited; 0 where Python has to make sense of the time-out. */
static double
patience(void)
{
    const char *value = named("AWS_ECR_TIMEOUT");
    char digits[8];
    size_t length = strlen(value);
    int64_t timeout = TIMEOUT;

    if (length >= sizeof digits) {
        return 0;
    }
    memcpy(digits, value, length);
    if (length && (!parse_number((Text){digits, length}, &timeout) || timeout > TIMEOUT_LIMIT)) {
        return 0;
    }
    return LOCK_SHARE * (double)timeout;
}

/* Make a directory and what leads to it, if what is there is ours or the system's. */
static bool
make_path(char *path)
{
    bool is_ours = true;

    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct stat above;

        *slash = '\0';
        if (stat(path, &above) == 0 && S_ISDIR(above.st_mode)) {
            is_ours = above.st_uid == 0 || above.st_uid == geteuid();
        }
        else if (!is_ours || (mkdir(path, 0700) < 0 && errno != EEXIST)) {
            return false;
        }
        *slash = '/';
    }
    return is_ours && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

static int
open_lock(void)
{
    char path[PATH_MAX];
    size_t length = 0;
    off_t size;
    int found = -1, whole = open_folder(AT_FDCWD, folder, 0);

    if (whole < 0 && errno == ENOENT && append(path, &length, sizeof path, folder, strlen(folder))
        && make_path(path)) {
        whole = open_folder(AT_FDCWD, folder, 0);
    }
    if (whole < 0) {
        return -1;
    }
    mkdirat(whole, FRONTS, 0700);
    int place = open_folder(whole, FRONTS, 022);
    close(whole);
    if (place >= 0) {
        found = openat(place, name, O_RDWR | O_CREAT | FILE_FLAGS, 0600);
        close(place);
    }
    if (found >= 0 && !is_private(found, &size)) {
        close(found);
        return -1;
    }
    return found;
}

/* FNV-1a, as a residue's last bits depend on some bytes only. */
static uint64_t
mixed(uint64_t before, const void *more, size_t size)
{
    const unsigned char *bytes = more;

    for (size_t i = 0; i < size; i++) {
        before = (before ^ bytes[i]) * 1099511628211U;
    }
    return before;
}

/* Name what must be alike: the conversation, the host, the environment, where this is. */
static void
name_lock(const char *conversation, const char *host)
{
    struct stat here = {0}, root = {0};
    uint64_t key = mixed(14695981039346656037U, conversation, strlen(conversation) + 1);

    key = mixed(key, host, strlen(host) + 1);

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        key = mixed(key, *entry, strlen(*entry) + 1);
    }
    stat(".", &here);
    stat("/", &root);
    const ino_t places[] = {here.st_ino, root.st_ino};
    const dev_t devices[] = {here.st_dev, root.st_dev};
    key = mixed(mixed(key, places, sizeof places), devices, sizeof devices);
    snprintf(name, sizeof name, "%016llx", (unsigned long long)(uint32_t)(key ^ key >> 32));
}

static void
wake(int number)
{
    (void)number;
}

/* Wait for the lock in the kernel; false if it could not be had in time, or at all. */
static bool
await_lock(int how)
{
    /* The alarm comes again and again, as one may fall between a look at the clock and the wait. */
    const struct itimerval ticks = {{0, TICK}, {0, TICK}}, none = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = wake}, before;
    sigset_t alarms, mask;
    double begun = seconds() - waited, most = patience();
    bool is_told = waited > PATIENCE, is_had;

    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, &mask);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &ticks, NULL);
    while (!(is_had = flock(lock, how) == 0) && errno == EINTR && waited < most) {
        waited = seconds() - begun;
        if (!is_told && waited > PATIENCE) {
            is_told = true;
            if (isatty(2)) {
                say(PROGRAM ": still waiting for another process that asks AWS for the same\n", "",
                    "");
            }
        }
    }
    waited = seconds() - begun;
    setitimer(ITIMER_REAL, &none, NULL);
    sigaction(SIGALRM, &before, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return is_had;
}

/* Open the lock, and take it if it is free. */
static void
take(void)
{
    mode_t mask = umask(077);  /* whatever the caller's is */
    lock = open_lock();
    umask(mask);
    holds_lock = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
    is_held = lock >= 0 && !holds_lock && errno == EWOULDBLOCK;
}

static bool
begin(const Decision *decision, const char *conversation)
{
    struct timespec now;

    /* Other hosts are another helper's, or nobody's. */
    if (!is_registry(decision->host) || patience() < 1
        || read_clock(CLOCK_REALTIME, &now) < 0) {
        return false;
    }
    arrived = nanoseconds(now);
    folder = decision->folder;
    name_lock(conversation, decision->host);
    return in_time(take, DISK_LIMIT) && (holds_lock || (is_held && await_lock(LOCK_SH)));
}

/* Forget what was said before. */
static void
clear(void)
{
    is_clear = ftruncate(lock, 0) == 0;
}

/* Do without the lock from here on. */
static void
let_go(void)
{
    if (lock >= 0) {
        close(lock);
    }
    lock = -1;
    holds_lock = false;
    is_over = true;
}

/* Return whether to look again: another process has asked meanwhile, or might have just before the
   lock was ours.  After false it is our turn, with the lock, or without where there is none. */
bool
await_another(const Decision *decision, const char *conversation)
{
    if (is_over || holds_lock) {
        if (holds_lock && (!in_time(clear, DISK_LIMIT) || !is_clear)) {
            let_go();
        }
        return false;
    }
    if (lock < 0 ? begin(decision, conversation) : (holds_lock = await_lock(LOCK_EX))) {
        return true;
    }
    let_go();
    return false;
}

/* Set what to say to what another process has come to, if that is no answer: one that was waited
   for, or one that ended just before this one came, whose failure would be ours as well. */
bool
passed_on(Text *answer, Text *error, int *status)
{
    struct timespec now = {0, 0};
    long long when;
    size_t first, second, third;
    Text head, body;
    ssize_t size = lock < 0 ? -1 : pread(lock, said, SAID_LIMIT, 0);

    read_clock(CLOCK_REALTIME, &now);
    if (size <= 0 || !partition((Text){said, (size_t)size}, '\n', &head, &body)) {
        return false;
    }
    head.start[head.length] = '\0';
    if (strspn(head.start, "0123456789 ") != head.length
        || sscanf(head.start, "%19lld %3d %6zu %6zu %6zu", &when, status, &first, &second, &third) != 5
        || first + second + third != body.length  /* else it was not written to its end */
        || when > nanoseconds(now)) {  /* by a clock set back since */
        return false;
    }
    *answer = (Text){body.start, first};
    *error = (Text){body.start + first, second};
    if (when < arrived) {
        Text conditions = {error->start + second, third};
        return *status != 0 && arrived - when < JUST_NOW && conditions.length && holds(conditions);
    }
    if (*status == 0) {  /* it could not keep what it has got: nor could the next */
        let_go();
        return false;
    }
    return true;
}

/* Tell Python which lock is held, to say there what comes of it, and how long that has taken. */
void
hand_on(void)
{
    static char setting[sizeof VARIABLE + 64];

    if (lock < 0 && waited <= 0) {
        return;
    }
    if (lock >= 0) {
        fcntl(lock, F_SETFD, 0);  /* kept by the Python program */
    }
    snprintf(setting, sizeof setting, VARIABLE "=%ld %d %ld", (long)getpid(), lock,
             (long)(waited * 1000));
    putenv(setting);
}
