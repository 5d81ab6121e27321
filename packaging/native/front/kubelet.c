/* The kubelet's request for the node's identity: what kubelet.converse does. */

#include "front.h"

#include <string.h>

#define GROUP "credentialprovider.kubelet.k8s.io/"
#define SHORT 60  /* seconds that the kubelet keeps an answer whose token is due, kubelet.SHORT */

static const char *const versions[] = {GROUP "v1", GROUP "v1beta1", GROUP "v1alpha1"};
static const char *const keys[] = {"kind", "apiVersion", "image"};
enum { KIND, VERSION, IMAGE, KEYS };

static void
skip_white(Text *rest)
{
    while (rest->length && strchr(" \t\n\r", rest->start[0]) && rest->start[0]) {
        rest->start++;
        rest->length--;
    }
}

static bool
cut_mark(Text *rest, char mark)
{
    skip_white(rest);
    if (rest->length == 0 || rest->start[0] != mark) {
        return false;
    }
    rest->start++;
    rest->length--;
    return true;
}

/* A string without escapes, of ASCII: images and versions need no other. */
static bool
cut_string(Text *rest, Text *value)
{
    if (!cut_mark(rest, '"') || !partition(*rest, '"', value, rest)) {
        return false;
    }
    for (size_t i = 0; i < value->length; i++) {
        if (value->start[i] < ' ' || value->start[i] > '~' || value->start[i] == '\\') {
            return false;
        }
    }
    return true;
}

/* Set values to those of keys.  Whatever else a request holds, a service account first of all, is
   for Python. */
static bool
parse_request(Text rest, Text values[KEYS])
{
    if (!cut_mark(&rest, '{')) {
        return false;
    }
    do {
        Text key, value;
        size_t number = 0;

        if (!cut_string(&rest, &key) || !cut_mark(&rest, ':') || !cut_string(&rest, &value)) {
            return false;
        }
        while (number < KEYS && !is_text(key, keys[number])) {
            number++;
        }
        if (number == KEYS || values[number].start != NULL) {
            return false;
        }
        values[number] = value;
    } while (cut_mark(&rest, ','));
    if (!cut_mark(&rest, '}')) {
        return false;
    }
    skip_white(&rest);
    return rest.length == 0;
}

static bool
is_known(Text version)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (is_text(version, versions[i])) {
            return true;
        }
    }
    return false;
}

/* Say for how long the kubelet keeps the answer, as Go writes a duration. */
static void
answer_duration(Decision *decision, time_t now)
{
    const Token *token = &decision->token;
    time_t fresh = token->refresh - now, left = token->expires - now;
    fresh = fresh < SHORT ? SHORT : fresh;
    time_t keep = fresh < left ? fresh : left;
    const time_t parts[] = {keep / 3600, keep / 60 % 60, keep % 60};

    for (int i = 0; i < 3; i++) {
        char digits[DIGITS];

        add(decision, digits_of((uint64_t)parts[i], digits));
        add(decision, (Text){&"hms"[i], 1});
    }
}

void
kubelet(Text request, struct timespec now, Decision *decision)
{
    Text values[KEYS] = {{NULL, 0}}, server, path;

    if (request.length > REQUEST_LIMIT) {
        decision->reason = "the request is too long";
    }
    else if (!parse_request(request, values) || values[KIND].start == NULL
             || !is_text(values[KIND], "CredentialProviderRequest") || values[VERSION].start == NULL
             || !is_known(values[VERSION]) || values[IMAGE].start == NULL
             || !partition(values[IMAGE], '/', &server, &path)
             || !(memchr(server.start, '.', server.length) || memchr(server.start, ':', server.length))) {
        decision->reason = "the request is not one for a registry and the node's identity alone";
    }
    else if (named("AWS_ECR_NODE_IDENTITY")[0] != '\0') {
        decision->reason = "whether the node's identity answers is Python's to read";
    }
    else if (host_of(server, decision->host) && !is_registry(decision->host)) {
        decision->reason = "the host may be a mirror of a registry";
    }
    else if (served(server, now, decision)) {
        add(decision, TEXT("{\"apiVersion\": \""));
        add(decision, values[VERSION]);
        add(decision, TEXT("\", \"kind\": \"CredentialProviderResponse\", "
                           "\"cacheKeyType\": \"Registry\", \"cacheDuration\": \""));
        answer_duration(decision, now.tv_sec);
        add(decision, TEXT("\", \"auth\": {\""));
        add(decision, server);
        add(decision, TEXT("\": {\"username\": \"AWS\", \"password\": \""));
        add(decision, decision->token.secret);
        add(decision, TEXT("\"}}}"));
    }
}
