/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/heap.h"

#include <stdlib.h>

static void
put(struct heap *heap, size_t place, void *item)
{
    heap->items[place] = item;
    *(size_t *)((char *)item + heap->place) = place;
}

static size_t
place_of(const struct heap *heap, const void *item)
{
    return *(const size_t *)((const char *)item + heap->place);
}

static size_t
up(struct heap *heap, size_t place, void *item)
{
    while (place > 0 && heap->before(item, heap->items[(place - 1) / 2])) {
        put(heap, place, heap->items[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    return place;
}

static size_t
down(struct heap *heap, size_t place, void *item)
{
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < heap->count && heap->before(heap->items[child + 1], heap->items[child]))
            child++;
        if (child >= heap->count || !heap->before(heap->items[child], item))
            return place;
        put(heap, place, heap->items[child]);
        place = child;
    }
}

void
heap_clear(struct heap *heap)
{
    free(heap->items);
    heap->items = NULL;
    heap->count = heap->room = 0;
}

bool
heap_add(struct heap *heap, void *item)
{
    if (heap->count == heap->room) {
        size_t room = heap->room > 0 ? 2 * heap->room : 4;
        void **items = realloc(heap->items, room * sizeof(*items));

        if (items == NULL)
            return false;
        heap->items = items;
        heap->room = room;
    }
    heap->count++;
    put(heap, up(heap, heap->count - 1, item), item);
    return true;
}

void
heap_moved(struct heap *heap, void *item)
{
    put(heap, down(heap, up(heap, place_of(heap, item), item), item), item);
}

void
heap_remove(struct heap *heap, void *item)
{
    size_t place = place_of(heap, item);
    void *last = heap->items[--heap->count];

    if (last == item)
        return;
    put(heap, place, last);
    heap_moved(heap, last);
}

void *
heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->items[0] : NULL;
}

void *
heap_second(const struct heap *heap)
{
    if (heap->count < 2)
        return NULL;
    return heap->count > 2 && heap->before(heap->items[2], heap->items[1]) ? heap->items[2]
                                                                           : heap->items[1];
}
