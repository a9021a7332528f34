/*
 * The store of a world: a book for each meter, asked and answered at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/book.h"
#include "engine/meters.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 60 * 1000 };

static bool
make_room(struct world *world, size_t count)
{
    size_t room = world->book_count > 0 ? world->book_count : 64;
    struct book *books;

    if (count <= world->book_count)
        return true;
    while (room < count)
        room *= 2;
    books = world_must(world, realloc(world->books, room * sizeof(*books)));
    if (books == NULL)
        return false;
    memset(books + world->book_count, 0, (room - world->book_count) * sizeof(*books));
    world->books = books;
    world->book_count = room;
    return true;
}

void
world_ask_store(struct world *world)
{
    struct book_ask ask;
    uint32_t number;

    if (world->meters == NULL)
        return;
    while ((number = meters_next(world->meters, world->now_ms, &ask)) != METERS_NONE) {
        struct book_answer answer;

        if (!make_room(world, meters_count(world->meters)))
            return;
        if (ask.first) /* of a meter that has the number of one that is gone */
            book_clear(&world->books[number]);
        ask.node = "world";
        ask.life = 1;
        ask.nodes = 1;
        if (book_ask(&world->books[number], meters_at(world->meters, number)->caps, &ask,
                     world->now_ms, &answer) < 0) {
            world_must(world, NULL);
            return;
        }
        meters_answered(world->meters, number, &answer, world->now_ms);
    }
}

void
world_sweep(struct world *world)
{
    size_t count = world->meters != NULL ? meters_count(world->meters) : 0;

    world->sweep_ms = world->now_ms + SWEEP_MS;
    for (size_t i = 0; i < count; i++)
        meters_tend(world->meters, (uint32_t)i, world->now_ms);
    world_ask_store(world);
    world_stand_again(world);
}

void
world_clear_books(struct world *world)
{
    for (size_t i = 0; i < world->book_count; i++)
        book_clear(&world->books[i]);
    free(world->books);
}
