/* The native front: a `get`, or a request of the kubelet's, that the disk answers, without an
   interpreter.

   It decides what docker_credential_ecr/cache.py, tokens.py, protocol.py and kubelet.py decide,
   whose docstrings are the contract, and answers with the same bytes; tests/vectors holds all to it.
   Whatever it cannot decide, or finds odd, goes on in Python, which then judges from the start: so it
   may be stricter than Python, never laxer.  It uses no locale: bytes are compared as bytes, as
   Python does wherever the locale is one of UTF-8.  It allocates nothing but threads, for
   what may hang, and on macOS the stream of a directory.  It writes a claim, as claims.py does, and
   the lock of a herd.

   AWS_ECR_FRONT_DEBUG=1 names on stderr why it went on in Python. */

#ifndef FRONT_H
#define FRONT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define PROGRAM "docker-credential-ecr"
#define RENEWAL "renew"            /* __init__.RENEWAL */
#define REQUEST_LIMIT (256U << 10) /* bytes, kubelet.REQUEST_LIMIT; protocol's is a quarter of it */
#define ENTRY_LIMIT (128U << 10)   /* bytes, cache.ENTRY_LIMIT */
#define PAGE 4096          /* bytes; each that a hit touches is a page fault */
#define HOST_LENGTH 253U           /* characters, RFC 1035 */
#define FOLDER_LENGTH 1024 /* bytes of a path, so that a decision lies on one page; longer is Python's */
#define NAME_LENGTH 16U            /* hexadecimal digits of an entry's name */
#define TOKEN_LIFE (12 * 3600)     /* seconds, the longest that ECR gives */

/* Of each state's two times; macOS has names of its own. */
#ifdef __APPLE__
#define MODIFIED(state) ((state).st_mtimespec)
#define CHANGED(state) ((state).st_ctimespec)
#else
#define MODIFIED(state) ((state).st_mtim)
#define CHANGED(state) ((state).st_ctim)
#endif

/* A piece of a buffer; no NUL ends it, and it may hold some. */
typedef struct {
    char *start;
    size_t length;
} Text;

#define TEXT(literal) ((Text){literal, sizeof literal - 1})

/* What was found for a host.  The secret lies in a buffer of lookup's, until its next call. */
typedef struct {
    Text secret;
    Text conditions;
    time_t issued, refresh, renew, expires;
    bool is_login;
    bool is_claimed;  /* somebody renews it already */
    char name[NAME_LENGTH + 1];
} Token;

/* What is answered, or why Python must answer, and what is known of the host by then. */
typedef struct {
    const char *reason;  /* NULL if there is an answer */
    Text answer;
    bool is_missing;  /* nothing on the disk may be served: one of a herd is to ask */
    bool is_due;      /* a renewal behind the answer is to be started */
    Token token;
    char host[HOST_LENGTH + 1];
    char folder[FOLDER_LENGTH];  /* the cache's directory */
} Decision;

/* Of the two conversations, each decides what to answer to a request at a time. */
typedef void Converse(Text request, struct timespec now, Decision *decision);

/* host.c */
bool is_text(Text text, const char *other);
bool partition(Text whole, char mark, Text *head, Text *tail);
Text strip(Text text);
bool parse_number(Text digits, int64_t *number);
#define DIGITS 21 /* the most that 64 bits have, and a NUL */
Text digits_of(uint64_t number, char digits[DIGITS]);
bool host_of(Text server_url, char host[HOST_LENGTH + 1]);

/* registry.c */
bool is_registry(const char *host);

/* environment.c */
extern char **environ;
const char *variable(const char *name, size_t length);
const char *named(const char *name);
const char *cache_directory(char *path, size_t limit);
bool renews_behind(void);
bool append(char *path, size_t *length, size_t limit, const char *more, size_t size);

/* conditions.c */
bool holds(Text conditions);

/* cache.c */
/* O_NONBLOCK: a FIFO in the place of a file must not hang a pull. */
#define FILE_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
bool parse_entry(Text data, const char *name, const char *host, Token *token);
bool is_private(int descriptor, off_t *size);
int open_folder(int within, const char *path, mode_t refused);
int open_host(const char *folder, const char *host);
bool lookup(const char *folder, const char *host, struct timespec now, Token *found);

/* names.c */
bool open_names(int place);
const char *next_name(void);
void close_names(void);

/* get.c, kubelet.c */
void add(Decision *decision, Text more);
bool served(Text server_url, struct timespec now, Decision *decision);
Converse get, kubelet;

/* renewal.c */
bool is_claimed(int place, const char *name, struct timespec now);
void renew_behind(const Decision *decision);

/* herd.c */
bool await_another(const Decision *decision, const char *conversation);
bool passed_on(Text *answer, Text *error, int *status);
void hand_on(void);

/* waiting.c */
#define DISK_LIMIT 2000  /* milliseconds, cache.DISK_LIMIT */
int await(int descriptor, short events, int limit);
bool in_time(void (*work)(void), int limit);
int read_clock(clockid_t clock, struct timespec *now);
extern double waited;  /* seconds, which come off what an answer may take */

/* main.c */
void say(const char *before, const char *quoted, const char *after);

/* behind.c; an executable with an interpreter inside has another one. */
int go_on(int argc, char **argv, Text request, bool was_read);

#endif
