/* The streams: what __main__.py does.  Once an answer is written nothing changes the exit code. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KUBELET_NAME "ecr-credential-provider"  /* __main__.KUBELET_NAME */
#define INTERRUPTED 130         /* 128 + SIGINT, as shells say it */
#define KUBELET_DEADLINE 28000  /* milliseconds, kubelet.DEADLINE */

static char request[REQUEST_LIMIT + 1];  /* one more than is taken, so that Python refuses it, too */
static Text asked;
static Converse *conversation;
static Decision decision;

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
            await(descriptor, POLLOUT, -1);
        }
        else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void
say(const char *before, const char *quoted, const char *after)
{
    if (write_all(2, before, strlen(before)) && write_all(2, quoted, strlen(quoted))) {
        write_all(2, after, strlen(after));
    }
}

/* Read all of stdin, and return whether that could be done.  Leave if nothing comes for so many
   milliseconds, or wait without end (-1). */
static bool
read_request(int limit)
{
    asked.start = request;
    while (asked.length < sizeof request) {
        if (limit >= 0 && await(0, POLLIN, limit) == 0) {
            say(PROGRAM ": error: no answer for the kubelet within 28 s, while reading the request; "
                        "hint: check that who asks closes its stdin", "", "");
            _exit(1);
        }
        ssize_t size = read(0, request + asked.length, sizeof request - asked.length);
        if (size > 0) {
            asked.length += (size_t)size;
        }
        else if (size < 0 && errno == EAGAIN) {
            await(0, POLLIN, limit);
        }
        else if (size == 0 || errno != EINTR) {
            return size == 0;
        }
    }
    return true;
}

/* Say it, and return the exit code. */
static int
leave_with(Text answer, Text error, int status)
{
    signal(SIGPIPE, SIG_IGN);  /* that nobody listens is an exit code, as in Python */
    if (write_all(1, answer.start, answer.length)) {
        write_all(2, error.start, error.length);
        return status;
    }
    if (errno != EPIPE) {
        say(PROGRAM ": error: the answer cannot be written: \"", strerror(errno),
            "\"\n" PROGRAM ": hint: check where its stdout goes\n");
    }
    return 1;
}

static bool
is_among(const char *word, const char *const *words)
{
    while (*words != NULL && strcmp(word, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

/* Which conversation the command line asks for, or NULL: as __main__._answer. */
static Converse *
conversation_of(int argc, char **argv)
{
    static const char *const actions[] = {"get", "store", "erase", "list", "version", NULL};
    const char *action = argc > 1 ? argv[1] : "";
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc ? argv[0] : "";

    if (argc == 2 && is_among(action, actions)) {
        return strcmp(action, "get") == 0 ? get : NULL;
    }
    if (argc == 4 && strcmp(action, RENEWAL) == 0) {
        return NULL;
    }
    return strcmp(action, "kubelet") == 0 || strncmp(name, KUBELET_NAME, strlen(KUBELET_NAME)) == 0
               ? kubelet
               : NULL;
}

static void
decide(void)
{
    struct timespec now;

    decision.reason = "there is no clock";
    decision.is_missing = false;
    if (read_clock(CLOCK_REALTIME, &now) == 0) {
        decision.reason = NULL;
        conversation(asked, now, &decision);
    }
}

/* Answer and leave, or return why Python must answer. */
static const char *
converse(void)
{
    Text answer, error;
    int status;

    do {
        if (conversation == get) {
            decide();
        }
        else if (!in_time(decide, DISK_LIMIT)) {  /* the kubelet ends a pull that takes too long */
            return "the disk takes too long";
        }
        if (decision.reason == NULL) {
            status = leave_with(decision.answer, (Text){NULL, 0}, 0);
            if (status == 0 && decision.is_due) {
                renew_behind(&decision);
            }
            _exit(status);
        }
        if (passed_on(&answer, &error, &status)) {
            _exit(leave_with(answer, error, status));
        }
    } while (decision.is_missing && await_another(&decision, conversation == get ? "get" : "kubelet"));
    return decision.reason;
}

int
main(int argc, char **argv)
{
    bool is_read = false;
    const char *reason = "only get and the kubelet have a front";

    conversation = conversation_of(argc, argv);
    if (conversation != NULL) {
        open_standard_streams();
        if (signal(SIGINT, interrupted) == SIG_IGN) {
            signal(SIGINT, SIG_IGN);
        }
        bool is_whole = read_request(conversation == get ? -1 : KUBELET_DEADLINE);
        reason = is_whole ? converse() : "the request cannot be read";
        is_read = is_whole || asked.length > 0;  /* else Python sees for itself */
    }
    if (named("AWS_ECR_FRONT_DEBUG")[0] != '\0') {
        say(PROGRAM ": debug: on to Python: ", reason, "\n");
    }
    hand_on();
    if (conversation == kubelet) {  /* by whatever name, which a script loses */
        return go_on(2, (char *[]){argv[0], (char[]){"kubelet"}, NULL}, asked, is_read);
    }
    return go_on(argc, argv, asked, is_read);
}
