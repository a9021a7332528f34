/*
 * Which messages are in Postfix' queue, as its log tells: from a queue id to
 * the sender, whose tag has the message's stream and id.  Pure.
 *
 * Queue ids may be used again as soon as a message left the queue; whoever comes
 * under one that is taken is the new one.  Of too many messages those go that
 * nothing was heard of for longest; the queue manager tells of them again when
 * it takes them up next.
 *
 * Who keeps what is known over a restart asks for what changed, from time to time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_QUEUED_H
#define POLICYD_QUEUED_H

#include "lib/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    QUEUED_MAX = 200 * 1000,             /* messages that are known */
    QUEUED_BYTES_MAX = 64 * 1024 * 1024, /* that they take */
};

struct queued;

/* One message came, or was heard of, or left. */
struct queued_change {
    TAILQ_ENTRY(queued_change) next;
    bool gone; /* else it is there as follows */
    bool heard;
    char *waits; /* the recipient, as in struct queued_wait; owned; NULL: it does not */
    int64_t since_ms;
    size_t id_length;
    char *sender; /* into text; ends in NUL */
    char text[];  /* queue id, and sender */
};

/* One that waits.  Texts end in NUL, but for the queue id. */
struct queued_wait {
    struct span queue_id;
    const char *sender;
    const char *recipient;
    int64_t since_ms; /* when it came in, by the time of day */
};

TAILQ_HEAD(queued_changes, queued_change);

struct queued *queued_new(void);
void queued_free(struct queued *queued); /* takes NULL */

/* The message is in the queue, from this sender, and its delivery begins. */
void queued_note(struct queued *queued, struct span queue_id, struct span sender);

/* Its sender, or NULL; until the next call. */
const char *queued_sender(struct queued *queued, struct span queue_id);

/* A server heard of a recipient of it, and another one is asked: none tells of which. */
void queued_set_heard(struct queued *queued, struct span queue_id);
bool queued_is_heard(struct queued *queued, struct span queue_id);

/*
 * A recipient of it was deferred, and it waits for its turn, until its delivery begins again.
 * since_ms: when it came in, by the time of day.  recipient NULL: it waits no more.
 */
void queued_set_waits(struct queued *queued, struct span queue_id, const char *recipient,
                      int64_t since_ms);

/* It left the queue. */
void queued_remove(struct queued *queued, struct span queue_id);

/* As queued_note(), of one that is kept already; recipient NULL: it does not wait. */
void queued_restore(struct queued *queued, struct span queue_id, struct span sender, bool heard,
                    const char *recipient, int64_t since_ms);

/* The next of the restored ones that still wait, each once; until the next call. */
bool queued_next_waiting(struct queued *queued, struct queued_wait *ret_wait);

/*
 * From now on changes are noted; the first are what is there and was not restored.  They take as
 * much as the messages again, and as long as nobody takes them, what is gone of the kept ones
 * beside that.
 */
void queued_track(struct queued *queued);

/*
 * What changed since the last call, in its order, becomes the caller's: carried out on what was
 * kept until then, it makes that what is known now.  Of what came and left between two calls
 * nothing is said.  Costs the same however much it is.
 */
void queued_take_changes(struct queued *queued, struct queued_changes *ret_changes);
void queued_changes_free(struct queued_changes *changes); /* what is in it */
size_t queued_change_count(const struct queued *queued);  /* that would be taken */

size_t queued_count(const struct queued *queued);

#endif
