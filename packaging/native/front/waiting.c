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
#define STACK (256 << 10)  /* bytes, at least PTHREAD_STACK_MIN; what is not touched costs nothing */
#endif

double waited;
static void (*job)(void);
static _Atomic int is_done;

/* Set now to what a clock says; less than 0 if it cannot be read. */
int
read_clock(clockid_t clock, struct timespec *now)
{
#ifdef IS_DIRECT
    /* Finding the kernel's quicker way touches four more pages. */
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

/* How a thread says that it is done, and how that is waited for: so many milliseconds, of a clock
   that nobody sets.  By the kernel's own means where that can be, as a kubelet's hit is short. */
#ifdef IS_DIRECT
/* The library's stack would be mapped, guarded and unmapped for one short call. */
static const pthread_attr_t *
own_stack(void)
{
    static _Alignas(max_align_t) char stack[STACK];
    static pthread_attr_t how;

    bool is_set = pthread_attr_init(&how) == 0 && pthread_attr_setstack(&how, stack, STACK) == 0;

    return is_set ? &how : NULL;
}

static bool
prepare(void)
{
    return true;
}

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
static int ends[2];

static const pthread_attr_t *
own_stack(void)
{
    return NULL;
}

static bool
prepare(void)
{
    return pipe(ends) == 0;
}

static void
ring(void)
{
    is_done = true;
    close(ends[1]);
}

static void
listen_for(int limit)
{
    await(ends[0], POLLIN, limit);
    close(ends[0]);
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
    static pthread_t thread;
    static bool has_thread;

    job = work;  /* written before anything here is read, which would be a page fault of its own */
    if (has_thread) {
        pthread_join(thread, NULL);  /* done, but maybe still on the stack */
        has_thread = false;
    }
    is_done = false;
    if (!prepare()) {
        job();
        return true;
    }
    has_thread = pthread_create(&thread, own_stack(), attempt, NULL) == 0;
    if (!has_thread) {
        attempt(NULL);
    }
    listen_for(limit);
    waited += is_done ? 0 : limit / 1000.0;
    return is_done;
}
