/*
 * The standing of accounts in a world: what each has earned by what became of its mail.  As
 * policyd/standings.c and standings_hear.c have it: who sends little has no record, days are those
 * of UTC and are turned some minutes after they ended, and what turns bad is known at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECOND_MS = 1000,
    DAY_S = 24 * 3600,
    NAME_MAX_BYTES = 253,
    STREAMS_MAX = 8, /* of one account, whose last results are watched */
    WHERE_SIZE = STREAM_NAME_MAX + 16,
};

#define DAY_MS ((int64_t)DAY_S * SECOND_MS)

static const char node[] = "world";

static int32_t
day_at(int64_t at_ms)
{
    return at_ms < 0 ? 0 : at_ms / DAY_MS < DATE_MAX ? (int32_t)(at_ms / DAY_MS) : DATE_MAX;
}

bool
world_standings_begin(struct world *world)
{
    world->stand_ms = INT64_MAX;
    if (world->setup.standing == NULL || !world->snapshot->has_grades)
        return true;
    world->accounts = calloc(WORLD_ACCOUNT_SLOTS, sizeof(struct world_account *));
    world->stand_ms = (day_at(world->now_ms) + 1) * DAY_MS + WORLD_TURN_MS;
    return world->accounts != NULL;
}

void
world_standings_clear(struct world *world)
{
    for (size_t i = 0; i < WORLD_ACCOUNT_SLOTS && world->accounts != NULL; i++)
        while (world->accounts[i] != NULL) {
            struct world_account *account = world->accounts[i];

            world->accounts[i] = account->next;
            free(account->watches);
            free(account->standing);
            free(account);
        }
    free(world->accounts);
}

/* ----------------------------------------------------------------- accounts */

static struct world_account **
slot_of(const struct world *world, const char *name)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";

    return &world->accounts[hash_sip(key, name, strlen(name)) % WORLD_ACCOUNT_SLOTS];
}

static struct world_account *
find(const struct world *world, const char *name)
{
    struct world_account *account = *slot_of(world, name);

    while (account != NULL && strcmp(account->name, name) != 0)
        account = account->next;
    return account;
}

/* Is it a domain, or may pass for one? */
static bool
is_name(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
            return false;
    return length > 0 && length <= NAME_MAX_BYTES;
}

/* NULL: it is no name, there are too many, or there is no memory. */
static struct world_account *
make(struct world *world, const char *name)
{
    struct world_account *account = find(world, name);
    size_t size = strlen(name) + 1;

    if (account != NULL || world->account_count == WORLD_ACCOUNTS_MAX || !is_name(name))
        return account;
    account = world_must(world, calloc(1, sizeof(*account) + size));
    if (account == NULL)
        return NULL;
    memcpy(account->name, name, size);
    account->next = *slot_of(world, name);
    *slot_of(world, name) = account;
    world->account_count++;
    world->grades[GRADE_NEW]++;
    return account;
}

static enum grade
grade_of(const struct world *world, const struct world_account *account)
{
    return account->standing != NULL ? standing_grade(account->standing, world->now_ms / SECOND_MS)
                                     : GRADE_NEW;
}

enum grade
world_grade(const struct world *world, const char *name, enum grade otherwise)
{
    const struct world_account *account;

    if (world->accounts == NULL || name[0] == '\0')
        return otherwise;
    account = find(world, name);
    return account != NULL ? account->grade : GRADE_NEW;
}

bool
world_has_standings(const struct world *world)
{
    return world->accounts != NULL;
}

void
world_accounts(const struct world *world, world_account_fn *each, void *arg)
{
    for (size_t i = 0; i < WORLD_ACCOUNT_SLOTS && world->accounts != NULL; i++)
        for (const struct world_account *account = world->accounts[i]; account != NULL;
             account = account->next)
            each(arg, account->name, account->standing);
}

/* ------------------------------------------------------------------ records */

static struct standing_figures *
figures_today(const struct world *world, struct world_account *account)
{
    int32_t today = day_at(world->now_ms);

    if (account->days[0].day != today) {
        account->days[1] = account->days[0].day == today - 1
                               ? account->days[0]
                               : (struct standing_day){.day = today - 1};
        account->days[0] = (struct standing_day){.day = today};
    }
    return &account->days[0].figures;
}

static bool
is_worth_it(const struct world *world, const struct world_account *account)
{
    if (world->record_count == WORLD_RECORDS_MAX)
        return false;
    for (size_t i = 0; i < 2; i++)
        if (account->days[i].figures.results >= (uint32_t)world->setup.standing->day_volume)
            return true;
    return account->accused;
}

/* Make its record anew. */
static void
update(struct world *world, struct world_account *account)
{
    const struct standing_rules *rules = world->setup.standing;
    int32_t today = day_at(world->now_ms - WORLD_TURN_MS);
    enum grade grade;

    if (account->standing == NULL) {
        if (!is_worth_it(world, account))
            return;
        account->standing = world_must(world, calloc(1, sizeof(*account->standing)));
        if (account->standing == NULL)
            return;
        world->record_count++;
    }
    for (size_t i = 2; i-- > 0;) {
        if (account->days[i].day > today || account->days[i].day == 0)
            continue;
        standing_turn_to(account->standing, rules, account->days[i].day);
        standing_note(account->standing, account->days[i].day, node, account->heard_s,
                      &account->days[i].figures);
    }
    standing_turn_to(account->standing, rules, today);
    if (account->accused)
        standing_accuse(account->standing, account->accused_day, account->why);
    account->accused = false;
    standing_judge(account->standing, rules);
    grade = grade_of(world, account);
    if (grade == account->grade)
        return;
    world->grades[account->grade]--;
    world->grades[grade]++;
    account->grade = grade;
    world_stir(world);
}

void
world_stand_again(struct world *world)
{
    while (world->dirty != NULL) {
        struct world_account *account = world->dirty;

        world->dirty = account->next_dirty;
        account->dirty = false;
        update(world, account);
    }
}

void
world_stand(struct world *world)
{
    world->stand_ms = (day_at(world->now_ms) + 1) * DAY_MS + WORLD_TURN_MS;
    world_stand_again(world);
    for (size_t i = 0; i < WORLD_ACCOUNT_SLOTS; i++)
        for (struct world_account *account = world->accounts[i]; account != NULL;
             account = account->next)
            update(world, account);
}

/* ------------------------------------------------------------------ results */

/* The end of a delivery that says something of the account: with which fault?  FAULTS: none. */
static bool
read_reply(const struct world_reply *reply, enum fault *ret_fault)
{
    *ret_fault = FAULTS;
    switch (reply->result) {
    case WORLD_ACCEPTED:
        return true;
    case WORLD_BOUNCED:
        *ret_fault = FAULT_BOUNCE;
        return true;
    case WORLD_REFUSED:
        *ret_fault = reply->accused == WORLD_ACCOUNT ? FAULT_BLOCK : FAULT_BOUNCE;
        return reply->for_good &&
               (reply->accused == WORLD_ACCOUNT || reply->accused == WORLD_NOBODY);
    case WORLD_UNREACHED: /* there is no such domain, or none that takes mail */
        *ret_fault = FAULT_BOUNCE;
        return reply->for_good;
    case WORLD_EXCUSED:
        break;
    }
    return false;
}

/* NULL: it sends in too many streams. */
static struct standing_watch *
watch_of(struct world *world, struct world_account *account, const struct stream *stream)
{
    struct world_watch *watches;

    for (size_t i = 0; i < account->watch_count; i++)
        if (account->watches[i].stream == stream)
            return &account->watches[i].watch;
    if (account->watch_count == STREAMS_MAX)
        return NULL;
    watches =
        world_must(world, realloc(account->watches, (account->watch_count + 1) * sizeof(*watches)));
    if (watches == NULL)
        return NULL;
    account->watches = watches;
    watches[account->watch_count] = (struct world_watch){.stream = stream};
    return &watches[account->watch_count++].watch;
}

/* Is it over a limit, and is that news? */
static bool
is_bad_news(struct world *world, struct world_account *account, const struct stream *stream,
            enum fault fault)
{
    struct standing_watch *watch = watch_of(world, account, stream);
    int32_t today = day_at(world->now_ms);
    struct standing_figures figures;
    char where[WHERE_SIZE];
    enum fault over;

    if (watch == NULL)
        return false;
    over = standing_see(watch, world->setup.standing, &stream->limits, today, fault, &figures);
    if (over == FAULTS ||
        (account->standing != NULL && account->standing->grade == GRADE_ATTENTION &&
         account->standing->since >= today))
        return false;
    snprintf(where, sizeof(where), "in stream %s", stream->name);
    account->accused = true;
    account->accused_day = today;
    standing_why(&figures, over, where, account->why);
    return true;
}

void
world_stand_by(struct world *world, const struct world_sent *sent, const struct world_reply *reply)
{
    struct world_account *account;
    struct standing_figures *figures;
    bool bad = false;
    enum fault fault;

    if (world->accounts == NULL || sent->account[0] == '\0' || !read_reply(reply, &fault))
        return;
    account = make(world, sent->account);
    if (account == NULL)
        return;
    figures = figures_today(world, account);
    account->heard_s = (uint32_t)(world->now_ms / SECOND_MS);
    for (uint32_t i = 0; i < reply->count; i++) {
        standing_count(figures, &sent->stream->limits, fault);
        bad |= is_bad_news(world, account, sent->stream, fault);
    }
    if (bad)
        update(world, account);
    if (account->dirty)
        return;
    account->dirty = true;
    account->next_dirty = world->dirty;
    world->dirty = account;
}
