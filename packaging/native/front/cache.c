/* Entries on the disk: what cache.py's Folder, read, _parse and lookup do. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC)

static const char *const fields[] = {
    "issued", "refresh", "renew", "expires", "host", "scope", "identity", "source", "replaced",
};
enum { TIMES = 4, HOST = 4, FIELDS = sizeof fields / sizeof fields[0] };

/* The entry that is being read, and the best so far. */
static _Alignas(PAGE) char buffers[2][ENTRY_LIMIT];

static bool
parse_time(Text digits, time_t *seconds)
{
    int64_t value;

    if (!parse_number(digits, &value)) {
        return false;
    }
    *seconds = (time_t)value;
    return *seconds == value;
}

static bool
parse_secret(Text tail, Text *secret)
{
    if (tail.length < 4 || tail.start[0] != '"' || tail.start[tail.length - 2] != '"'
        || tail.start[tail.length - 1] != '\n') {
        return false;
    }
    *secret = (Text){tail.start + 1, tail.length - 3};
    bool is_plain = true;
    for (size_t i = 0; i < secret->length; i++) {
        is_plain &= (unsigned char)(secret->start[i] - ' ') <= '~' - ' ';
    }
    return is_plain && memchr(secret->start, '"', secret->length) == NULL
           && memchr(secret->start, '\\', secret->length) == NULL;
}

/* Cut an entry at its first empty line. */
static bool
cut_head(Text data, Text *head, Text *tail)
{
    Text line, rest = data;

    while (partition(rest, '\n', &line, &rest)) {
        if (rest.length && rest.start[0] == '\n') {
            *head = (Text){data.start, (size_t)(rest.start - 1 - data.start)};
            *tail = (Text){rest.start + 1, rest.length - 1};
            return true;
        }
    }
    return false;
}

/* Set token to what the entry called name says; its conditions are yet to be looked at. */
bool
parse_entry(Text data, const char *name, const char *host, Token *token)
{
    Text head, tail, line, rest, key, values[FIELDS] = {{NULL, 0}};

    if (!cut_head(data, &head, &tail) || !parse_secret(tail, &token->secret)) {
        return false;
    }
    partition(head, '\n', &line, &rest);
    if (!is_text(line, PROGRAM " 2")) {
        return false;
    }
    token->conditions = rest;
    while (token->conditions.length) {
        Text value;
        size_t field = 0;

        partition(token->conditions, '\n', &line, &rest);
        partition(line, ' ', &key, &value);
        while (field < FIELDS && !is_text(key, fields[field])) {
            field++;
        }
        if (field == FIELDS) {
            break;
        }
        if (values[field].start != NULL) {
            return false;
        }
        values[field] = value;
        token->conditions = rest;
    }
    token->is_login = strcmp(name, "login") == 0;
    memcpy(token->name, name, strlen(name) + 1);
    time_t *const times[TIMES] = {&token->issued, &token->refresh, &token->renew, &token->expires};
    for (int i = 0; i < TIMES; i++) {
        if (!parse_time(values[i], times[i])) {
            return false;
        }
    }
    return token->issued <= token->refresh && token->refresh <= token->renew
           && token->renew <= token->expires && token->expires - token->issued <= TOKEN_LIFE
           && values[HOST].start != NULL && is_text(values[HOST], host)
           /* Issued tokens without a condition would be served to any identity. */
           && (token->conditions.length || token->is_login);
}

#ifdef O_PATH
/* Open the directory that a link of our own leads to, as cache._open_by_link does. */
static int
open_by_link(const char *path)
{
    static char target[PATH_MAX], whole[PATH_MAX];  /* off the stack, whose pages a hit would touch */
    struct stat state;
    ssize_t size = -1;
    size_t length = 0;
    int link = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (link < 0) {
        return -1;
    }
    if (fstat(link, &state) == 0 && S_ISLNK(state.st_mode) && state.st_uid == geteuid()) {
        size = readlinkat(link, "", target, sizeof target);
    }
    close(link);
    if (size <= 0 || (size_t)size == sizeof target) {
        return -1;
    }
    size_t above = (size_t)(strrchr(path, '/') + 1 - path);
    if ((target[0] != '/' && !append(whole, &length, sizeof whole, path, above))
        || !append(whole, &length, sizeof whole, target, (size_t)size)) {
        return -1;
    }
    return open(whole, FOLDER_FLAGS);
}
#else
static int
open_by_link(const char *path)
{
    (void)path;
    return -1;
}
#endif

/* Open a directory of ours, judged as it was opened, or return -1.  Refused are modes. */
int
open_folder(int within, const char *path, mode_t refused)
{
    struct stat state;
    int descriptor = openat(within, path, FOLDER_FLAGS);

    if (descriptor < 0 && errno == ENOTDIR && within == AT_FDCWD) {
        descriptor = open_by_link(path);
    }
    if (descriptor >= 0
        && (fstat(descriptor, &state) < 0 || !S_ISDIR(state.st_mode) || state.st_uid != geteuid()
            || (state.st_mode & refused))) {
        close(descriptor);
        errno = EPERM;
        return -1;
    }
    return descriptor;
}

int
open_host(const char *folder, const char *host)
{
    /* Others may write beside our directories, as in /tmp, but to none of them. */
    int whole = open_folder(AT_FDCWD, folder, 0);
    if (whole < 0) {
        return -1;
    }
    int place = open_folder(whole, host, 022);
    close(whole);
    return place;
}

static bool
is_entry(const char *name)
{
    return strcmp(name, "login") == 0
           || (strlen(name) == NAME_LENGTH && strspn(name, "0123456789abcdef") == NAME_LENGTH);
}

/* Whether a file is ours alone, as cache.file_fault judges what was opened. */
bool
is_private(int descriptor, off_t *size)
{
    struct stat state;

    if (fstat(descriptor, &state) < 0 || !S_ISREG(state.st_mode) || state.st_uid != geteuid()
        || (state.st_mode & 077) || state.st_nlink > 1) {
        return false;
    }
    *size = state.st_size;
    return true;
}

static bool
read_entry(int place, const char *name, Text *data)
{
    ssize_t length = -1;
    off_t size;
    int descriptor = openat(place, name, O_RDONLY | FILE_FLAGS);

    if (descriptor < 0) {
        return false;
    }
    if (is_private(descriptor, &size) && size >= 0 && size <= (off_t)ENTRY_LIMIT) {
        length = read(descriptor, data->start, (size_t)size);
    }
    close(descriptor);
    data->length = length < 0 ? 0 : (size_t)length;
    return length > 0;
}

/* A login wins over an issued token, a newer token over an older one, then the name that is first. */
static bool
is_better(const Token *token, const Token *best)
{
    if (token->is_login != best->is_login) {
        return token->is_login;
    }
    if (token->issued != best->issued) {
        return token->issued > best->issued;
    }
    return strcmp(token->name, best->name) < 0;
}

/* Set found to the token that may be served for host now.  False, too, if anything failed. */
bool
lookup(const char *folder, const char *host, struct timespec now, Token *found)
{
    int place = open_host(folder, host);
    bool has_found = false;
    const char *name;

    if (place < 0 || !open_names(place)) {
        return false;
    }
    Text data = {buffers[0], 0};
    while ((name = next_name()) != NULL) {
        Token token;

        if (is_entry(name) && read_entry(place, name, &data)
            && parse_entry(data, name, host, &token)
            && (token.issued <= now.tv_sec || token.is_login) && now.tv_sec < token.expires
            && (!has_found || is_better(&token, found)) && holds(token.conditions)) {
            *found = token;
            has_found = true;
            data.start = buffers[data.start == buffers[0]];
        }
    }
    bool has_failed = errno != 0;
    if (has_found) {
        found->is_claimed = now.tv_sec >= found->refresh && is_claimed(place, found->name, now);
    }
    close_names();
    return has_found && !has_failed;
}
