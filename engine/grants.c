/*
 * The grants stand in slots, and slots are numbered from 1 as they are made;
 * 0 is none.  Slots come in chunks and never move.
 *
 * The index is linear hashing with chains (Litwin 1980): there are as many
 * buckets as slots, and each new slot brings its bucket along, into which one
 * older bucket is split.  So the index grows by one step for each grant, and
 * has no memory of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/grants.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1024,         /* slots that are allocated together; a power of two */
    KEY_BLOCK_SIZE = 256, /* most recipients fit into one */
};

_Static_assert(GRANT_GONE == GRANT_NO_METER, "what a map says of a meter that is gone");

struct slot {
    struct grant_key key;
    struct grant grant;
    uint32_t older, newer; /* neighbours in age; newer of a spare slot: the next spare one */
    uint32_t chain;        /* the next one in the same bucket */
    uint32_t bucket;       /* the first one of the bucket that came with this slot */
    uint32_t numbering;    /* the grants.numbering that its numbers are of */
    uint16_t account;      /* whose it is; 0: nobody's */
    uint16_t stream : 10;  /* likewise */
    bool is_open : 1;
    bool is_asked : 1; /* somebody lets the mail go by it */
};

_Static_assert(GRANTS_STREAMS <= 1 << 10, "they fit into a slot");
_Static_assert(sizeof(struct slot) <= 72, "the memory that grants.h promises");

/* One call of grants_remap(). */
struct remap {
    const uint32_t *addresses, *meters;
    size_t address_count, meter_count;
    uint32_t *copy; /* both lists, ours; NULL: they are the caller's */
};

struct grants {
    size_t most;
    int64_t lifetime_ms;
    struct slot **chunks; /* room for all of them */
    size_t made;          /* slots, and buckets */
    size_t mask;          /* 2^n - 1, at least made - 1: the bits of a key that count */
    uint32_t spare;
    uint32_t oldest, newest;
    uint32_t numbering;                 /* how many remaps there were */
    struct remap remaps[GRANTS_REMAPS]; /* the last ones, which some slots may have missed */
    size_t remap_count;
    size_t rewritten;                   /* slots up to here have missed none */
    uint32_t by_stream[GRANTS_STREAMS]; /* how many are open */
    uint32_t by_account[GRANTS_ACCOUNTS];
    struct grants_figures figures;
};

/* Text on its way into a key.  The block starts with the key of what was before it. */
struct text {
    const uint8_t *secret;
    struct grant_key key;
    size_t length;
    uint8_t block[KEY_BLOCK_SIZE];
};

static void
text_start_block(struct text *text)
{
    memcpy(text->block + 1, &text->key, sizeof(text->key));
    text->length = 1 + sizeof(text->key);
}

/* The first byte parts the two runs. */
static void
text_end_block(struct text *text)
{
    text->block[0] = 'h';
    text->key.high = hash_sip(text->secret, text->block, text->length);
    text->block[0] = 'l';
    text->key.low = hash_sip(text->secret, text->block, text->length);
}

static void
text_add(struct text *text, char c)
{
    if (text->length == sizeof(text->block)) {
        text_end_block(text);
        text_start_block(text);
    }
    text->block[text->length++] = (uint8_t)c;
}

/*
 * RFC 5321 lets the case of a local part matter, but mailboxes that differ in
 * it only are not seen.  To miss a result over its spelling would be the worse
 * mistake: it happens in practice, and charges for mail that never left.  The
 * same goes for quotes, which Postfix writes in its log and leaves out in
 * others of its texts.  Bytes beyond ASCII are taken as they are.
 */
void
grant_key(const uint8_t secret[static HASH_KEY_SIZE], const char *message_id, const char *recipient,
          struct grant_key *ret_key)
{
    struct text text;

    text.secret = secret;
    text.key = (struct grant_key){0};
    text_start_block(&text);
    for (; *message_id != '\0'; message_id++)
        text_add(&text, *message_id);
    text_add(&text, '\0');
    for (; *recipient != '\0'; recipient++) {
        char c = *recipient;

        if (c != '"' && c != '\\')
            text_add(&text, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    text_end_block(&text);
    *ret_key = text.key;
}

static struct slot *
slot_at(const struct grants *grants, size_t number)
{
    return &grants->chunks[(number - 1) / CHUNK][(number - 1) % CHUNK];
}

static bool
same_key(const struct grant_key *a, const struct grant_key *b)
{
    return a->low == b->low && a->high == b->high;
}

/* The place that names the slot of key, or the 0 at the end of the chain that it would be in. */
static uint32_t *
find_link(const struct grants *grants, const struct grant_key *key)
{
    size_t bucket = (size_t)key->low & grants->mask;
    uint32_t *link;

    if (bucket >= grants->made)
        bucket &= grants->mask >> 1; /* it is not there yet: what it will be split from */
    for (link = &slot_at(grants, bucket + 1)->bucket; *link != 0;) {
        struct slot *slot = slot_at(grants, *link);

        if (same_key(&slot->key, key))
            break;
        link = &slot->chain;
    }
    return link;
}

/* Move to the bucket of a new slot what belongs there; slot->bucket is 0 before. */
static void
split(struct grants *grants, size_t bucket, struct slot *slot)
{
    uint32_t *link = &slot_at(grants, (bucket & grants->mask >> 1) + 1)->bucket;

    while (*link != 0) {
        uint32_t number = *link;
        struct slot *other = slot_at(grants, number);

        if (((size_t)other->key.low & grants->mask) == bucket) {
            *link = other->chain;
            other->chain = slot->bucket;
            slot->bucket = number;
        } else {
            link = &other->chain;
        }
    }
}

/* One more slot, which is spare.  False: there are as many as can be, or there is no memory. */
static bool
make_slot(struct grants *grants)
{
    size_t bucket = grants->made;
    struct slot **chunk = &grants->chunks[bucket / CHUNK];

    if (bucket == grants->most)
        return false;
    if (*chunk == NULL) {
        size_t rest = grants->most - bucket;

        *chunk = calloc(rest < CHUNK ? rest : CHUNK, sizeof(struct slot));
        if (*chunk == NULL)
            return false;
    }
    grants->made++;
    if (bucket > grants->mask)
        grants->mask = grants->mask << 1 | 1;
    if (bucket > 0)
        split(grants, bucket, slot_at(grants, bucket + 1));
    slot_at(grants, bucket + 1)->newer = grants->spare;
    grants->spare = (uint32_t)(bucket + 1);
    return true;
}

struct grants *
grants_new(size_t most, int64_t lifetime_ms)
{
    struct grants *grants = calloc(1, sizeof(*grants));

    if (grants == NULL)
        return NULL;
    grants->most = most < 1 ? 1 : most > GRANTS_LIMIT ? GRANTS_LIMIT : most;
    grants->lifetime_ms = lifetime_ms;
    grants->chunks = calloc((grants->most - 1) / CHUNK + 1, sizeof(*grants->chunks));
    /* With one slot there is always one to take, so that grants_reserve() cannot fail. */
    if (grants->chunks == NULL || !make_slot(grants)) {
        grants_free(grants);
        return NULL;
    }
    return grants;
}

static void
forget_remaps(struct grants *grants)
{
    for (size_t i = 0; i < grants->remap_count; i++)
        free(grants->remaps[i].copy);
    grants->remap_count = 0;
}

void
grants_free(struct grants *grants)
{
    if (grants == NULL)
        return;
    forget_remaps(grants);
    for (size_t i = 0; grants->chunks != NULL && i <= (grants->most - 1) / CHUNK; i++)
        free(grants->chunks[i]);
    free(grants->chunks);
    free(grants);
}

void
grants_set_lifetime(struct grants *grants, int64_t lifetime_ms)
{
    grants->lifetime_ms = lifetime_ms;
}

void
grants_figures(const struct grants *grants, struct grants_figures *ret_figures)
{
    *ret_figures = grants->figures;
}

/* The place that names a neighbour of a slot, or the end of the list. */
static uint32_t *
newer_of(struct grants *grants, uint32_t number)
{
    return number == 0 ? &grants->oldest : &slot_at(grants, number)->newer;
}

static uint32_t *
older_of(struct grants *grants, uint32_t number)
{
    return number == 0 ? &grants->newest : &slot_at(grants, number)->older;
}

/* The grant of *link is over, for the reason that figure counts. */
static void
end_grant(struct grants *grants, uint32_t *link, uint64_t *figure)
{
    uint32_t number = *link;
    struct slot *slot = slot_at(grants, number);

    *link = slot->chain;
    *newer_of(grants, slot->older) = slot->newer;
    *older_of(grants, slot->newer) = slot->older;
    slot->is_open = false;
    slot->newer = grants->spare;
    grants->spare = number;
    grants->by_stream[slot->stream]--;
    grants->by_account[slot->account]--;
    grants->figures.open--;
    (*figure)++;
}

static bool
is_expired(const struct grants *grants, const struct slot *slot, int64_t now_ms)
{
    return now_ms - slot->grant.at_ms >= grants->lifetime_ms;
}

static uint32_t
mapped(uint32_t number, const uint32_t *map, size_t count)
{
    if (count == GRANT_SAME)
        return number;
    return number < count ? map[number] : GRANT_GONE;
}

/* Take the slot's numbers through the remaps that it missed.  False: the address is gone. */
static bool
rewrite(const struct grants *grants, struct slot *slot)
{
    size_t missed = grants->numbering - slot->numbering;
    struct grant *grant = &slot->grant;

    for (size_t i = grants->remap_count - missed; i < grants->remap_count; i++) {
        const struct remap *remap = &grants->remaps[i];

        grant->address = mapped(grant->address, remap->addresses, remap->address_count);
        if (grant->address == GRANT_GONE)
            return false;
        for (size_t j = 0; j < GRANT_METERS; j++)
            grant->meters[j] = mapped(grant->meters[j], remap->meters, remap->meter_count);
    }
    slot->numbering = grants->numbering;
    return true;
}

/* As find_link(), for a grant that is open still: others end here. */
static uint32_t *
find_open(struct grants *grants, const struct grant_key *key, int64_t now_ms)
{
    uint32_t *link = find_link(grants, key);

    if (*link == 0)
        return NULL;
    if (is_expired(grants, slot_at(grants, *link), now_ms))
        end_grant(grants, link, &grants->figures.expired);
    else if (!rewrite(grants, slot_at(grants, *link)))
        end_grant(grants, link, &grants->figures.homeless);
    else
        return link;
    return NULL;
}

const struct grant *
grants_find(struct grants *grants, const struct grant_key *key, int64_t now_ms)
{
    const uint32_t *link = find_open(grants, key, now_ms);

    return link == NULL ? NULL : &slot_at(grants, *link)->grant;
}

const struct grant *
grants_ask(struct grants *grants, const struct grant_key *key, int64_t now_ms)
{
    const uint32_t *link = find_open(grants, key, now_ms);

    if (link == NULL)
        return NULL;
    slot_at(grants, *link)->is_asked = true;
    return &slot_at(grants, *link)->grant;
}

enum grant_state
grants_state(struct grants *grants, const struct grant_key *key, int64_t now_ms)
{
    const uint32_t *link = find_open(grants, key, now_ms);

    if (link == NULL)
        return GRANT_NONE;
    return slot_at(grants, *link)->is_asked ? GRANT_ASKED : GRANT_RESERVED;
}

size_t
grants_of_stream(const struct grants *grants, uint16_t stream)
{
    return stream > 0 && stream < GRANTS_STREAMS ? grants->by_stream[stream] : 0;
}

void
grants_set_account(struct grants *grants, const struct grant_key *key, uint16_t account,
                   int64_t now_ms)
{
    const uint32_t *link = find_open(grants, key, now_ms);
    struct slot *slot;

    if (link == NULL)
        return;
    slot = slot_at(grants, *link);
    grants->by_account[slot->account]--;
    slot->account = account < GRANTS_ACCOUNTS ? account : 0;
    grants->by_account[slot->account]++;
}

size_t
grants_of_account(const struct grants *grants, uint16_t account)
{
    return account > 0 && account < GRANTS_ACCOUNTS ? grants->by_account[account] : 0;
}

static bool
oldest_is_expired(const struct grants *grants, int64_t now_ms)
{
    return grants->oldest != 0 && is_expired(grants, slot_at(grants, grants->oldest), now_ms);
}

static void
end_oldest(struct grants *grants, uint64_t *figure)
{
    end_grant(grants, find_link(grants, &slot_at(grants, grants->oldest)->key), figure);
}

/* Afterwards there is a spare slot. */
static void
make_room(struct grants *grants, int64_t now_ms)
{
    if (grants->spare != 0)
        return;
    if (oldest_is_expired(grants, now_ms))
        end_oldest(grants, &grants->figures.expired);
    else if (!make_slot(grants))
        end_oldest(grants, &grants->figures.dropped);
}

const struct grant *
grants_reserve(struct grants *grants, const struct grant_key *key, const struct grant *grant,
               uint16_t stream, bool *ret_is_new)
{
    uint32_t *link = find_open(grants, key, grant->at_ms);
    struct slot *slot;
    uint32_t number;

    *ret_is_new = link == NULL;
    if (link != NULL)
        return &slot_at(grants, *link)->grant;
    make_room(grants, grant->at_ms);
    number = grants->spare;
    slot = slot_at(grants, number);
    grants->spare = slot->newer;
    slot->key = *key;
    slot->grant = *grant;
    slot->numbering = grants->numbering;
    slot->is_open = true;
    slot->is_asked = false;
    slot->stream = (stream < GRANTS_STREAMS ? stream : 0U) & (GRANTS_STREAMS - 1U);
    grants->by_stream[slot->stream]++;
    slot->account = 0;
    grants->by_account[0]++;
    slot->chain = 0;
    slot->older = grants->newest;
    slot->newer = 0;
    *newer_of(grants, slot->older) = number;
    grants->newest = number;
    *find_link(grants, key) = number; /* again: making room may have changed the chain */
    grants->figures.open++;
    return &slot->grant;
}

void
grants_of_domain(struct grants *grants, uint32_t domain, size_t most,
                 bool (*each)(void *arg, struct grant *grant), void *arg)
{
    for (uint32_t number = grants->newest; number != 0 && most > 0; most--) {
        struct slot *slot = slot_at(grants, number);

        if (slot->grant.domain == domain && rewrite(grants, slot) && !each(arg, &slot->grant))
            return;
        number = slot->older;
    }
}

bool
grants_spend(struct grants *grants, const struct grant_key *key, int64_t now_ms)
{
    uint32_t *link = find_open(grants, key, now_ms);

    if (link == NULL)
        return false;
    end_grant(grants, link, &grants->figures.spent);
    return true;
}

bool
grants_give_back(struct grants *grants, const struct grant_key *key, int64_t now_ms,
                 struct grant *ret_grant)
{
    uint32_t *link = find_open(grants, key, now_ms);

    if (link == NULL)
        return false;
    *ret_grant = slot_at(grants, *link)->grant;
    end_grant(grants, link, &grants->figures.given_back);
    return true;
}

/* Make the next slot right by the remaps; after the last one they are not needed any more. */
static void
rewrite_next(struct grants *grants)
{
    struct slot *slot = slot_at(grants, grants->rewritten + 1);

    if (slot->is_open && !rewrite(grants, slot))
        end_grant(grants, find_link(grants, &slot->key), &grants->figures.homeless);
    if (++grants->rewritten == grants->made)
        forget_remaps(grants);
}

size_t
grants_expire(struct grants *grants, int64_t now_ms, size_t most)
{
    size_t steps = 0;

    for (; steps < most && oldest_is_expired(grants, now_ms); steps++)
        end_oldest(grants, &grants->figures.expired);
    for (; steps < most && grants->remap_count > 0; steps++)
        rewrite_next(grants);
    return steps;
}

static void
rewrite_all(struct grants *grants)
{
    while (grants->remap_count > 0)
        rewrite_next(grants);
}

/* The caller's lists become our own.  False: there is no memory. */
static bool
keep_lists(struct remap *remap)
{
    size_t meter_count = remap->meter_count != GRANT_SAME ? remap->meter_count : 0;

    remap->copy = calloc(remap->address_count + meter_count + 1, sizeof(*remap->copy));
    if (remap->copy == NULL)
        return false;
    if (remap->address_count > 0)
        memcpy(remap->copy, remap->addresses, remap->address_count * sizeof(*remap->copy));
    if (meter_count > 0)
        memcpy(remap->copy + remap->address_count, remap->meters,
               meter_count * sizeof(*remap->copy));
    remap->addresses = remap->copy;
    remap->meters = remap->copy + remap->address_count;
    return true;
}

void
grants_remap(struct grants *grants, const uint32_t *address_map, size_t address_count,
             const uint32_t *meter_map, size_t meter_count)
{
    struct remap remap = {
        .addresses = address_map,
        .meters = meter_map,
        .address_count = address_count,
        .meter_count = meter_count,
    };

    if (grants->remap_count == GRANTS_REMAPS)
        rewrite_all(grants);
    keep_lists(&remap);
    grants->remaps[grants->remap_count++] = remap;
    grants->numbering++;
    grants->rewritten = 0;
    if (remap.copy == NULL)
        rewrite_all(grants);
}
