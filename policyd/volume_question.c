/*
 * What the control socket is asked about volume.
 *
 *   release KEY|all            what this node holds goes back to the store
 *   reset KEY                  every use is forgotten, for all nodes
 *                              (a login may have blanks, so KEY is all that follows)
 *   settle spent ID RECIPIENT  the result of a delivery
 *   settle returned ID RECIPIENT
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/control.h"
#include "policyd/volume.h"

#include <stdlib.h>
#include <string.h>

/* The next word of *text; *text moves behind it. */
static char *
word(char **text)
{
    char *start = *text + strspn(*text, " ");
    size_t length = strcspn(start, " ");

    *text = start + length;
    if (**text == ' ')
        *(*text)++ = '\0';
    return start;
}

static void
release(struct volume *volume, const char *key, struct control_call *call, struct buf *answer)
{
    uint64_t count;

    if (key[0] == '\0') {
        buf_puts(answer, "error: release what? a key such as address/a1, or all\n");
        return;
    }
    if (strcmp(key, "all") != 0 && !volume_knows(volume, key)) {
        buf_printf(answer, "error: there is no cap under %s; postpool status names them\n", key);
        return;
    }
    count = volume_release(volume, strcmp(key, "all") == 0 ? NULL : key);
    log_info("release: %s by %s -- %llu grants go back", key, control_user(call),
             (unsigned long long)count);
    buf_printf(answer, "%llu grants go back\n", (unsigned long long)count);
}

static void
reset(struct volume *volume, const char *key, struct control_call *call, struct buf *answer)
{
    if (key[0] == '\0') {
        buf_puts(answer, "error: reset what? a key such as address/a1\n");
        return;
    }
    if (!volume_reset(volume, key)) {
        buf_printf(answer,
                   "error: there is no cap under %s, or no store; postpool status names them\n",
                   key);
        return;
    }
    log_warn("reset: %s by %s -- every use of it is forgotten, its caps may be passed once", key,
             control_user(call));
    buf_printf(answer, "every use of %s is forgotten\n", key);
}

static void
settle(struct volume *volume, char *rest, struct buf *answer)
{
    const char *how = word(&rest), *id = word(&rest);
    const char *recipient = rest;
    bool done;

    if (strcmp(how, "spent") != 0 && strcmp(how, "returned") != 0) {
        buf_puts(answer, "error: settle spent or returned, and then message id and recipient\n");
        return;
    }
    done = how[0] == 's' ? volume_spend(volume, id, recipient)
                         : volume_give_back(volume, id, recipient);
    buf_printf(answer, "%s\n", done ? how : "no grant is open for it");
}

bool
volume_question(struct volume *volume, const char *question, struct control_call *call,
                struct buf *answer)
{
    char *copy = mem_strdup(question), *rest = copy;
    const char *verb = word(&rest);
    bool known = true;

    if (strcmp(verb, "release") == 0)
        release(volume, rest, call, answer);
    else if (strcmp(verb, "reset") == 0)
        reset(volume, rest, call, answer);
    else if (strcmp(verb, "settle") == 0)
        settle(volume, rest, answer);
    else
        known = false;
    free(copy);
    return known;
}
