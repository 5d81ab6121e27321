/* The native front: a `get` that the disk answers, without an interpreter.

   It decides what docker_credential_ecr/cache.py, tokens.py and protocol.py decide, whose docstrings
   are the contract, and answers with the same bytes; tests/vectors holds both to it.  Whatever it
   cannot decide, or finds odd, goes on in Python, which then judges from the start: so it may be
   stricter than Python, never laxer.  It writes no file, allocates nothing but the stream of a
   directory, and uses no locale: bytes are compared as bytes, as Python does wherever the locale is
   one of UTF-8.

   AWS_ECR_FRONT_DEBUG=1 names on stderr why it went on in Python. */

#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define PROGRAM "docker-credential-ecr"
#define REQUEST_LIMIT (64U << 10)  /* bytes, protocol.REQUEST_LIMIT */
#define ENTRY_LIMIT (128U << 10)   /* bytes, cache.ENTRY_LIMIT */
#define HOST_LENGTH 253U           /* characters, RFC 1035 */
#define NAME_LENGTH 16U            /* hexadecimal digits of an entry's name */
#define TOKEN_LIFE (12 * 3600)     /* seconds, the longest that ECR gives */

/* A piece of a buffer; no NUL ends it, and it may hold some. */
typedef struct {
    char *start;
    size_t length;
} Text;

/* What was found for a host.  The secret lies in a buffer of lookup's, until its next call. */
typedef struct {
    Text secret;
    Text conditions;
    time_t issued, refresh, renew, expires;
    bool is_login;
    bool is_claimed;  /* due, and somebody renews it already */
    char name[NAME_LENGTH + 1];
} Token;

/* host.c */
bool is_text(Text text, const char *other);
bool partition(Text whole, char mark, Text *head, Text *tail);
Text strip(Text text);
bool host_of(Text server_url, char host[HOST_LENGTH + 1]);

/* environment.c */
const char *variable(const char *name, size_t length);
bool cache_directory(char *path, size_t limit, const char **reason);
bool renews_behind(void);
bool append(char *path, size_t *length, size_t limit, const char *more, size_t size);

/* conditions.c */
bool holds(Text conditions);

/* cache.c */
bool parse_entry(Text data, const char *name, const char *host, Token *token);
bool lookup(const char *folder, const char *host, time_t now, Token *found);

/* get.c */
const char *get(Text request, time_t now, Text *answer);

/* behind.c; an executable with an interpreter inside has another one. */
int go_on(int argc, char **argv, Text request, bool was_read);

#endif
