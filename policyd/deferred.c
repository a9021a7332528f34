/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/deferred.h"

#include "engine/hash.h"
#include "lib/maillog.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 1 << 14 };

/* deferred owns its lines. */
struct line {
    TAILQ_ENTRY(line) order;    /* in deferred->all, the oldest first */
    TAILQ_ENTRY(line) bucket;   /* of its message's, in the same order */
    struct maillog_frame frame; /* into text */
    struct span queue_id;       /* into text */
    size_t size;                /* of all this */
    char text[];
};

TAILQ_HEAD(line_list, line);

struct deferred {
    struct line_list all;
    struct line_list buckets[BUCKETS];
    size_t bytes;
};

/* No secret: Postfix makes the ids. */
static struct line_list *
bucket_of(const struct deferred *deferred, struct span queue_id)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool deferre";
    uint64_t hash = hash_sip(key, queue_id.start, queue_id.length);

    return (struct line_list *)&deferred->buckets[hash % BUCKETS];
}

static bool
is_of(const struct line *line, struct span queue_id)
{
    return line->queue_id.length == queue_id.length &&
           memcmp(line->queue_id.start, queue_id.start, queue_id.length) == 0;
}

static void
drop(struct deferred *deferred, struct line *line)
{
    TAILQ_REMOVE(&deferred->all, line, order);
    TAILQ_REMOVE(bucket_of(deferred, line->queue_id), line, bucket);
    deferred->bytes -= line->size;
    free(line);
}

struct deferred *
deferred_new(void)
{
    struct deferred *deferred = mem_new(sizeof(*deferred));

    TAILQ_INIT(&deferred->all);
    for (size_t i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&deferred->buckets[i]);
    return deferred;
}

void
deferred_free(struct deferred *deferred)
{
    struct line *line;

    if (deferred == NULL)
        return;
    while ((line = TAILQ_FIRST(&deferred->all)) != NULL)
        drop(deferred, line);
    free(deferred);
}

/* Copy span to *at, which is put behind it. */
static struct span
keep(char **at, struct span span)
{
    struct span kept = {*at, span.length};

    if (span.length > 0)
        memcpy(*at, span.start, span.length);
    *at += span.length;
    return kept;
}

void
deferred_add(struct deferred *deferred, struct span queue_id, const struct maillog_frame *frame)
{
    size_t size =
        sizeof(struct line) + queue_id.length + frame->ident.length + frame->message.length;
    struct line *line = mem_new(size);
    char *at = line->text;

    line->size = size;
    line->queue_id = keep(&at, queue_id);
    line->frame.time = frame->time;
    line->frame.ident = keep(&at, frame->ident);
    line->frame.message = keep(&at, frame->message);
    TAILQ_INSERT_TAIL(&deferred->all, line, order);
    TAILQ_INSERT_TAIL(bucket_of(deferred, queue_id), line, bucket);
    deferred->bytes += size;
    while (deferred->bytes > DEFERRED_BYTES_MAX)
        drop(deferred, TAILQ_FIRST(&deferred->all));
}

void
deferred_drop(struct deferred *deferred, struct span queue_id)
{
    struct line_list *bucket = bucket_of(deferred, queue_id);
    struct line *line, *next;

    for (line = TAILQ_FIRST(bucket); line != NULL; line = next) {
        next = TAILQ_NEXT(line, bucket);
        if (is_of(line, queue_id))
            drop(deferred, line);
    }
}

void
deferred_each(const struct deferred *deferred, struct span queue_id,
              void (*each)(void *arg, const struct maillog_frame *frame), void *arg)
{
    struct line *line;

    TAILQ_FOREACH(line, bucket_of(deferred, queue_id), bucket)
    if (is_of(line, queue_id))
        each(arg, &line->frame);
}
