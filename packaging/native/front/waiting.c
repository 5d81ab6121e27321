/* Waiting, and not for longer than that: what cache.in_time does. */

#include "front.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

double waited;
static void (*job)(void);
static int ends[2];

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

/* Start a thread on the processor that we are on, as we only wait for it: to wake another one, which
   sleeps, takes longer than what there is to do. */
static bool
start(pthread_t *thread, void *(*what)(void *))
{
#ifdef __linux__
    cpu_set_t before, here;
    int processor = sched_getcpu();
    bool is_bound = processor >= 0 && processor < CPU_SETSIZE
                    && sched_getaffinity(0, sizeof before, &before) == 0;

    if (is_bound) {
        CPU_ZERO(&here);
        CPU_SET((size_t)processor, &here);
        is_bound = sched_setaffinity(0, sizeof here, &here) == 0;
    }
#endif
    bool is_started = pthread_create(thread, NULL, what, NULL) == 0;
#ifdef __linux__
    if (is_bound) {
        sched_setaffinity(0, sizeof before, &before);
    }
#endif
    return is_started;
}

static void *
attempt(void *unused)
{
    job();
    close(ends[1]);  /* says that it is done */
    return unused;
}

/* Do work, which may never end, as disks hang; return whether it ended in so many milliseconds.
   Without a thread to be had it is done in line.  After false there must be no next. */
bool
in_time(void (*work)(void), int limit)
{
    pthread_t thread;

    job = work;
    if (pipe(ends) < 0) {
        job();
        return true;
    }
    if (!start(&thread, attempt)) {
        attempt(NULL);
    }
    bool is_done = await(ends[0], POLLIN, limit) > 0;
    close(ends[0]);
    waited += is_done ? 0 : limit / 1000.0;
    return is_done;
}
