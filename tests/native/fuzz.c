/* libFuzzer's target: hosts, entries, the environment, and a directory that holds an entry. */

#include "front.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST "123456789012.dkr.ecr.us-east-1.amazonaws.com"
#define NOW 1795000000  /* epoch seconds, the clock of the vectors */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_host(Text text)
{
    char host[HOST_LENGTH + 1];
    Text stripped = strip(text);

    if (host_of(stripped, host) && (strlen(host) == 0 || strlen(host) > stripped.length)) {
        abort();
    }
}

static void
try_entry(Text text)
{
    char *copy = malloc(text.length + 1);  /* a block of its own: a byte read behind it is found */
    Token token;

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, text.start, text.length);
    char *exact = realloc(copy, text.length ? text.length : 1);
    if (parse_entry((Text){exact, text.length}, "0123456789abcdef", HOST, &token)) {
        if (token.secret.length == 0 || token.conditions.length == 0
            || memchr(token.secret.start, '"', token.secret.length)) {
            abort();
        }
        holds(token.conditions);
    }
    free(exact);
}

/* Each line is a variable. */
static void
try_environment(Text text)
{
    char *variables[17] = {NULL};
    char **own = environ;
    char path[64];
    size_t count = 0;

    for (char *line = strtok(text.start, "\n"); line && count < 16; line = strtok(NULL, "\n")) {
        variables[count++] = line;
    }
    environ = variables;
    if (cache_directory(path, sizeof path) == NULL && path[0] != '/') {
        abort();
    }
    renews_behind();
    environ = own;
}

/* Two bytes are the modes, the rest is the entry; what is answered must be of it. */
static void
try_directory(Text text)
{
    static const char *const names[] = {"login", "0123456789abcdef", "x"};
    static char folder[] = "/tmp/front-fuzz-XXXXXX";
    static char *variables[] = {NULL, NULL};
    static char setting[64] = "AWS_ECR_CACHE_DIR=";
    char **own = environ;
    char url[] = "https://" HOST "/";
    Text answer;

    if (variables[0] == NULL) {
        if (mkdtemp(folder) == NULL || chdir(folder) < 0 || mkdir(HOST, 0700) < 0) {
            abort();
        }
        strcat(setting, folder);
        variables[0] = setting;
    }
    if (text.length < 2) {
        return;
    }
    const char *name = names[(unsigned char)text.start[0] % 3];
    mode_t odd = text.start[1] < 0 ? (mode_t)(text.start[1] & 077) : 0;
    int place = open(HOST, O_RDONLY | O_DIRECTORY);
    int entry = openat(place, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(entry, text.start + 2, text.length - 2) < 0 || fchmod(entry, 0600 | odd) < 0) {
        abort();
    }
    close(entry);
    environ = variables;
    if (get((Text){url, strlen(url)}, NOW, &answer) == NULL
        && (odd || name[0] == 'x' || memmem(answer.start, answer.length, url, strlen(url)) == NULL
            || answer.start[answer.length - 1] != '\n')) {
        abort();
    }
    environ = own;
    unlinkat(place, name, 0);
    close(place);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > ENTRY_LIMIT) {
        return 0;
    }
    char *copy = malloc(size);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = '\0';
    Text text = {copy, size - 1};
    switch (data[0] % 4) {
    case 0: try_host(text); break;
    case 1: try_entry(text); break;
    case 2: try_environment(text); break;
    default: try_directory(text); break;
    }
    free(copy);
    return 0;
}
