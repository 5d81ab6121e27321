/* Server URLs: what server_url.py's host_of does. */

#include "front.h"

#include <string.h>

#define PORT_LIMIT 65535
#define NUMBER_LENGTH 12  /* digits, cache._TIME_LENGTH */

bool
is_text(Text text, const char *other)
{
    return text.length == strlen(other) && memcmp(text.start, other, text.length) == 0;
}

/* Cut at the first mark, as str.partition does; without one, all is head.  Tail may be whole. */
bool
partition(Text whole, char mark, Text *head, Text *tail)
{
    char *place = whole.length ? memchr(whole.start, mark, whole.length) : NULL;

    head->start = whole.start;
    if (place == NULL) {
        head->length = whole.length;
        tail->start = whole.start + whole.length;
        tail->length = 0;
        return false;
    }
    head->length = (size_t)(place - whole.start);
    tail->start = place + 1;
    tail->length = whole.length - head->length - 1;
    return true;
}

static bool
is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Text
strip(Text text)
{
    while (text.length && is_white(text.start[0])) {
        text.start++;
        text.length--;
    }
    while (text.length && is_white(text.start[text.length - 1])) {
        text.length--;
    }
    return text;
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Set number to what ASCII digits say. */
bool
parse_number(Text digits, int64_t *number)
{
    *number = 0;
    if (digits.length == 0 || digits.length > NUMBER_LENGTH) {
        return false;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.start[i] < '0' || digits.start[i] > '9') {
            return false;
        }
        *number = *number * 10 + (digits.start[i] - '0');
    }
    return true;
}

/* Write a number without a sign, and a NUL behind it; not by printf, whose pages a hit would touch. */
Text
digits_of(uint64_t number, char digits[DIGITS])
{
    char *const end = digits + DIGITS - 1, *at = end;

    *end = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return (Text){at, (size_t)(end - at)};
}

static bool
is_port(Text text)
{
    int64_t port;

    return parse_number(text, &port) && port > 0 && port <= PORT_LIMIT;
}

/* What stands before "://", without it; true if there is a scheme. */
static bool
cut_scheme(Text url, Text *scheme, Text *rest)
{
    for (size_t i = 0; i + 3 <= url.length; i++) {
        if (memcmp(url.start + i, "://", 3) == 0) {
            *scheme = (Text){url.start, i};
            *rest = (Text){url.start + i + 3, url.length - i - 3};
            return true;
        }
    }
    *rest = url;
    return false;
}

/* Set host to the lower-case host of a server URL without white space around it. */
bool
host_of(Text url, char host[HOST_LENGTH + 1])
{
    static const char https[] = "https";
    Text scheme, rest, authority, path, name, port;
    char before = '.';

    for (size_t i = 0; i < url.length; i++) {
        if (url.start[i] < ' ' || url.start[i] > '~' || strchr(" @#?\"\\", url.start[i])) {
            return false;
        }
    }
    if (cut_scheme(url, &scheme, &rest)) {
        if (scheme.length != strlen(https)) {
            return false;
        }
        for (size_t i = 0; i < scheme.length; i++) {
            if (lower(scheme.start[i]) != https[i]) {
                return false;
            }
        }
    }
    partition(rest, '/', &authority, &path);
    if (partition(authority, ':', &name, &port) && !is_port(port)) {
        return false;
    }
    if (name.length && name.start[name.length - 1] == '.') {
        name.length--;
    }
    if (name.length == 0 || name.length > HOST_LENGTH) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        char c = lower(name.start[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr(".-_", c)) {
            return false;
        }
        if (c == '.' && before == '.') {
            return false;  /* an empty label */
        }
        host[i] = before = c;
    }
    host[name.length] = '\0';
    return before != '.';
}
