/*
 * Warm-ups of 60 days with any outcomes, against a model that is as simple as can be;
 * forecasts against what then happens; and hosts that share one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/schedule.h"
#include "engine/warmup.h"
#include "tests/unit/chance.h"

enum { SEEDS = 3000, DAYS = 60, FIRST = 20000, HOSTS = 3 };

static struct schedule schedule;
static struct warmup_plan plan;

static void
any_plan(uint64_t seed)
{
    chance_seed(seed);
    schedule = schedule_presets[chance(SCHEDULE_PRESETS)];
    if (chance(2) == 0)
        schedule.stage_count = 1 + (size_t)chance(schedule.stage_count);
    plan.schedule = &schedule;
    plan.rules = (struct warmup_rules){
        .used_percent = chance(2) == 0 ? 70 : 1 + (int)chance(100),
        .accepted_percent = chance(2) == 0 ? 90 : 1 + (int)chance(100),
        .back_stages = 1 + (int)chance(3),
        .idle_days = chance(2) == 0 ? 30 : 1 + (int)chance(6),
        .again_stages = 1 + (int)chance(8),
    };
}

/* ---------------------------------------------------------------- the model */

struct model {
    long stage; /* the count of stages: full volume */
    unsigned idle;
    bool paused;
};

static void
model_limit(struct model *model)
{
    if (model->stage < 0)
        model->stage = 0;
    if (model->stage > (long)schedule.stage_count)
        model->stage = (long)schedule.stage_count;
}

static uint32_t
model_allowance(const struct model *model)
{
    return model->stage == (long)schedule.stage_count ? WARMUP_UNLIMITED
                                                      : schedule.stages[model->stage];
}

/* Does it go on? */
static bool
model_is_good(const struct model *model, const struct warmup_figures *day)
{
    double allowance = model_allowance(model), enough = allowance * plan.rules.used_percent / 100;

    if (day->events != 0 || day->used < enough)
        return false;
    if (day->accepted + day->refused < (uint32_t)enough)
        return (uint64_t)day->accepted * 100 >=
               (uint64_t)plan.rules.accepted_percent * (uint64_t)enough;
    return (uint64_t)day->accepted * 100 >=
           (uint64_t)plan.rules.accepted_percent * (day->accepted + day->refused);
}

static void
model_turn(struct model *model, const struct warmup_figures *day)
{
    if (model->paused) {
        if (day->used > 0)
            model->idle = 0;
        return;
    }
    model->idle = day->used > 0 ? 0 : model->idle + 1;
    if ((int)model->idle >= plan.rules.idle_days) {
        model->idle = 0;
        model->stage -= plan.rules.again_stages;
    } else if (model->stage == (long)schedule.stage_count) {
        return;
    } else if ((day->events & WARMUP_BLOCKED) != 0) {
        model->stage -= plan.rules.back_stages;
    } else if (model_is_good(model, day)) {
        model->stage++;
    }
    model_limit(model);
}

static void
model_order(struct model *model, enum warmup_order order)
{
    switch (order) {
    case WARMUP_START:
        if (model->stage == (long)schedule.stage_count)
            *model = (struct model){0};
        model->paused = false;
        break;
    case WARMUP_PAUSE:
        model->paused = model->stage < (long)schedule.stage_count;
        break;
    case WARMUP_ADVANCE:
        model->stage++;
        break;
    case WARMUP_GO_BACK:
        model->stage--;
        break;
    }
    model_limit(model);
    if (model->stage == (long)schedule.stage_count)
        model->paused = false;
}

/* ------------------------------------------------------------------ any days */

/* What hosts do on one day: each of them some of its allowance, together no more than that. */
static void
any_day(uint32_t allowance, struct warmup_figures figures[static HOSTS])
{
    uint32_t most = allowance < 2000000 ? allowance : 2000000;
    uint32_t wanted = chance(3) == 0 ? most : (uint32_t)chance(2 * (uint64_t)most);

    if (chance(4) == 0)
        wanted = 0;
    for (size_t i = 0; i < HOSTS; i++) {
        uint32_t used = wanted < most ? wanted : most;

        if (i + 1 < HOSTS)
            used = (uint32_t)chance((uint64_t)used + 1);
        wanted -= used;
        most -= used;
        figures[i] = (struct warmup_figures){.used = used, .accepted = used};
        if (chance(4) == 0) {
            figures[i].refused = (uint32_t)chance((uint64_t)used + 1) / (uint32_t)(1 + chance(9));
            figures[i].accepted -= figures[i].refused;
        }
        if (chance(8) == 0) /* results that nobody has heard of */
            figures[i].accepted = (uint32_t)chance((uint64_t)figures[i].accepted + 1);
        if (chance(20) == 0)
            figures[i].events = (uint32_t)chance(WARMUP_EVENTS_ALL + 1);
    }
}

static const char *const hosts[HOSTS] = {"mta1", "mta2", "mta3"};

static struct warmup_figures
sum_up(const struct warmup_figures figures[static HOSTS])
{
    struct warmup_figures sum = {0};

    for (size_t i = 0; i < HOSTS; i++) {
        sum.used += figures[i].used;
        sum.accepted += figures[i].accepted;
        sum.refused += figures[i].refused;
        sum.events |= figures[i].events;
    }
    return sum;
}

static void
assert_same(const struct warmup *a, const struct warmup *b)
{
    char text[WARMUP_TEXT_SIZE], other[WARMUP_TEXT_SIZE];

    warmup_print(a, text);
    warmup_print(b, other);
    assert_string_equal(text, other);
}

static void
go_through_the_store(struct warmup *warmup)
{
    char text[WARMUP_TEXT_SIZE];
    struct warmup parsed;
    size_t length = warmup_print(warmup, text);

    assert_int_equal(length, strlen(text));
    assert_int_equal(warmup_parse(text, length, &parsed), 0);
    assert_same(warmup, &parsed);
    *warmup = parsed;
}

static void
sometimes_by_hand(struct warmup *warmup, struct model *model)
{
    enum warmup_order order = (enum warmup_order)chance(4);

    if (chance(15) != 0)
        return;
    if (warmup_order(warmup, &plan, order, warmup->day, "root", "because") == 0)
        model_order(model, order);
}

static void
one_day(struct warmup *warmup, struct model *model)
{
    struct warmup_figures figures[HOSTS], sum;
    uint32_t allowance = warmup_allowance(warmup, &plan, NULL, warmup->day).day;

    assert_int_equal(warmup_stage(warmup, &schedule), model->stage);
    assert_int_equal(allowance, model_allowance(model));
    assert_int_equal(warmup->phase == WARMUP_PAUSED, model->paused);
    any_day(allowance, figures);
    for (size_t i = 0; i < HOSTS; i++)
        warmup_note(warmup, warmup->day, hosts[i], &figures[i]);
    sum = warmup_today(warmup);
    assert_true(sum.used <= allowance);
    assert_int_equal(sum.used, sum_up(figures).used);
    warmup_turn(warmup, &plan);
    model_turn(model, &sum);
}

static void
test_days_are_as_the_rules_say(void **state)
{
    size_t reached = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct warmup warmup = {0};
        struct model model = {0};

        any_plan(seed);
        warmup_begin(&warmup, &plan, FIRST, FIRST);
        for (int i = 0; i < DAYS; i++) {
            sometimes_by_hand(&warmup, &model);
            one_day(&warmup, &model);
            if (chance(10) == 0) {
                int32_t away = (int32_t)chance(40);
                const struct warmup_figures none = {0};

                assert_int_equal(warmup_turn_to(&warmup, &plan, warmup.day + away), away);
                while (away-- > 0)
                    model_turn(&model, &none);
            }
            go_through_the_store(&warmup);
        }
        assert_int_equal(warmup_stage(&warmup, &schedule), model.stage);
        reached += warmup.phase == WARMUP_FULL;
    }
    assert_in_range(reached, SEEDS / 50, SEEDS - SEEDS / 50); /* both ends are seen */
}

/* ------------------------------------------------------------------ forecast */

enum { AHEAD_MAX = 200 };

struct ahead {
    uint32_t allowances[AHEAD_MAX];
    int32_t first;
    size_t count;
};

static void
on_day(void *arg, int32_t day, uint32_t allowance)
{
    struct ahead *ahead = arg;

    assert_int_equal(day, ahead->first + (int32_t)ahead->count);
    assert_true(ahead->count < AHEAD_MAX);
    ahead->allowances[ahead->count++] = allowance;
}

/* Let it happen: the first day of full volume, or -1. */
static int32_t
live(struct warmup *warmup, uint32_t volume, const struct ahead *ahead)
{
    for (size_t i = 0; i < AHEAD_MAX && warmup->phase == WARMUP_RUNNING; i++) {
        uint32_t allowance = warmup_allowance(warmup, &plan, NULL, warmup->day).day;
        struct warmup_figures day = {.used = volume < allowance ? volume : allowance};

        day.accepted = day.used;
        if (i < ahead->count)
            assert_int_equal(allowance, ahead->allowances[i]);
        warmup_note(warmup, warmup->day, "mta1", &day);
        warmup_turn(warmup, &plan);
    }
    return warmup->phase == WARMUP_FULL ? warmup->day : -1;
}

static void
test_forecasts_come_true(void **state)
{
    size_t full = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct warmup warmup = {0};
        struct model model = {0};
        struct ahead ahead = {0};
        uint32_t volume;
        int32_t day;

        any_plan(seed);
        warmup_begin(&warmup, &plan, FIRST, FIRST);
        for (uint64_t i = chance(30); i > 0; i--)
            one_day(&warmup, &model);
        if (chance(3) == 0)
            warmup.events = (uint32_t)chance(WARMUP_EVENTS_ALL + 1);
        volume = (uint32_t)chance((uint64_t)schedule.stages[schedule.stage_count - 1] * 2);
        ahead.first = warmup.day;
        day = warmup_forecast(&warmup, &plan, volume, on_day, &ahead);
        assert_int_equal(live(&warmup, volume, &ahead), day);
        if (day >= 0)
            assert_int_equal(day - ahead.first, ahead.count);
        full += day > 0;
    }
    assert_in_range(full, SEEDS / 10, SEEDS - SEEDS / 10);
}

/* ----------------------------------------------------------- several hosts */

struct record {
    uint64_t version;
    char text[WARMUP_TEXT_SIZE];
    size_t length;
};

static struct record record;

/* A host, and what it knows of the record. */
struct host {
    struct record known;
    struct warmup_figures figures;
};

/* Do something to what it knows; when another was faster, to what that left. */
static void
change(struct host *host, const char *name, int32_t day, bool turn)
{
    for (;;) {
        struct warmup warmup;
        bool changed;

        assert_int_equal(warmup_parse(host->known.text, host->known.length, &warmup), 0);
        changed = turn ? warmup_turn_to(&warmup, &plan, day + 1) > 0
                       : warmup_note(&warmup, day, name, &host->figures);
        if (!changed)
            return;
        if (host->known.version == record.version) {
            record.length = warmup_print(&warmup, record.text);
            record.version++;
            host->known = record;
            return;
        }
        host->known = record;
    }
}

static void
part_of_a_day(struct host *host, const char *name, int32_t day, const struct warmup_figures *whole,
              unsigned part)
{
    host->figures = (struct warmup_figures){
        .used = (uint32_t)((uint64_t)whole->used * part / 8),
        .accepted = (uint32_t)((uint64_t)whole->accepted * part / 8),
        .refused = (uint32_t)((uint64_t)whole->refused * part / 8),
        .events = part < 4 ? 0 : whole->events,
    };
    change(host, name, day, false);
}

static void
shared_day(struct host them[static HOSTS], struct warmup *alone)
{
    struct warmup_figures figures[HOSTS], sum;
    int32_t day = alone->day;
    size_t first = (size_t)chance(HOSTS);

    any_day(warmup_allowance(alone, &plan, NULL, day).day, figures);
    for (int i = 0; i < 20; i++) {
        size_t host = (size_t)chance(HOSTS);

        part_of_a_day(&them[host], hosts[host], day, &figures[host], (unsigned)chance(9));
    }
    for (size_t i = 0; i < HOSTS; i++) /* its end: all of them tell, then any of them turns it */
        part_of_a_day(&them[(first + i) % HOSTS], hosts[(first + i) % HOSTS], day,
                      &figures[(first + i) % HOSTS], 8);
    first = (size_t)chance(HOSTS);
    for (size_t i = 0; i < HOSTS; i++) {
        change(&them[(first + i) % HOSTS], NULL, day, true);
        part_of_a_day(&them[first], hosts[first], day, &figures[first], 8); /* told again, late */
    }
    sum = sum_up(figures);
    warmup_note(alone, day, "all", &sum);
    warmup_turn(alone, &plan);
}

static void
test_hosts_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS / 10; seed++) {
        struct host them[HOSTS] = {0};
        struct warmup alone = {0}, shared;

        any_plan(seed);
        warmup_begin(&alone, &plan, FIRST, FIRST);
        record.version = 1;
        record.length = warmup_print(&alone, record.text);
        for (size_t i = 0; i < HOSTS; i++)
            them[i].known = record;
        for (int i = 0; i < DAYS; i++) {
            shared_day(them, &alone);
            assert_int_equal(warmup_parse(record.text, record.length, &shared), 0);
            assert_same(&shared, &alone);
        }
    }
}

/* --------------------------------------------------------------------- text */

static void
test_text_of_the_longest(void **state)
{
    struct warmup warmup = {.phase = WARMUP_RUNNING,
                            .started = 2932896,
                            .day = 2932896,
                            .idle_days = 2932896,
                            .volume = 1000000000,
                            .events = WARMUP_EVENTS_ALL,
                            .node_count = WARMUP_NODES_MAX,
                            .past_count = WARMUP_PAST_MAX,
                            .ordered_count = WARMUP_ORDERS_MAX};

    (void)state;
    for (size_t i = 0; i < WARMUP_NODES_MAX; i++)
        warmup.nodes[i] = (struct warmup_node){INT64_MAX - i, WARMUP_FIGURE_MAX, WARMUP_FIGURE_MAX,
                                               WARMUP_FIGURE_MAX};
    for (size_t i = 0; i < WARMUP_PAST_MAX; i++)
        warmup.past[i] = (struct warmup_past){
            2932896,
            2932896,
            WARMUP_UNLIMITED,
            WARMUP_STAYS,
            {WARMUP_FIGURE_MAX, WARMUP_FIGURE_MAX, WARMUP_FIGURE_MAX, WARMUP_EVENTS_ALL}};
    for (size_t i = 0; i < WARMUP_ORDERS_MAX; i++) {
        warmup.ordered[i] = (struct warmup_ordered){.day = 2932896, .order = WARMUP_GO_BACK};
        memset(warmup.ordered[i].who, 'w', WARMUP_WHO_SIZE - 1);
        memset(warmup.ordered[i].why, ' ', WARMUP_WHY_SIZE - 1);
    }
    go_through_the_store(&warmup);
}

static void
test_text_of_strangers(void **state)
{
    static const char good[] = "1 1 20000 20001 0 100 0 1 7 5 5 0 1 20000 1 100 0 5 5 0 0 "
                               "1 20000 2 4 root 2 x? ";
    static const char *const wrong[] = {
        "",
        "2 1 20000 20001 0 100 0 0 0 0 ",
        "1 0 20000 20001 0 100 0 0 0 0 ",
        "1 4 20000 20001 0 100 0 0 0 0 ",
        "1 1 20000 9999999 0 100 0 0 0 0 ",
        "1 1 20000 20001 0 0 0 0 0 0 ",
        "1 1 20000 20001 0 1000000001 0 0 0 0 ",
        "1 1 20000 20001 0 4294967295 0 0 0 0 ",
        "1 3 20000 20001 0 100 0 0 0 0 ",
        "1 1 20000 20001 0 100 8 0 0 0 ",
        "1 1 20000 20001 0 100 0 17 0 0 ",
        "1 1 20000 20001 0 100 0 2 7 5 5 0 7 5 5 0 0 0 ",
        "1 1 20000 20001 0 100 0 1 7 5 5 1000000001 0 0 ",
        "1 1 20000 20001 0 100 0 0 29 0 ",
        "1 1 20000 20001 0 100 0 0 1 20000 0 100 0 5 5 0 0 0 ",
        "1 1 20000 20001 0 100 0 0 1 20000 1 0 0 5 5 0 0 0 ",
        "1 1 20000 20001 0 100 0 0 1 20000 1 100 10 5 5 0 0 0 ",
        "1 1 20000 20001 0 100 0 0 0 7 ",
        "1 1 20000 20001 0 100 0 0 0 1 20000 4 4 root 1 x ",
        "1 1 20000 20001 0 100 0 0 0 1 20000 2 5 root 1 x ",
        "1 1 20000 20001 0 100 0 0 0 1 20000 2 32 12345678901234567890123456789012 1 x ",
        "1 1 20000 20001 0 100 0 0 0 1 20000 2 4 root 9 x ",
        "1 1 20000 20001 0 100 0 0 0 0 x",
        "1 1 20000 20001 0 100 0 0 0 0",
        "1 -1 20000 20001 0 100 0 0 0 0 ",
    };
    struct warmup parsed;
    char text[WARMUP_TEXT_SIZE];

    (void)state;
    assert_int_equal(warmup_parse(good, strlen(good), &parsed), 0);
    assert_int_equal(warmup_print(&parsed, text), strlen(good));
    assert_string_equal(text, good);
    memset(&parsed, 0, sizeof(parsed));
    parsed.day = 77;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        print_message("%s\n", wrong[i]);
        assert_true(warmup_parse(wrong[i], strlen(wrong[i]), &parsed) < 0);
    }
    for (size_t i = 0; i < strlen(good); i++)
        assert_true(warmup_parse(good, i, &parsed) < 0);
    memset(text, '1', sizeof(text));
    assert_true(warmup_parse(text, sizeof(text), &parsed) < 0);
    assert_int_equal(parsed.day, 77);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_are_as_the_rules_say),
        cmocka_unit_test(test_forecasts_come_true),
        cmocka_unit_test(test_hosts_agree),
        cmocka_unit_test(test_text_of_the_longest),
        cmocka_unit_test(test_text_of_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
