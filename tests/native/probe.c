/* The front's decision, asked many times by one process: for each case on stdin an answer on stdout.

   A case: the clock (64 bits), the effective user (32), whether it is the kubelet that asks (32), the
   directory to be in, the request, the number of variables (32) and each of them; texts have their
   length (32) before them.  An answer is a text: '+' and the bytes of the front's answer, '*' and the
   same if a renewal is to follow it, or '-' and why it goes on in Python. */

#include "front.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
take(void *into, size_t size)
{
    if (size && fread(into, size, 1, stdin) != 1) {
        exit(0);
    }
}

static uint32_t
take_number(void)
{
    uint32_t number;

    take(&number, sizeof number);
    return number;
}

/* Each text has a block of its own, so that a byte read behind it is found. */
static Text
take_text(size_t more)
{
    size_t size = take_number();
    char *text = malloc(size + more);

    if (text == NULL && size + more) {
        exit(1);
    }
    take(text, size);
    if (more) {
        text[size] = '\0';
    }
    return (Text){text, size};
}

static void
answer_with(char mark, const char *text, size_t size)
{
    uint32_t whole = (uint32_t)size + 1;

    fwrite(&whole, sizeof whole, 1, stdout);
    putchar(mark);
    fwrite(text, 1, size, stdout);
    fflush(stdout);
}

int
main(void)
{
    for (;;) {
        int64_t now;
        static Decision decision;

        take(&now, sizeof now);
        uid_t user = take_number();
        Converse *converse = take_number() ? kubelet : get;
        Text folder = take_text(1), request = take_text(0);
        uint32_t count = take_number();
        char **variables = calloc(count + 1U, sizeof *variables);
        if (variables == NULL || chdir(folder.start) < 0) {
            return 1;
        }
        for (uint32_t i = 0; i < count; i++) {
            variables[i] = take_text(1).start;
        }
        char **own = environ;
        environ = variables;
        if (user && seteuid(user) < 0) {
            return 1;
        }
        decision = (Decision){.reason = NULL};
        converse(request, (struct timespec){(time_t)now, 0}, &decision);
        if (user && seteuid(0) < 0) {
            return 1;
        }
        environ = own;
        if (decision.reason == NULL) {
            Text answer = decision.answer;
            answer_with(decision.is_due ? '*' : '+', answer.start, answer.length);
        }
        else {
            answer_with('-', decision.reason, strlen(decision.reason));
        }
        for (uint32_t i = 0; i < count; i++) {
            free(variables[i]);
        }
        free(variables);
        free(folder.start);
        free(request.start);
    }
}
