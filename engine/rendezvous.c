/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/rendezvous.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    BRANCH_BITS = 5, /* of the name's hash, for each level of the tree */
    DRAWS_MAX = 8 * RENDEZVOUS_FANOUT,
};

/*
 * One level: either the members of a leaf or the branches below.  What the
 * comparison reads stands side by side in memory.
 */
struct slot {
    uint64_t seed;
    double rate;  /* 1 / weight */
    size_t index; /* leaf: into rendezvous.members; else into rendezvous.nodes */
};

struct node {
    bool leaf;
    size_t first; /* into rendezvous.slots */
    size_t count;
};

struct rendezvous {
    size_t count;
    const struct member **members; /* the list is ours, the members are not */
    struct slot *slots;
    size_t slot_count;
    struct node *nodes;
    size_t node_count;
};

/* A member on its way into the tree. */
struct entry {
    uint64_t hash; /* the bits that were not used by the levels above */
    size_t index;
};

static void
make_leaf(struct rendezvous *r, size_t node, const struct entry *entries, size_t count)
{
    r->nodes[node] = (struct node){.leaf = true, .first = r->slot_count, .count = count};
    for (size_t i = 0; i < count; i++) {
        const struct member *member = r->members[entries[i].index];

        r->slots[r->slot_count++] = (struct slot){
            .seed = member->address->seed,
            .rate = 1 / member->weight,
            .index = entries[i].index,
        };
    }
}

static int
compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The entries are sorted by hash; shift says which bits part them here. */
static void
make_node(struct rendezvous *r, size_t node, const struct entry *entries, size_t count, int shift)
{
    size_t branches = 0, first = r->slot_count;

    if (count <= RENDEZVOUS_FANOUT || shift < 0) {
        make_leaf(r, node, entries, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (i == 0 || entries[i].hash >> shift != entries[i - 1].hash >> shift)
            branches++;
    r->nodes[node] = (struct node){.leaf = false, .first = first, .count = branches};
    r->slot_count += branches;
    for (size_t start = 0, branch = 0, end; start < count; start = end, branch++) {
        uint64_t bits = entries[start].hash >> shift;
        size_t child = r->node_count++;
        double weight = 0;

        for (end = start; end < count && entries[end].hash >> shift == bits; end++)
            weight += r->members[entries[end].index]->weight;
        r->slots[first + branch] = (struct slot){
            .seed = hash_mix(bits ^ ((uint64_t)shift << 58)),
            .rate = 1 / weight,
            .index = child,
        };
        make_node(r, child, entries + start, end - start, shift - BRANCH_BITS);
    }
}

struct rendezvous *
rendezvous_new(const struct member *const *members, size_t count)
{
    struct rendezvous *r = calloc(1, sizeof(*r));
    struct entry *entries = calloc(count + 1, sizeof(*entries));
    /* Each member ends in one slot; branches are fewer than members at each of 13 levels. */
    size_t room = count * (64 / BRANCH_BITS + 2) + 1;

    if (count <= RENDEZVOUS_FANOUT)
        room = count + 1;
    if (r != NULL) {
        r->count = count;
        r->members = calloc(count + 1, sizeof(*r->members));
        r->slots = calloc(room, sizeof(*r->slots));
        r->nodes = calloc(room, sizeof(*r->nodes));
    }
    if (r == NULL || entries == NULL || r->members == NULL || r->slots == NULL ||
        r->nodes == NULL) {
        rendezvous_free(r);
        free(entries);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        r->members[i] = members[i];
        entries[i] = (struct entry){.hash = members[i]->address->seed, .index = i};
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    r->node_count = 1;
    make_node(r, 0, entries, count, 64 - BRANCH_BITS);
    free(entries);
    return r;
}

void
rendezvous_free(struct rendezvous *r)
{
    if (r == NULL)
        return;
    free(r->members);
    free(r->slots);
    free(r->nodes);
    free(r);
}

size_t
rendezvous_count(const struct rendezvous *r)
{
    return r->count;
}

/*
 * The slot's score for the key: exponentially distributed with the slot's
 * weight as its rate, so that each has the least with the chance of its share.
 * Scores of low and more come back as infinity: -ln(u) is at least 1 - u, and
 * mostly that spares the logarithm.
 */
static double
score(const struct slot *slot, uint64_t key, double low)
{
    uint64_t x = hash_mix(key ^ slot->seed);
    double u = ((double)(x >> 11) + 0.5) * 0x1p-53; /* in (0, 1) */

    return (1 - u) * slot->rate < low ? -log(u) * slot->rate : INFINITY;
}

/* The slot of a node with the least score. */
static const struct slot *
least(const struct rendezvous *r, const struct node *node, uint64_t key)
{
    const struct slot *best = &r->slots[node->first];
    double low = INFINITY;

    for (size_t i = node->first; i < node->first + node->count; i++) {
        double s = score(&r->slots[i], key, low);

        if (s < low) {
            low = s;
            best = &r->slots[i];
        }
    }
    return best;
}

/* One draw from the whole tree. */
static size_t
draw(const struct rendezvous *r, uint64_t key)
{
    const struct node *node = &r->nodes[0];

    for (;;) {
        const struct slot *slot = least(r, node, key);

        if (node->leaf)
            return slot->index;
        node = &r->nodes[slot->index];
    }
}

static bool
was_seen(const struct rendezvous_walk *walk, size_t index)
{
    for (size_t i = 0; i < walk->seen_count; i++)
        if (walk->seen[i] == index)
            return true;
    return false;
}

void
rendezvous_start(struct rendezvous_walk *walk, const struct rendezvous *rendezvous, uint64_t key)
{
    walk->rendezvous = rendezvous;
    walk->key = key;
    walk->draws = 0;
    walk->linear = 0;
    walk->seen_count = 0;
}

/* The set is one leaf: the plain order, by score. */
static const struct member *
next_in_leaf(struct rendezvous_walk *walk)
{
    const struct rendezvous *r = walk->rendezvous;
    const struct node *leaf = &r->nodes[0];
    const struct slot *best = NULL;
    double low = INFINITY;

    for (size_t i = leaf->first; i < leaf->first + leaf->count; i++) {
        double s;

        if (was_seen(walk, r->slots[i].index))
            continue;
        s = score(&r->slots[i], walk->key, low);
        if (s < low) {
            low = s;
            best = &r->slots[i];
        }
    }
    if (best == NULL)
        return NULL;
    walk->seen[walk->seen_count++] = best->index;
    return r->members[best->index];
}

/* Draws while they find new ones; then all others in the pool's own order. */
static const struct member *
next_in_tree(struct rendezvous_walk *walk)
{
    const struct rendezvous *r = walk->rendezvous;

    while (walk->draws < DRAWS_MAX && walk->seen_count < RENDEZVOUS_FANOUT) {
        size_t index = draw(r, walk->draws == 0 ? walk->key : hash_mix(walk->key + walk->draws));

        walk->draws++;
        if (!was_seen(walk, index)) {
            walk->seen[walk->seen_count++] = index;
            return r->members[index];
        }
    }
    while (walk->linear < r->count) {
        size_t index = (size_t)((walk->key % r->count + walk->linear++) % r->count);

        if (!was_seen(walk, index))
            return r->members[index];
    }
    return NULL;
}

const struct member *
rendezvous_next(struct rendezvous_walk *walk)
{
    return walk->rendezvous->nodes[0].leaf ? next_in_leaf(walk) : next_in_tree(walk);
}
