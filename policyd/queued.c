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
    TAILQ_ENTRY(message) order; /* in queued->all, the one heard of longest ago first */
    struct message *chain;
    bool heard; /* since it was noted */
    size_t id_length;
    size_t size;  /* of all this */
    char *sender; /* into text */
    char text[];  /* queue id, and sender with its NUL */
};

TAILQ_HEAD(message_list, message);

struct queued {
    struct message_list all;
    struct message *buckets[BUCKETS];
    size_t count;
    size_t bytes;
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

static void
drop(struct queued *queued, struct message **at)
{
    struct message *message = *at;

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
        free(message);
    }
    free(queued);
}

void
queued_note(struct queued *queued, struct span queue_id, struct span sender)
{
    struct message *message, **at;
    size_t size = sizeof(*message) + queue_id.length + sender.length + 1;

    queued_remove(queued, queue_id);
    message = mem_new(size);
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

    if (message != NULL)
        message->heard = true;
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
