/* The policy and Docker's answer: what tokens.renewed and protocol.get do. */

#include "front.h"

#include <string.h>

#define GET_LIMIT (64U << 10)  /* bytes, protocol.REQUEST_LIMIT */

/* The longest answer quotes a secret and a server URL that may be all of a request. */
static _Alignas(PAGE) char out[ENTRY_LIMIT + REQUEST_LIMIT + 1024];

/* Say more in the answer. */
void
add(Decision *decision, Text more)
{
    append(out, &decision->answer.length, sizeof out, more.start, more.length);
}

/* Whether the disk answers for a server URL; decision says why not, or with which token. */
bool
served(Text server_url, struct timespec now, Decision *decision)
{
    Token *token = &decision->token;

    decision->is_missing = decision->is_due = false;
    decision->answer = (Text){out, 0};
    if (variable("AWS_ECR_LOG", strlen("AWS_ECR_LOG")) != NULL) {
        decision->reason = "a trace is asked for";
        return false;
    }
    if (!host_of(server_url, decision->host)) {
        decision->reason = "the server URL names no host";
        return false;
    }
    decision->reason = cache_directory(decision->folder, sizeof decision->folder);
    if (decision->reason != NULL) {
        return false;
    }
    if (!lookup(decision->folder, decision->host, now, token)) {
        decision->is_missing = true;
        decision->reason = "nothing on the disk may be served";
        return false;
    }
    if (!token->is_login && now.tv_sec >= token->refresh && !token->is_claimed) {
        decision->is_due = now.tv_sec < token->renew && renews_behind();
        decision->reason = decision->is_due ? NULL : "the token is renewed before the answer";
    }
    return decision->reason == NULL;
}

void
get(Text request, struct timespec now, Decision *decision)
{
    Text server_url = strip(request);

    if (request.length > GET_LIMIT) {
        decision->reason = "the request is too long";
    }
    else if (served(server_url, now, decision)) {
        add(decision, TEXT("{\"ServerURL\":\""));
        add(decision, server_url);
        add(decision, TEXT("\",\"Username\":\"AWS\",\"Secret\":\""));
        add(decision, decision->token.secret);
        add(decision, TEXT("\"}\n"));
    }
}
