/* The streams: what __main__.py does.  Once an answer is written nothing changes the exit code. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERRUPTED 130  /* 128 + SIGINT, as shells say it */

static char request[REQUEST_LIMIT + 1];  /* one more than is taken, so that Python refuses it, too */

static void
interrupted(int number)
{
    (void)number;
    _exit(INTERRUPTED);
}

/* Put the null device where a standard stream is closed, as the next file would take its number. */
static void
open_standard_streams(void)
{
    struct stat state;

    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fstat(descriptor, &state) < 0) {
            open("/dev/null", O_RDWR);
        }
    }
}

static void
await(int descriptor, short events)
{
    struct pollfd stream = {descriptor, events, 0};

    poll(&stream, 1, -1);
}

/* Read all of stdin; what cannot be read is its end. */
static size_t
read_request(void)
{
    size_t length = 0;

    while (length < sizeof request) {
        ssize_t size = read(0, request + length, sizeof request - length);
        if (size > 0) {
            length += (size_t)size;
        }
        else if (size < 0 && errno == EAGAIN) {
            await(0, POLLIN);
        }
        else if (size == 0 || errno != EINTR) {
            break;
        }
    }
    return length;
}

static bool
write_all(int descriptor, const char *data, size_t length)
{
    while (length) {
        ssize_t size = write(descriptor, data, length);
        if (size >= 0) {
            data += size;
            length -= (size_t)size;
        }
        else if (errno == EAGAIN) {
            await(descriptor, POLLOUT);
        }
        else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void
say(const char *before, const char *quoted, const char *after)
{
    if (write_all(2, before, strlen(before)) && write_all(2, quoted, strlen(quoted))) {
        write_all(2, after, strlen(after));
    }
}

static int
leave_with(Text answer)
{
    signal(SIGPIPE, SIG_IGN);  /* that nobody listens is an exit code, as in Python */
    if (write_all(1, answer.start, answer.length)) {
        return 0;
    }
    if (errno != EPIPE) {
        say(PROGRAM ": error: the answer cannot be written: \"", strerror(errno),
            "\"\n" PROGRAM ": hint: check where its stdout goes\n");
    }
    return 1;
}

int
main(int argc, char **argv)
{
    static const char debug[] = "AWS_ECR_FRONT_DEBUG";
    const char *reason = "only get has a front";
    Text asked = {request, 0}, answer;
    bool is_get = argc == 2 && strcmp(argv[1], "get") == 0;

    if (is_get) {
        open_standard_streams();
        if (signal(SIGINT, interrupted) == SIG_IGN) {
            signal(SIGINT, SIG_IGN);
        }
        asked.length = read_request();
        struct timespec now;
        reason = clock_gettime(CLOCK_REALTIME, &now) < 0 ? "there is no clock"
                                                         : get(asked, now.tv_sec, &answer);
        if (reason == NULL) {
            _exit(leave_with(answer));
        }
    }
    const char *wanted = variable(debug, strlen(debug));
    if (wanted != NULL && wanted[0] != '\0') {
        say(PROGRAM ": debug: on to Python: ", reason, "\n");
    }
    return go_on(argc, argv, asked, is_get);
}
