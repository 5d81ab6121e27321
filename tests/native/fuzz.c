/* A fuzzer's target: hosts, entries, the environment, a directory that holds an entry, and the
   kubelet's requests. */

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

/* Put an entry of HOST on the disk, ask, and return the decision. */
static Decision *
asked(const char *name, mode_t mode, Text entry, Converse *converse, Text request)
{
    static char folder[] = "/tmp/front-fuzz-XXXXXX", setting[64] = "AWS_ECR_CACHE_DIR=";
    static char *variables[] = {NULL, NULL};
    static Decision decision;
    char **own = environ;

    if (variables[0] == NULL) {
        if (mkdtemp(folder) == NULL || chdir(folder) < 0 || mkdir(HOST, 0700) < 0) {
            abort();
        }
        strcat(setting, folder);
        variables[0] = setting;
    }
    int place = open(HOST, O_RDONLY | O_DIRECTORY);
    int file = openat(place, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(file, entry.start, entry.length) < 0 || fchmod(file, mode) < 0) {
        abort();
    }
    close(file);
    environ = variables;
    decision = (Decision){.reason = NULL};
    converse(request, (struct timespec){NOW, 0}, &decision);
    environ = own;
    unlinkat(place, name, 0);
    close(place);
    return &decision;
}

static bool
is_in(Text text, const char *part)
{
    return memmem(text.start, text.length, part, strlen(part)) != NULL;
}

/* Two bytes are name and mode, the rest is the entry; what is answered must be of it. */
static void
try_directory(Text text)
{
    static const char *const names[] = {"login", "0123456789abcdef", "x"};
    char url[] = "https://" HOST "/";

    if (text.length < 2) {
        return;
    }
    const char *name = names[(unsigned char)text.start[0] % 3];
    mode_t odd = text.start[1] < 0 ? (mode_t)(text.start[1] & 077) : 0;
    Text entry = {text.start + 2, text.length - 2};
    Decision *decision = asked(name, 0600 | odd, entry, get, (Text){url, strlen(url)});
    if (decision->reason == NULL
        && (odd || name[0] == 'x' || !is_in(decision->answer, url)
            || decision->answer.start[decision->answer.length - 1] != '\n')) {
        abort();
    }
}

/* A login lies there; only a plain request is answered. As a part of an image's name a key is none. */
static void
try_kubelet(Text text)
{
    static char login[] = "docker-credential-ecr 2\nhost " HOST "\nissued 1795000000\n"
                          "refresh 1795009999\nrenew 1795009999\nexpires 1795009999\n\n\"c2Vj\"\n";
    Decision *decision = asked("login", 0600, (Text){login, strlen(login)}, kubelet, text);

    if (decision->reason == NULL
        && (strcmp(decision->host, HOST) != 0 || !is_in(text, "\"CredentialProviderRequest\"")
            || is_in(text, "\"serviceAccountToken\"") || !is_in(decision->answer, "\"c2Vj\"}}}"))) {
        abort();
    }
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
    switch (data[0] % 5) {
    case 0: try_host(text); break;
    case 1: try_entry(text); break;
    case 2: try_environment(text); break;
    case 3: try_directory(text); break;
    default: try_kubelet(text); break;
    }
    free(copy);
    return 0;
}
