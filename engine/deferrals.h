/*
 * Messages that were deferred lately, by the address that they were to leave from:
 * whom a suspension of that address hits.
 *
 * The last DEFERRALS_MAX of them.  Memory: about 250 bytes for each.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_DEFERRALS_H
#define ENGINE_DEFERRALS_H

#include <stdint.h>

enum { DEFERRALS_MAX = 20000 };

struct deferrals;

/* One message.  Texts end in NUL and, inside, belong to deferrals. */
struct deferral {
    int64_t at_ms;
    int64_t since_ms; /* when the message came in */
    const char *queue_id;
    const char *message_id;
    const char *account;
    const char *recipient;
    const char *domain; /* of recipient */
    const char *stream;
    const char *address;
    const char *provider;
};

struct deferrals *deferrals_new(void);            /* NULL only without memory */
void deferrals_free(struct deferrals *deferrals); /* takes NULL */

/* One was deferred; what was known of it by its queue id is no more.  Texts are copied. */
void deferrals_note(struct deferrals *deferrals, const struct deferral *what);

/* It left the queue, or waits for something else. */
void deferrals_forget(struct deferrals *deferrals, const char *queue_id);

/*
 * Give out, and forget, those of address that were deferred no earlier than
 * since_ms, the newest first; provider and domain are NULL or theirs.  each may
 * not change deferrals.  Takes a fixed time for each that is known.
 */
void deferrals_take(struct deferrals *deferrals, const char *address, const char *provider,
                    const char *domain, int64_t since_ms,
                    void (*each)(void *arg, const struct deferral *deferral), void *arg);

#endif
