/* The renewal behind an answer: what claims.claim, schedule.pause and behind.start do. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLAIM_LIMIT 1800.0 /* seconds that a claim lasts at most, claims.CLAIM_LIMIT */
#define NEWBORN 10.0       /* seconds in which a claim gets its time, claims._NEWBORN */
#define PAUSE_SHARE 16     /* schedule._PAUSE_FROM: of what is left of a token; _PAUSE_TO is twice it */
#define PAUSE_LEAST 10.0   /* seconds, schedule._PAUSE_LEAST */
#define LEAVE 1000         /* milliseconds after an answer, tokens.LEAVE: clients wait until we have left */
#define CLAIM_LENGTH (NAME_LENGTH + sizeof "..renewal")

static const Decision *answered;
static bool has_claimed;

static void
name_claim(char claim[CLAIM_LENGTH], const char *name)
{
    snprintf(claim, CLAIM_LENGTH, ".%s.renewal", name);
}

/* Whether somebody renews the entry called name, whose claim ends when it was last modified.  One
   that ends later than any of ours does is of a clock that was wrong. */
bool
is_claimed(int place, const char *name, struct timespec now)
{
    char claim[CLAIM_LENGTH];
    struct stat state;

    name_claim(claim, name);
    if (fstatat(place, claim, &state, AT_SYMLINK_NOFOLLOW) < 0) {
        return false;
    }
    double left = difftime(MODIFIED(state).tv_sec, now.tv_sec)
                  + (double)(MODIFIED(state).tv_nsec - now.tv_nsec) / 1e9;
    return left > -NEWBORN && left <= CLAIM_LIMIT;
}

/* Seconds for which nobody else renews, drawn at random. */
static double
pause_after(const Token *token, struct timespec now)
{
    uint32_t draw;

    if (getentropy(&draw, sizeof draw) < 0) {
        draw = 0;
    }
    double pause = difftime(token->expires, now.tv_sec) / PAUSE_SHARE * (1 + draw / 4294967296.0);
    return pause < PAUSE_LEAST ? PAUSE_LEAST : pause > CLAIM_LIMIT ? CLAIM_LIMIT : pause;
}

/* Set has_claimed to whether the caller is the one to renew what was answered with. */
static void
claim_it(void)
{
    const Token *token = &answered->token;
    int place = open_host(answered->folder, answered->host);
    char claim[CLAIM_LENGTH];
    struct timespec now;

    if (place < 0 || read_clock(CLOCK_REALTIME, &now) < 0) {
        return;
    }
    name_claim(claim, token->name);
    for (int i = 0; i < 2; i++) {
        int made = openat(place, claim, O_WRONLY | O_CREAT | O_EXCL | FILE_FLAGS, 0600);
        if (made >= 0) {
            now.tv_sec += (time_t)pause_after(token, now);
            futimens(made, (struct timespec[]){now, now});
            close(made);
            has_claimed = true;
            break;
        }
        if (errno != EEXIST || is_claimed(place, token->name, now)
            || unlinkat(place, claim, 0) < 0) {
            break;
        }
    }
    close(place);
}

/* Renew what was answered with, unless somebody else does: in a process of its own, which nobody
   waits for, and which holds nothing of the caller's.  It is a copy of this one, so that it does not
   matter what has become of the executable.  What fails here is done before an answer instead, when
   the time comes. */
void
renew_behind(const Decision *decision)
{
    char issued[24];
    sigset_t none;

    answered = decision;
    if (!in_time(claim_it, LEAVE) || !has_claimed || fork() != 0) {
        return;
    }
    int null = open("/dev/null", O_RDWR);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int stream = 0; stream <= 2; stream++) {
        if (dup2(null, stream) < 0) {
            close(stream);
        }
    }
    snprintf(issued, sizeof issued, "%lld", (long long)decision->token.issued);
    char *argv[] = {(char[]){PROGRAM}, (char[]){RENEWAL}, (char[HOST_LENGTH + 1]){0}, issued, NULL};
    snprintf(argv[2], HOST_LENGTH + 1, "%s", decision->host);
    _exit(go_on(4, argv, (Text){NULL, 0}, false));
}
