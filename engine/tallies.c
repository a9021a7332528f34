/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/tallies.h"

#include "engine/hash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, FIRST_ROOM = 64, HOURS_MAX = 256 };

/* tallies owns its entries. */
struct entry {
    struct entry *chain;
    struct tallies_cell cell; /* its names are in text */
    size_t length;
    char text[]; /* the names, each with its NUL */
};

struct hour {
    int64_t hour;
    size_t accounts;
};

struct tallies {
    size_t accounts_max;
    struct entry *buckets[BUCKETS];
    struct entry **entries;
    size_t count, room;
    struct hour hours[HOURS_MAX]; /* that have accounts; more get none */
    size_t hour_count;
};

struct tallies *
tallies_new(size_t accounts)
{
    struct tallies *tallies = calloc(1, sizeof(*tallies));

    if (tallies != NULL)
        tallies->accounts_max = accounts;
    return tallies;
}

void
tallies_free(struct tallies *tallies)
{
    if (tallies == NULL)
        return;
    for (size_t i = 0; i < tallies->count; i++)
        free(tallies->entries[i]);
    free(tallies->entries);
    free(tallies);
}

/* The names one behind the other, each with its NUL. */
static size_t
join(const char *const names[static TALLIES_NAMES], char text[])
{
    size_t length = 0;

    for (int i = 0; i < TALLIES_NAMES; i++) {
        size_t name = names[i] != NULL ? strnlen(names[i], TALLIES_NAME_MAX) : 0;

        if (name > 0)
            memcpy(text + length, names[i], name);
        text[length + name] = '\0';
        length += name + 1;
    }
    return length;
}

static bool
is_of(const struct entry *entry, enum tallies_kind kind, int64_t hour, const char *text,
      size_t length)
{
    return entry->cell.kind == kind && entry->cell.hour == hour && entry->length == length &&
           memcmp(entry->text, text, length) == 0;
}

/* No secret: that many accounts are not, that it could take long. */
static struct entry **
bucket_of(struct tallies *tallies, enum tallies_kind kind, int64_t hour, const char *text,
          size_t length)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool tally";
    uint64_t hash = hash_sip(key, text, length) ^ hash_mix((uint64_t)hour * 4 + kind);

    return &tallies->buckets[hash % BUCKETS];
}

/* Is there room for one more account in that hour?  Takes it. */
static bool
take_account(struct tallies *tallies, int64_t hour)
{
    size_t i = 0;

    while (i < tallies->hour_count && tallies->hours[i].hour != hour)
        i++;
    if (i == HOURS_MAX)
        return false;
    if (i == tallies->hour_count)
        tallies->hours[tallies->hour_count++] = (struct hour){hour, 0};
    if (tallies->hours[i].accounts >= tallies->accounts_max)
        return false;
    tallies->hours[i].accounts++;
    return true;
}

static bool
make_room(struct tallies *tallies)
{
    size_t room = tallies->room > 0 ? 2 * tallies->room : FIRST_ROOM;
    struct entry **entries;

    if (tallies->count < tallies->room)
        return true;
    entries = realloc(tallies->entries, room * sizeof(*entries));
    if (entries == NULL)
        return false;
    tallies->entries = entries;
    tallies->room = room;
    return true;
}

static struct entry *
entry_new(enum tallies_kind kind, int64_t hour, const char *text, size_t length)
{
    struct entry *entry = calloc(1, sizeof(*entry) + length);
    size_t at = 0;

    if (entry == NULL)
        return NULL;
    entry->cell.kind = kind;
    entry->cell.hour = hour;
    entry->length = length;
    memcpy(entry->text, text, length);
    for (int i = 0; i < TALLIES_NAMES; i++) {
        entry->cell.names[i] = entry->text + at;
        at += strlen(entry->text + at) + 1;
    }
    return entry;
}

struct tally *
tallies_at(struct tallies *tallies, enum tallies_kind kind, int64_t hour,
           const char *const names[static TALLIES_NAMES])
{
    char text[TALLIES_NAMES * (TALLIES_NAME_MAX + 1)];
    size_t length = join(names, text);
    struct entry **bucket = bucket_of(tallies, kind, hour, text, length), *entry = *bucket;

    while (entry != NULL && !is_of(entry, kind, hour, text, length))
        entry = entry->chain;
    if (entry != NULL)
        return &entry->cell.tally;
    if (kind == TALLIES_ACCOUNTS && strcmp(names[0], TALLIES_OTHERS) != 0 &&
        !take_account(tallies, hour)) {
        const char *const others[TALLIES_NAMES] = {TALLIES_OTHERS, names[1], names[2], names[3]};

        return tallies_at(tallies, kind, hour, others);
    }
    if (tallies->count == TALLIES_MAX || !make_room(tallies))
        return NULL;
    entry = entry_new(kind, hour, text, length);
    if (entry == NULL)
        return NULL;
    entry->chain = *bucket;
    *bucket = entry;
    tallies->entries[tallies->count++] = entry;
    return &entry->cell.tally;
}

size_t
tallies_count(const struct tallies *tallies)
{
    return tallies->count;
}

const struct tallies_cell *
tallies_get(const struct tallies *tallies, size_t i)
{
    return &tallies->entries[i]->cell;
}
