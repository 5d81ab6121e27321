/* Waiting, and not for longer than that: what cache.in_time does. */

#include "front.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
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
    if (pthread_create(&thread, NULL, attempt, NULL) != 0) {
        attempt(NULL);
    }
    bool is_done = await(ends[0], POLLIN, limit) > 0;
    close(ends[0]);
    waited += is_done ? 0 : limit / 1000.0;
    return is_done;
}
