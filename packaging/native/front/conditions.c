/* The conditions of an entry: what cache.holds and machine.booted do. */

#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_DRIFT 60         /* seconds, cache._BOOT_DRIFT */
#define NANOSECONDS 1000000000LL
#define LAST_SECOND 9000000000LL  /* whose nanoseconds fit 63 bits; the year 2255 */
#define MERSENNE ((UINT64_C(1) << 61) - 1)

static bool
holds_env(Text rest)
{
    Text name, value;

    partition(rest, '=', &name, &value);
    const char *now = variable(name.start, name.length);
    return now != NULL && is_text(value, now);
}

/* Return the remainder of division by 2**61 - 1, as cache.residue_of does. */
static uint64_t
residue(const char *text, size_t size)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < size; i++) {
        rest = (rest >> 53) + ((rest << 8) & MERSENNE) + (unsigned char)text[i];
        if (rest >= MERSENNE) {
            rest -= MERSENNE;
        }
    }
    return rest;
}

/* As Python writes it: no other digits are the same text. */
static bool
is_number(Text text, uint64_t number)
{
    char digits[DIGITS];

    return is_text(text, digits_of(number, digits).start);
}

static bool
is_signed(Text text, int64_t number)
{
    if (number >= 0) {
        return is_number(text, (uint64_t)number);
    }
    return text.length && text.start[0] == '-'
           && is_number((Text){text.start + 1, text.length - 1}, 0 - (uint64_t)number);
}

static bool
holds_residue(Text rest)
{
    Text name, digits;
    if (!partition(rest, ' ', &name, &digits)) {
        return false;
    }
    const char *secret = variable(name.start, name.length);
    if (secret == NULL) {
        return false;
    }
    return is_number(digits, residue(secret, strlen(secret)));
}

/* A condition's path ends its line, and so is ended by the NUL that stands for the line's end. */
static bool
is_path(Text path)
{
    return strlen(path.start) == path.length;
}

static bool
holds_file(Text path)
{
    struct stat state;
    Text numbers[5];

    for (int i = 0; i < 5; i++) {
        if (!partition(path, ' ', &numbers[i], &path)) {
            return false;
        }
    }
    if (!is_path(path) || stat(path.start, &state) < 0) {
        return false;
    }
    int64_t modified = MODIFIED(state).tv_sec, changed = CHANGED(state).tv_sec;
    return llabs(modified) <= LAST_SECOND && llabs(changed) <= LAST_SECOND
           && is_signed(numbers[0], modified * NANOSECONDS + MODIFIED(state).tv_nsec)
           && is_signed(numbers[1], changed * NANOSECONDS + CHANGED(state).tv_nsec)
           && is_signed(numbers[2], state.st_size) && is_number(numbers[3], state.st_ino)
           && is_signed(numbers[4], (int64_t)state.st_dev);
}

static bool
holds_absent(Text path)
{
    struct stat state;

    return is_path(path) && stat(path.start, &state) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Set id to the kernel's name for this boot, which is empty where there is none. */
static bool
boot_id(char *id, size_t size)
{
    int descriptor = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t length = 0;

    if (descriptor >= 0) {
        length = read(descriptor, id, size - 1);
        close(descriptor);
    }
    if (length > 0 && id[length - 1] == '\n') {
        length--;
    }
    for (ssize_t i = 0; i < length; i++) {
        if (id[i] <= ' ' || id[i] > '~') {
            return false;
        }
    }
    id[length < 0 ? 0 : length] = '\0';
    return true;
}

static bool
holds_booted(Text rest)
{
    struct timespec now, up;
    struct utsname system;
    Text digits, machine;
    int64_t then;

    partition(rest, ' ', &digits, &machine);
    if (!parse_number(digits, &then) || read_clock(CLOCK_REALTIME, &now) < 0
        || read_clock(CLOCK_MONOTONIC, &up) < 0 || uname(&system) < 0) {
        return false;
    }
    for (char *c = system.nodename; *c; c++) {
        if (*c < 0) {
            return false;  /* Python counts characters there */
        }
        if (!(*c >= '0' && *c <= '9') && !(*c >= 'A' && *c <= 'Z') && !(*c >= 'a' && *c <= 'z')) {
            *c = '-';
        }
    }
    /* A second less than Python allows, as it rounds the difference of the two clocks. */
    int64_t when = (int64_t)now.tv_sec - (int64_t)up.tv_sec;
    return when > 0 && llabs(then - when) < BOOT_DRIFT && machine.length
           && is_text(machine, system.nodename);
}

static bool
holds_boot(Text rest, bool by_clock)
{
    char id[65];

    if (!boot_id(id, sizeof id) || (id[0] == '\0') != by_clock) {
        return false;
    }
    return by_clock ? holds_booted(rest) : is_text(rest, id);
}

static bool
holds_line(Text line)
{
    Text kind, rest;
    bool has_rest = partition(line, ' ', &kind, &rest);

    if (is_text(kind, "env")) {
        return holds_env(rest);
    }
    if (is_text(kind, "unset")) {
        return variable(rest.start, rest.length) == NULL;
    }
    if (is_text(kind, "file")) {
        return holds_file(rest);
    }
    if (is_text(kind, "absent")) {
        return has_rest && holds_absent(rest);
    }
    if (is_text(kind, "boot") || is_text(kind, "booted")) {
        return has_rest && holds_boot(rest, kind.length > strlen("boot"));
    }
    if (is_text(kind, "residue")) {
        return holds_residue(rest);
    }
    return false;
}

/* Whether all of these lines hold.  Each ends with a byte of the entry's that is overwritten. */
bool
holds(Text conditions)
{
    Text line;

    while (conditions.length) {
        partition(conditions, '\n', &line, &conditions);
        line.start[line.length] = '\0';
        if (!holds_line(line)) {
            return false;
        }
    }
    return true;
}
