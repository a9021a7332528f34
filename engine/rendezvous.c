/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/rendezvous.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { DRAWS_MAX = 8 * RENDEZVOUS_LEAF };

/* A member of a leaf.  What the comparison reads stands side by side in memory. */
struct slot {
    uint64_t seed;
    double rate;  /* 1 / weight */
    size_t index; /* into rendezvous.members */
};

/* A fork or a leaf.  A fork's left side stands right behind it. */
struct node {
    uint64_t seed;
    uint64_t left;  /* fork: the share of its left side, of 2^64 */
    uint32_t right; /* fork: place of its right side; leaf: 0 */
    uint32_t first; /* leaf: into rendezvous.slots */
    uint32_t count; /* leaf */
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
    uint64_t hash;
    size_t index;
};

static void
make_leaf(struct rendezvous *r, const struct entry *entries, size_t count)
{
    r->nodes[r->node_count++] =
        (struct node){.first = (uint32_t)r->slot_count, .count = (uint32_t)count};
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

static double
weight_of(const struct rendezvous *r, const struct entry *entries, size_t count)
{
    double weight = 0;

    for (size_t i = 0; i < count; i++)
        weight += r->members[entries[i].index]->weight;
    return weight;
}

/*
 * The entries are sorted by hash and agree in all bits above bit.  A bit that
 * they all share parts nothing and makes no fork.
 */
static void
make_node(struct rendezvous *r, const struct entry *entries, size_t count, int bit)
{
    size_t lefts = 0, at = r->node_count;
    double share;

    for (; count > RENDEZVOUS_LEAF && bit >= 0; bit--) {
        for (lefts = 0; lefts < count && (entries[lefts].hash >> bit & 1) == 0; lefts++)
            ;
        if (lefts > 0 && lefts < count)
            break;
    }
    if (count <= RENDEZVOUS_LEAF || bit < 0) {
        make_leaf(r, entries, count);
        return;
    }
    share = weight_of(r, entries, lefts) / weight_of(r, entries, count);
    r->nodes[at] = (struct node){
        .seed = hash_mix((entries[0].hash >> bit >> 1) ^ ((uint64_t)bit << 58)),
        .left = share < 1 ? (uint64_t)(share * 0x1p64) : UINT64_MAX,
    };
    r->node_count++;
    make_node(r, entries, lefts, bit - 1);
    r->nodes[at].right = (uint32_t)r->node_count;
    make_node(r, entries + lefts, count - lefts, bit - 1);
}

struct rendezvous *
rendezvous_new(const struct member *const *members, size_t count)
{
    struct rendezvous *r = calloc(1, sizeof(*r));
    struct entry *entries = calloc(count + 1, sizeof(*entries));

    if (r != NULL) {
        r->count = count;
        r->members = calloc(count + 1, sizeof(*r->members));
        r->slots = calloc(count + 1, sizeof(*r->slots));
        r->nodes =
            calloc(2 * count + 1, sizeof(*r->nodes)); /* no leaf is empty, save an only one */
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
    make_node(r, entries, count, 63);
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

/* One draw from the whole tree. */
static size_t
draw(const struct rendezvous *r, uint64_t key)
{
    const struct node *node = &r->nodes[0];
    const struct slot *best;
    double low = INFINITY;

    while (node->right != 0)
        node = hash_mix(key ^ node->seed) < node->left ? node + 1 : &r->nodes[node->right];
    best = &r->slots[node->first];
    for (size_t i = node->first; i < node->first + node->count; i++) {
        double s = score(&r->slots[i], key, low);

        if (s < low) {
            low = s;
            best = &r->slots[i];
        }
    }
    return best->index;
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

static bool
is_drawing(const struct rendezvous_walk *walk)
{
    return walk->draws < DRAWS_MAX && walk->seen_count < RENDEZVOUS_LEAF;
}

/* Where the walk is in the pool's own order. */
static size_t
linear_place(const struct rendezvous_walk *walk)
{
    size_t count = walk->rendezvous->count;

    return (size_t)((walk->key % count + walk->linear) % count);
}

/* Draws while they find new ones; then all others in the pool's own order. */
static const struct member *
next_in_tree(struct rendezvous_walk *walk)
{
    const struct rendezvous *r = walk->rendezvous;

    while (is_drawing(walk)) {
        size_t index = draw(r, walk->draws == 0 ? walk->key : hash_mix(walk->key + walk->draws));

        walk->draws++;
        if (!was_seen(walk, index)) {
            walk->seen[walk->seen_count++] = index;
            return r->members[index];
        }
    }
    while (walk->linear < r->count) {
        size_t index = linear_place(walk);

        walk->linear++;
        if (!was_seen(walk, index))
            return r->members[index];
    }
    return NULL;
}

const struct member *
rendezvous_next(struct rendezvous_walk *walk)
{
    return walk->rendezvous->nodes[0].right == 0 ? next_in_leaf(walk) : next_in_tree(walk);
}

size_t
rendezvous_block(const struct rendezvous_walk *walk)
{
    const struct rendezvous *r = walk->rendezvous;

    if (r->nodes[0].right == 0 || is_drawing(walk) || walk->linear >= r->count)
        return RENDEZVOUS_BLOCKLESS;
    return linear_place(walk) / RENDEZVOUS_BLOCK;
}

void
rendezvous_skip_block(struct rendezvous_walk *walk)
{
    size_t place = linear_place(walk);
    size_t end = (place / RENDEZVOUS_BLOCK + 1) * RENDEZVOUS_BLOCK;

    if (end > walk->rendezvous->count)
        end = walk->rendezvous->count;
    walk->linear += end - place;
}

size_t
rendezvous_blocks(const struct rendezvous *r)
{
    return (r->count + RENDEZVOUS_BLOCK - 1) / RENDEZVOUS_BLOCK;
}

size_t
rendezvous_block_members(const struct rendezvous *r, size_t block,
                         const struct member *const **ret_members)
{
    size_t rest = r->count - block * RENDEZVOUS_BLOCK;

    *ret_members = &r->members[block * RENDEZVOUS_BLOCK];
    return rest < RENDEZVOUS_BLOCK ? rest : RENDEZVOUS_BLOCK;
}
