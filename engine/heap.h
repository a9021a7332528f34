/*
 * A binary heap of pointers: the first of many, and any of them taken out.
 *
 * Each item has a member of type size_t that is the heap's while it is in
 * there; so it can be in one such heap at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_HEAP_H
#define ENGINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap {
    bool (*before)(const void *a, const void *b);
    size_t place; /* offset of that member */
    void **items; /* owned; the items are not */
    size_t count;
    size_t room;
};

void heap_clear(struct heap *heap);

/* False only without memory. */
bool heap_add(struct heap *heap, void *item);

/* It is in there. */
void heap_remove(struct heap *heap, void *item);

/* NULL: it is empty. */
void *heap_first(const struct heap *heap);

/* The one behind the first; NULL: there is none. */
void *heap_second(const struct heap *heap);

/* What before() tells of the item may be another now. */
void heap_moved(struct heap *heap, void *item);

#endif
