/* The policy and the answer: what protocol.get and tokens.renewed do. */

#include "front.h"

#include <limits.h>
#include <string.h>

static char out[ENTRY_LIMIT + REQUEST_LIMIT + 64];

/* Set answer to the bytes that answer request.  Return NULL, or why Python must. */
const char *
get(Text request, time_t now, Text *answer)
{
    char host[HOST_LENGTH + 1], folder[PATH_MAX];
    const char *reason;
    Token token;

    if (request.length > REQUEST_LIMIT) {
        return "the request is too long";
    }
    Text server_url = strip(request);
    if (!host_of(server_url, host)) {
        return "the server URL names no host";
    }
    if (!cache_directory(folder, sizeof folder, &reason)) {
        return reason;
    }
    if (!lookup(folder, host, now, &token)) {
        return "nothing on the disk may be served";
    }
    if (!token.is_login && now >= token.refresh) {
        if (now >= token.renew || !renews_behind()) {
            return "the token is renewed before the answer";
        }
        if (!token.is_claimed) {
            return "a renewal is to be started";
        }
    }
    const Text parts[] = {
        {(char[]){"{\"ServerURL\":\""}, 14},
        server_url,
        {(char[]){"\",\"Username\":\"AWS\",\"Secret\":\""}, 29},
        token.secret,
        {(char[]){"\"}\n"}, 3},
    };
    *answer = (Text){out, 0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!append(out, &answer->length, sizeof out, parts[i].start, parts[i].length)) {
            return "the answer is too long";
        }
    }
    return NULL;
}
