/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide.h"

#include "engine/hash.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"

#include <string.h>

uint64_t
decide_key(const char *message, const char *domain)
{
    /* No secret: who could choose a message's id to gain by it would need our tag's. */
    static const uint8_t key[HASH_KEY_SIZE] = "postpool decide";

    return hash_mix(hash_sip(key, message, strlen(message)) ^
                    hash_mix(hash_sip(key, domain, strlen(domain))));
}

/* Pool number step of the stream: its own, then the ladder; NULL behind the end. */
static const struct pool *
pool_at(const struct stream *stream, size_t step)
{
    if (step == 0)
        return stream->pool;
    return step <= stream->pool->overflow_count ? stream->pool->overflow[step - 1] : NULL;
}

static void
decision_start(struct decision *decision, const struct stream *stream)
{
    decision->stream = stream;
    decision->pool = NULL;
    decision->address = NULL;
    decision->candidate_count = 0;
    decision->omitted = 0;
}

void
decide(const struct roster *roster, const struct stream *stream, uint64_t key,
       struct decision *ret_decision)
{
    const struct pool *pool;

    decision_start(ret_decision, stream);
    for (size_t step = 0; (pool = pool_at(stream, step)) != NULL; step++) {
        struct rendezvous_walk walk;
        const struct member *member;

        rendezvous_start(&walk, roster->by_pool[pool->index], key);
        member = rendezvous_next(&walk);
        if (member != NULL) {
            ret_decision->pool = pool;
            ret_decision->address = member->address;
            return;
        }
    }
}

static void
record(struct decision *decision, const struct pool *pool, const struct address *address,
       enum verdict verdict)
{
    if (decision->candidate_count == DECISION_CANDIDATES_MAX) {
        decision->omitted++;
        return;
    }
    decision->candidates[decision->candidate_count++] = (struct candidate){pool, address, verdict};
}

void
decide_explained(const struct roster *roster, const struct stream *stream, uint64_t key,
                 struct decision *ret_decision)
{
    const struct pool *pool;

    decision_start(ret_decision, stream);
    for (size_t step = 0; (pool = pool_at(stream, step)) != NULL; step++) {
        struct rendezvous_walk walk;
        const struct member *member;

        rendezvous_start(&walk, roster->by_pool[pool->index], key);
        while ((member = rendezvous_next(&walk)) != NULL) {
            if (ret_decision->address == NULL) {
                ret_decision->pool = pool;
                ret_decision->address = member->address;
                record(ret_decision, pool, member->address, VERDICT_TAKEN);
            } else {
                record(ret_decision, pool, member->address, VERDICT_NOT_ASKED);
            }
        }
        for (size_t i = 0; i < pool->member_count; i++)
            if (!roster->present[pool->members[i].address->index])
                record(ret_decision, pool, pool->members[i].address, VERDICT_NOT_HERE);
    }
}

const char *
verdict_text(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_TAKEN:
        return "taken";
    case VERDICT_NOT_HERE:
        return "this host does not have the address";
    case VERDICT_NOT_ASKED:
        return "not asked: an earlier one was taken";
    }
    return "?";
}
