/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/queued.h"

#include "engine/hash.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 1 << 16 };

/* queued owns its messages. */
struct message {
    TAILQ_ENTRY(message) order;  /* in queued->all, the one heard of longest ago first */
    TAILQ_ENTRY(message) untold; /* in queued->untold, if it is restored and waits */
    struct message *chain;
    bool is_untold;
    bool heard;  /* since it was noted */
    char *waits; /* owned; NULL: it does not wait */
    int64_t since_ms;
    uint64_t since;               /* the turn in which it came; 0: it is kept */
    uint64_t changed;             /* the turn that change is of */
    struct queued_change *change; /* in queued->changes, if changed is this turn */
    size_t id_length;
    size_t size;  /* of all this */
    char *sender; /* into text */
    char text[];  /* queue id, and sender with its NUL */
};

TAILQ_HEAD(message_list, message);

struct queued {
    struct message_list all;
    struct message_list untold; /* in the order in which they were restored */
    struct message *buckets[BUCKETS];
    size_t count;
    size_t bytes;
    bool tracks;
    uint64_t turn; /* from 1 on; another begins when changes are taken */
    struct queued_changes changes;
    size_t change_count;
};

/* No secret: Postfix makes the ids, of the time and of file numbers. */
static struct message **
find(struct queued *queued, struct span id)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool queued";
    struct message **at = &queued->buckets[hash_sip(key, id.start, id.length) % BUCKETS];

    while (*at != NULL &&
           ((*at)->id_length != id.length || memcmp((*at)->text, id.start, id.length) != 0))
        at = &(*at)->chain;
    return at;
}

/* ------------------------------------------------------------------- changes */

static struct queued_change *
add_change(struct queued *queued, const struct message *message)
{
    size_t length = message->id_length + strlen(message->sender) + 1;
    struct queued_change *change = mem_new(sizeof(*change) + length);

    change->id_length = message->id_length;
    change->sender = change->text + message->id_length;
    memcpy(change->text, message->text, length);
    TAILQ_INSERT_TAIL(&queued->changes, change, next);
    queued->change_count++;
    return change;
}

/* What was said of it in this turn, or NULL. */
static struct queued_change *
change_of(const struct queued *queued, const struct message *message)
{
    return message->changed == queued->turn ? message->change : NULL;
}

static void
note_there(struct queued *queued, struct message *message)
{
    if (!queued->tracks)
        return;
    if (change_of(queued, message) == NULL)
        message->change = add_change(queued, message);
    message->changed = queued->turn;
    message->change->heard = message->heard;
    message->change->since_ms = message->since_ms;
    free(message->change->waits);
    message->change->waits = message->waits != NULL ? mem_strdup(message->waits) : NULL;
}

static void
free_change(struct queued_change *change)
{
    free(change->waits);
    free(change);
}

static void
note_gone(struct queued *queued, const struct message *message)
{
    struct queued_change *change = change_of(queued, message);

    if (!queued->tracks)
        return;
    if (message->since < queued->turn) {
        if (change == NULL)
            change = add_change(queued, message);
        change->gone = true;
    } else if (change != NULL) { /* nobody has heard of it */
        TAILQ_REMOVE(&queued->changes, change, next);
        queued->change_count--;
        free_change(change);
    }
}

void
queued_track(struct queued *queued)
{
    struct message *message;

    queued->tracks = true;
    TAILQ_FOREACH(message, &queued->all, order)
    if (message->since > 0)
        note_there(queued, message);
}

void
queued_take_changes(struct queued *queued, struct queued_changes *ret_changes)
{
    TAILQ_INIT(ret_changes);
    TAILQ_CONCAT(ret_changes, &queued->changes, next);
    queued->change_count = 0;
    queued->turn++;
}

void
queued_changes_free(struct queued_changes *changes)
{
    struct queued_change *change;

    while ((change = TAILQ_FIRST(changes)) != NULL) {
        TAILQ_REMOVE(changes, change, next);
        free_change(change);
    }
}

size_t
queued_change_count(const struct queued *queued)
{
    return queued->change_count;
}

/* ------------------------------------------------------------------ messages */

/* It does not wait, or another way than before. */
static void
clear_waits(struct queued *queued, struct message *message)
{
    if (message->is_untold)
        TAILQ_REMOVE(&queued->untold, message, untold);
    message->is_untold = false;
    if (message->waits != NULL) {
        queued->bytes -= strlen(message->waits) + 1;
        free(message->waits);
    }
    message->waits = NULL;
    message->since_ms = 0;
}

static void
put_waits(struct queued *queued, struct message *message, const char *recipient, int64_t since_ms)
{
    message->waits = mem_strdup(recipient);
    message->since_ms = since_ms;
    queued->bytes += strlen(recipient) + 1;
}

static void
drop(struct queued *queued, struct message **at)
{
    struct message *message = *at;

    note_gone(queued, message);
    clear_waits(queued, message);
    *at = message->chain;
    TAILQ_REMOVE(&queued->all, message, order);
    queued->count--;
    queued->bytes -= message->size;
    free(message);
}

struct queued *
queued_new(void)
{
    struct queued *queued = mem_new(sizeof(*queued));

    TAILQ_INIT(&queued->all);
    TAILQ_INIT(&queued->untold);
    TAILQ_INIT(&queued->changes);
    queued->turn = 1;
    return queued;
}

void
queued_free(struct queued *queued)
{
    struct message *message;

    if (queued == NULL)
        return;
    while ((message = TAILQ_FIRST(&queued->all)) != NULL) {
        TAILQ_REMOVE(&queued->all, message, order);
        free(message->waits);
        free(message);
    }
    queued_changes_free(&queued->changes);
    free(queued);
}

static struct message *
add(struct queued *queued, struct span queue_id, struct span sender)
{
    size_t size = sizeof(struct message) + queue_id.length + sender.length + 1;
    struct message *message = mem_new(size), **at;

    message->size = size;
    message->id_length = queue_id.length;
    message->sender = message->text + queue_id.length;
    memcpy(message->text, queue_id.start, queue_id.length);
    memcpy(message->sender, sender.start, sender.length);
    at = find(queued, queue_id);
    message->chain = *at;
    *at = message;
    TAILQ_INSERT_TAIL(&queued->all, message, order);
    queued->count++;
    queued->bytes += size;
    while (queued->count > QUEUED_MAX || queued->bytes > QUEUED_BYTES_MAX) {
        struct message *oldest = TAILQ_FIRST(&queued->all);

        drop(queued, find(queued, (struct span){oldest->text, oldest->id_length}));
    }
    return message;
}

void
queued_note(struct queued *queued, struct span queue_id, struct span sender)
{
    struct message *message = *find(queued, queue_id);

    if (message != NULL && strlen(message->sender) == sender.length &&
        memcmp(message->sender, sender.start, sender.length) == 0) {
        queued_sender(queued, queue_id);
        if (message->heard || message->waits != NULL) {
            message->heard = false;
            clear_waits(queued, message);
            note_there(queued, message);
        }
        return;
    }
    queued_remove(queued, queue_id);
    message = add(queued, queue_id, sender);
    message->since = queued->turn;
    note_there(queued, message);
}

void
queued_restore(struct queued *queued, struct span queue_id, struct span sender, bool heard,
               const char *recipient, int64_t since_ms)
{
    struct message *message;

    queued_remove(queued, queue_id);
    message = add(queued, queue_id, sender);
    message->heard = heard;
    if (recipient == NULL)
        return;
    put_waits(queued, message, recipient, since_ms);
    message->is_untold = true;
    TAILQ_INSERT_TAIL(&queued->untold, message, untold);
}

bool
queued_next_waiting(struct queued *queued, struct queued_wait *ret_wait)
{
    struct message *message = TAILQ_FIRST(&queued->untold);

    if (message == NULL)
        return false;
    TAILQ_REMOVE(&queued->untold, message, untold);
    message->is_untold = false;
    *ret_wait = (struct queued_wait){
        {message->text, message->id_length}, message->sender, message->waits, message->since_ms};
    return true;
}

const char *
queued_sender(struct queued *queued, struct span queue_id)
{
    struct message *message = *find(queued, queue_id);

    if (message == NULL)
        return NULL;
    TAILQ_REMOVE(&queued->all, message, order);
    TAILQ_INSERT_TAIL(&queued->all, message, order);
    return message->sender;
}

void
queued_set_heard(struct queued *queued, struct span queue_id)
{
    struct message *message = *find(queued, queue_id);

    if (message == NULL || message->heard)
        return;
    message->heard = true;
    note_there(queued, message);
}

void
queued_set_waits(struct queued *queued, struct span queue_id, const char *recipient,
                 int64_t since_ms)
{
    struct message *message = *find(queued, queue_id);

    if (message == NULL || (message->waits == NULL && recipient == NULL))
        return;
    clear_waits(queued, message);
    if (recipient != NULL)
        put_waits(queued, message, recipient, since_ms);
    note_there(queued, message);
}

bool
queued_is_heard(struct queued *queued, struct span queue_id)
{
    struct message *message = *find(queued, queue_id);

    return message != NULL && message->heard;
}

void
queued_remove(struct queued *queued, struct span queue_id)
{
    struct message **at = find(queued, queue_id);

    if (*at != NULL)
        drop(queued, at);
}

size_t
queued_count(const struct queued *queued)
{
    return queued->count;
}
