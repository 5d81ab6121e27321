/* The names in a directory, one after another.

   Not by readdir where the kernel can be asked: what that allocates costs a hit more than the entry
   that it is for. */

#include "front.h"

#include <errno.h>
#include <unistd.h>
#ifdef __APPLE__
#include <dirent.h>

static DIR *stream;

bool
open_names(int place)
{
    stream = fdopendir(place);
    if (stream == NULL) {
        close(place);
    }
    return stream != NULL;
}

/* Return the next name, or NULL after the last one, or where errno says why there is no more. */
const char *
next_name(void)
{
    errno = 0;
    struct dirent *item = readdir(stream);

    return item == NULL ? NULL : item->d_name;
}

void
close_names(void)
{
    closedir(stream);
}
#else
#include <sys/syscall.h>

#define ITEMS 4096 /* bytes, some fifty entries of a directory */

/* As the kernel writes it: getdents64(2). */
struct item {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t kind;
    char name[];
};
static _Alignas(struct item) char items[ITEMS];
static int folder;
static long at, end; /* of what is left in items */

bool
open_names(int place)
{
    folder = place;
    at = end = 0;
    return true;
}

/* Return the next name, or NULL after the last one, or where errno says why there is no more. */
const char *
next_name(void)
{
    if (at == end) {
        errno = 0;
        at = 0;
        end = syscall(SYS_getdents64, folder, items, sizeof items);
        if (end <= 0) {
            end = 0;
            return NULL;
        }
    }
    struct item *item = (struct item *)(void *)(items + at);

    at += item->length;
    return item->name;
}

void
close_names(void)
{
    close(folder);
}
#endif
