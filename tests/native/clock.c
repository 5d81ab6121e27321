/* A clock that obeys libfaketime's FAKETIME, for the test build of the native executable: what is
 * linked statically preloads nothing.  Linked with --wrap for each function here.
 *
 * FAKETIME is an offset (+3600s, -1h, +1d) or a moment of UTC at which the clock stands.
 */
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_read_clock(clockid_t clock, struct timespec *now);
time_t __wrap_time(time_t *now);
int __wrap_gettimeofday(struct timeval *now, void *zone);

static void
move(struct timespec *now)
{
    const char *wanted = getenv("FAKETIME");
    struct tm moment = {0};
    char *unit;

    if (wanted == NULL) {
        return;
    }
    if (strptime(wanted, "%Y-%m-%d %H:%M:%S", &moment) != NULL) {
        *now = (struct timespec){.tv_sec = timegm(&moment)};
        return;
    }
    double offset = strtod(wanted, &unit);
    switch (*unit) {
    case 'm':
        offset *= 60;
        break;
    case 'h':
        offset *= 3600;
        break;
    case 'd':
        offset *= 86400;
        break;
    default:
        break;
    }
    now->tv_sec += (time_t)offset;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = __real_clock_gettime(clock, now);

    if (!failed && clock == CLOCK_REALTIME) {
        move(now);
    }
    return failed;
}

int
__wrap_read_clock(clockid_t clock, struct timespec *now)
{
    return __wrap_clock_gettime(clock, now);
}

time_t
__wrap_time(time_t *now)
{
    struct timespec moment;

    __wrap_clock_gettime(CLOCK_REALTIME, &moment);
    if (now != NULL) {
        *now = moment.tv_sec;
    }
    return moment.tv_sec;
}

int
__wrap_gettimeofday(struct timeval *now, void *zone)
{
    struct timespec moment;

    (void)zone;
    __wrap_clock_gettime(CLOCK_REALTIME, &moment);
    *now = (struct timeval){.tv_sec = moment.tv_sec, .tv_usec = moment.tv_nsec / 1000};
    return 0;
}
