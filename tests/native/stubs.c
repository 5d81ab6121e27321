/* In the place of the streams, for drivers that only have decisions made: nothing may come here. */

#include "front.h"

#include <stdlib.h>

int
go_on(int argc, char **argv, Text request, bool was_read)
{
    (void)argc, (void)argv, (void)request, (void)was_read;
    abort();
}

void
say(const char *before, const char *quoted, const char *after)
{
    (void)before, (void)quoted, (void)after;
    abort();
}
