/* Waiting, and not for longer than that: what cache.in_time does. */

#include "front.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#if defined __linux__ && defined __LP64__  /* else the kernel's idea of a time is not the library's */
#include <linux/futex.h>
#include <sys/syscall.h>
#define IS_DIRECT
#endif

#define STACK (256 << 10)  /* bytes, at least PTHREAD_STACK_MIN; what is not touched costs nothing */

double waited;
static void (*job)(void);
static _Atomic int is_done;

/* Set now to what a clock says; less than 0 if it cannot be read. */
int
read_clock(clockid_t clock, struct timespec *now)
{
#ifdef IS_DIRECT
    /* Finding the kernel's quicker way touches four pages, which costs more than all calls of a hit. */
    return (int)syscall(SYS_clock_gettime, clock, now);
#else
    return clock_gettime(clock, now);
#endif
}

/* Wait for a stream, so many milliseconds or without end (-1).  Return 0 if nothing came, and less
   if it cannot be waited for. */
int
await(int descriptor, short events, int limit)
{
    struct pollfd stream = {descriptor, events, 0};
    int found;

    do {
        found = poll(&stream, 1, limit);
    } while (found < 0 && errno == EINTR);
    return found;
}

/* Let is_done be seen, or wait for it, so many milliseconds.  Not by a pipe, nor by pthread_cond_t
   where there is less: a kubelet's hit is as short as that. */
#ifdef IS_DIRECT
static void
ring(void)
{
    is_done = true;
    syscall(SYS_futex, &is_done, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void
listen_for(int limit)
{
    const struct timespec left = {limit / 1000, limit % 1000 * 1000000L};

    while (!is_done
           && (syscall(SYS_futex, &is_done, FUTEX_WAIT_PRIVATE, false, &left) == 0
               || errno == EINTR || errno == EAGAIN)) {
    }
}
#else
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;

static void
ring(void)
{
    pthread_mutex_lock(&door);
    is_done = true;
    pthread_cond_signal(&bell);
    pthread_mutex_unlock(&door);
}

static void
listen_for(int limit)
{
    struct timespec end = {0, 0};

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += limit / 1000;
    pthread_mutex_lock(&door);
    while (!is_done && pthread_cond_timedwait(&bell, &door, &end) == 0) {
    }
    pthread_mutex_unlock(&door);
}
#endif

static void *
attempt(void *unused)
{
    job();
    ring();
    return unused;
}

/* Do work, which may never end, as disks hang; return whether it ended in so many milliseconds.
   Without a thread to be had it is done in line.  After false there must be no next. */
bool
in_time(void (*work)(void), int limit)
{
    static _Alignas(max_align_t) char stack[STACK];
    static pthread_t thread;
    static bool has_thread;
    pthread_attr_t how;

    job = work;  /* written before anything here is read, which would be a page fault of its own */
    if (has_thread) {
        pthread_join(thread, NULL);  /* done, but maybe still on the stack */
    }
    is_done = false;
    has_thread = pthread_attr_init(&how) == 0 && pthread_attr_setstack(&how, stack, STACK) == 0
                 && pthread_create(&thread, &how, attempt, NULL) == 0;
    if (has_thread) {
        listen_for(limit);
    }
    else {
        attempt(NULL);
    }
    waited += is_done ? 0 : limit / 1000.0;
    return is_done;
}
