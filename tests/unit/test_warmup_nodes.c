/*
 * 60 days of an address that warms up on two hosts with one store: mail as it comes, outcomes by
 * chance, restarts.  No day holds more than its allowance, of grants that were spent; stages are
 * those of the rules, by one host that had seen it all; and both hosts say the same.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/allowances.h"
#include "engine/book.h"
#include "engine/meters.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/warmups.h"
#include "policyd/warmups_inside.h"
#include "tests/unit/chance.h"

enum {
    HOSTS = 2,
    SEEDS = 8,
    DAYS = 60,
    FIRST = 20000,
    DAY_S = 24 * 3600,
    STEP_S = 1800,
    STEPS = DAY_S / STEP_S,
    TRIES = 40, /* of a host in a step */
};

static const char site[] =
    "addresses: {\n"
    "  a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { started = \"2024-10-04\";\n"
    "    schedule = { days = ( 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, "
    "170, "
    "180, 190, 200, 220, 240, 260, 280, 300 ); hour = 50; }; }; }; };\n"
    "pools: { p = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "replies: ( { name = \"unknown\"; class = \"recipient\"; pattern = \"unknown\"; samples = ( "
    "\"550 unknown\" ); } );\n"
    "warmup: { time_zone = \"UTC\"; };\n";

struct put {
    bool waits;
    uint64_t version;
    char text[WARMUP_TEXT_SIZE];
    size_t length;
};

struct host {
    struct world *world;
    char name[8];
    uint64_t life;
    struct conf *conf;
    const struct address *a1;
    struct allowances *allowances;
    struct meters *meters;
    struct warmups *warmups;
    bool warmed;
    struct put put;
};

/* How a day is to be. */
struct mood {
    unsigned most;    /* recipients in all */
    unsigned step;    /* from which on there is mail */
    unsigned refused; /* percent */
    unsigned unknown; /* percent */
    uint32_t event;
    unsigned event_step;
};

struct world {
    int64_t time_s;
    uint64_t lives;
    struct put record; /* what the store has */
    struct book book;  /* likewise */
    struct host hosts[HOSTS];
    struct mood mood;
    struct warmup alone;         /* of one that sees it all */
    struct warmup_figures today; /* what really happened */
    unsigned taken;              /* today */
    unsigned results[WARMUP_STAYS + 1];
    unsigned used_up; /* days */
};

/* ------------------------------------------------------------------- a host */

static int64_t
now_ms(const struct world *w)
{
    return w->time_s * 1000;
}

static int64_t
on_time(void *arg)
{
    struct host *host = arg;

    return host->world->time_s;
}

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct host *host = arg;

    assert_string_equal(key, "warmup/a1");
    host->put = (struct put){.waits = true, .version = version, .length = length};
    memcpy(host->put.text, bytes, length);
    return true;
}

static void
on_warm(void *arg, const struct address *address, const struct warmup *warmup,
        const struct warmup_plan *plan, int32_t day)
{
    struct host *host = arg;

    host->warmed |= allowances_set(host->allowances, address, warmup, plan, day);
}

static void
on_recap(void *arg)
{
    struct host *host = arg;

    if (!host->warmed)
        return;
    assert_true(meters_set_snapshot(host->meters, host->conf->snapshot, now_ms(host->world)));
    meters_recap(host->meters, host->a1->index, now_ms(host->world));
    host->warmed = false;
}

static void
start(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number];
    char *text;

    *host = (struct host){.world = w, .life = ++w->lives};
    snprintf(host->name, sizeof(host->name), "mta%zu", number + 1);
    text = mem_printf("node = \"%s\";\n%s", host->name, site);
    host->conf = unit_conf(text);
    free(text);
    host->a1 = snapshot_find_address(host->conf->snapshot, "a1");
    host->allowances = allowances_new(host->conf->snapshot, NULL);
    host->meters = meters_new(host->conf->snapshot);
    meters_set_allowances(host->meters, host->allowances);
    assert_true(meters_set_snapshot(host->meters, host->conf->snapshot, now_ms(w)));
    host->warmups = warmups_new(&(struct warmups_start){.conf = host->conf,
                                                        .time_s = on_time,
                                                        .warm = on_warm,
                                                        .recap = on_recap,
                                                        .put = on_put,
                                                        .arg = host});
    if (w->record.length > 0)
        warmups_on_record(host->warmups, "warmup/a1", w->record.version, w->record.text,
                          w->record.length);
}

static void
stop(struct host *host)
{
    warmups_free(host->warmups);
    meters_free(host->meters);
    allowances_free(host->allowances);
    conf_unref(host->conf);
    host->warmups = NULL;
}

/* ---------------------------------------------------------------- the store */

/* It answers one put, and the other host hears of it. */
static void
answer(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number], *other = &w->hosts[1 - number];
    bool written = host->put.version == w->record.version;

    if (!host->put.waits)
        return;
    host->put.waits = false;
    if (written) {
        w->record.version++;
        w->record.length = host->put.length;
        memcpy(w->record.text, host->put.text, host->put.length);
    }
    warmups_on_put(host->warmups, "warmup/a1", written, w->record.version, w->record.text,
                   w->record.length);
    if (written && other->warmups != NULL)
        warmups_on_record(other->warmups, "warmup/a1", w->record.version, w->record.text,
                          w->record.length);
}

/* Both have told what they know, and heard what the other told. */
static void
settle(struct world *w)
{
    for (size_t i = 0; i < HOSTS; i++)
        warmups_flush(w->hosts[i].warmups);
    for (size_t i = 0; i < 4 * HOSTS; i++)
        answer(w, i % HOSTS);
    for (size_t i = 0; i < HOSTS; i++)
        on_recap(&w->hosts[i]);
}

static void
serve(struct host *host)
{
    struct world *w = host->world;
    struct book_answer answer;
    struct book_ask ask;
    uint32_t number;

    while ((number = meters_next(host->meters, now_ms(w), &ask)) != METERS_NONE) {
        ask.node = host->name;
        ask.life = host->life;
        ask.nodes = HOSTS;
        assert_int_equal(
            book_ask(&w->book, meters_at(host->meters, number)->caps, &ask, now_ms(w), &answer), 0);
        assert_true(meters_answered(host->meters, number, &answer, now_ms(w)));
    }
}

/* ----------------------------------------------------------------- the mail */

static void
told(struct host *host, enum maillog_status status, const char *words)
{
    struct outcome outcome = {
        .at_ms = now_ms(host->world), .address = host->a1, .status = status, .reached = true};

    if (words != NULL) {
        reply_read_words(words, strlen(words), &outcome.reply);
        outcome.rule = replies_find(&host->conf->replies, NULL, &outcome.reply);
    }
    warmups_on_outcome(host->warmups, &outcome);
}

/* One recipient left; what becomes of it. */
static void
one(struct host *host)
{
    struct world *w = host->world;
    unsigned percent = (unsigned)chance(100);

    w->taken++;
    w->today.used++;
    if (percent < w->mood.refused) {
        w->today.refused++;
        told(host, MAILLOG_BOUNCED, "554 no");
    } else if (percent < w->mood.refused + w->mood.unknown) {
        told(host, MAILLOG_BOUNCED, "550 unknown");
    } else {
        w->today.accepted++;
        told(host, MAILLOG_SENT, NULL);
    }
}

static void
send(struct host *host)
{
    uint32_t number = meters_address(host->meters, host->a1->index);

    for (unsigned i = 0; i < TRIES && host->world->taken < host->world->mood.most; i++) {
        if (number == METERS_NONE) { /* its full volume */
            one(host);
            continue;
        }
        if (meter_state(&meters_at(host->meters, number)->meter, now_ms(host->world)) ==
            METER_FREE) {
            meters_take(host->meters, number, now_ms(host->world));
            one(host);
        } else {
            meters_want(host->meters, number);
        }
        serve(host);
    }
}

static void
happen(struct world *w, uint32_t event)
{
    struct host *host = &w->hosts[chance(HOSTS)];
    struct warmups_item *item = warmups_find(host->warmups, host->a1);

    warmups_figures(host->warmups, item, warmups_today(host->warmups))->events |= event;
    item->dirty = true;
    w->today.events |= event;
}

/* -------------------------------------------------------------------- days */

static struct mood
any_mood(void)
{
    struct mood mood = {.most = 400, .event_step = (unsigned)chance(STEPS)};

    if (chance(6) == 0)
        mood.most = (unsigned)chance(20);
    if (chance(3) == 0)
        mood.step = (unsigned)chance(STEPS);
    if (chance(10) == 0)
        mood.refused = 30;
    if (chance(4) == 0)
        mood.unknown = 5;
    if (chance(6) == 0)
        mood.event = 1U << chance(3);
    return mood;
}

static uint32_t
allowance(const struct world *w)
{
    struct warmup_plan plan = warmups_plan(w->hosts[0].warmups, w->hosts[0].a1);

    return warmup_allowance(&w->alone, &plan, NULL, w->alone.day).day;
}

/* Midnight, for the one that sees it all. */
static void
turn(struct world *w)
{
    struct warmup_plan plan = warmups_plan(w->hosts[0].warmups, w->hosts[0].a1);
    uint32_t most = allowance(w);

    if (w->taken > most)
        fail_msg("day %d: %u of %u", w->alone.day, w->taken, most);
    w->used_up += w->taken == most;
    warmup_note(&w->alone, w->alone.day, "all", &w->today);
    w->results[warmup_turn(&w->alone, &plan)]++;
    w->today = (struct warmup_figures){0};
    w->taken = 0;
}

/* All that is known of the days that are over; who sent what today is told apart by host. */
static void
assert_same(const struct warmup *one, const struct warmup *other)
{
    char text[WARMUP_TEXT_SIZE], more[WARMUP_TEXT_SIZE];
    struct warmup a = *one, b = *other;

    a.node_count = b.node_count = 0;
    a.events = b.events = 0;
    warmup_print(&a, text);
    warmup_print(&b, more);
    assert_string_equal(text, more);
}

static void
assert_agreed(const struct world *w)
{
    for (size_t i = 0; i < HOSTS; i++)
        assert_same(&w->hosts[i].warmups->items[0].now, &w->alone);
}

static void
one_day(struct world *w)
{
    w->mood = any_mood();
    for (unsigned step = 0; step < STEPS; step++) {
        size_t first = chance(HOSTS);

        if (chance(300) == 0) {
            settle(w);
            stop(&w->hosts[first]);
            start(w, first);
        }
        for (size_t i = 0; i < HOSTS; i++)
            warmups_tick(w->hosts[i].warmups);
        settle(w);
        if (step > 0) /* before that it is not turned */
            assert_agreed(w);
        if (w->mood.event != 0 && step == w->mood.event_step)
            happen(w, w->mood.event);
        for (size_t i = 0; i < HOSTS && step >= w->mood.step; i++)
            send(&w->hosts[(first + i) % HOSTS]);
        w->time_s += STEP_S;
    }
    turn(w);
}

static void
test_sixty_days(void **state)
{
    unsigned results[WARMUP_STAYS + 1] = {0}, used_up = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = mem_new(sizeof(*w));
        struct warmup_plan plan;

        chance_seed(seed);
        w->time_s = (int64_t)FIRST * DAY_S;
        for (size_t i = 0; i < HOSTS; i++)
            start(w, i);
        plan = warmups_plan(w->hosts[0].warmups, w->hosts[0].a1);
        warmup_begin(&w->alone, &plan, w->hosts[0].a1->started, FIRST);
        for (int day = 0; day < DAYS; day++)
            one_day(w);
        for (size_t i = 0; i <= WARMUP_STAYS; i++)
            results[i] += w->results[i];
        used_up += w->used_up;
        for (size_t i = 0; i < HOSTS; i++)
            stop(&w->hosts[i]);
        book_clear(&w->book);
        free(w);
    }
    for (size_t i = 0; i <= WARMUP_STAYS; i++)
        print_message("%s: %u days\n", warmup_result_text((enum warmup_result)i), results[i]);
    print_message("all of it was used on %u days\n", used_up);
    assert_true(results[WARMUP_ADVANCES] > 0 && results[WARMUP_FEW] > 0 &&
                results[WARMUP_REFUSED] > 0 && results[WARMUP_WARNING] > 0 &&
                results[WARMUP_HELD] > 0 && results[WARMUP_BACK] > 0 && results[WARMUP_STAYS] > 0);
    assert_true(used_up > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sixty_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
