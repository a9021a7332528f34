/*
 * Meters from one configuration to the next, and accounts that come and go.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "tests/unit/chance.h"

enum { NAMES = 40, RELOADS = 300, KEEP_MS = 60000, HOUR_MS = 3600 * 1000 };

static void
add_addresses(struct buf *text, struct buf *names)
{
    size_t first = chance(NAMES), count = 1 + chance(NAMES);

    buf_puts(text, "node = \"mta1\";\naddresses: {\n");
    for (size_t i = 0; i < count; i++) {
        size_t name = (first + 7 * i) % NAMES; /* each once, in another order */

        buf_printf(text, "a%zu = { ip = \"127.1.1.%zu\"; helo = \"a.test\"; %s };\n", name,
                   name + 1, chance(4) > 0 ? "caps = { hour = 100; };" : "");
        buf_printf(names, "%s\"a%zu\"", i > 0 ? ", " : "", name);
    }
    buf_puts(text, "};\n");
}

static struct conf *
random_conf(void)
{
    struct buf text = {0}, names = {0};
    struct conf *conf;

    add_addresses(&text, &names);
    buf_puts(&text, "providers: {\n");
    for (size_t i = 0, first = chance(4); i < 4; i++)
        if (chance(4) > 0)
            buf_printf(&text, "p%zu = { domains = ( \"p%zu.test\" ); %s };\n", (first + i) % 4,
                       (first + i) % 4, chance(4) > 0 ? "caps = { day = 50; };" : "");
    buf_printf(&text, "};\npools: { all = { addresses = ( %s ); }; };\nstreams: (\n",
               buf_text(&names));
    for (size_t i = 0, first = chance(3); i < 3; i++)
        if (chance(4) > 0)
            buf_printf(
                &text,
                "{ name = \"s%zu\"; pool = \"all\"; match = ( { sasl_user = \"x\"; } ); %s %s "
                "},\n",
                (first + i) % 3, chance(2) > 0 ? "caps = { minute = 5; };" : "",
                chance(3) > 0 ? "account_caps = { minute = 5; };" : "");
    buf_puts(&text, "{ name = \"default\"; pool = \"all\"; match = (); } );\n");
    conf = unit_conf(buf_text(&text));
    buf_clear(&text);
    buf_clear(&names);
    return conf;
}

/* Every meter that there can be, marked by what is its own; those of before must be so marked. */
static void
mark_all(struct meters *meters, const struct snapshot *snapshot, char *const *keys, size_t *marks,
         int64_t now_ms)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        uint32_t number = meters_find(meters, keys[i]);
        char key[METERS_KEY_SIZE];
        struct metered *metered;

        if (number == METERS_NONE) {
            marks[i] = 0;
            continue;
        }
        metered = meters_at(meters, number);
        assert_true(meters_is_used(meters, number));
        meters_key(meters, number, key);
        assert_string_equal(key, keys[i]);
        assert_int_equal(metered->meter.excess_total, marks[i]);
        marks[i] = 1 + i;
        metered->meter.excess_total = (uint32_t)marks[i];
        metered->meter.active_ms = now_ms;
        if (metered->kind == METERS_ADDRESS)
            assert_ptr_equal(metered->caps, &snapshot_find_address(snapshot, keys[i] + 8)->caps);
    }
}

static char **
all_keys(void)
{
    char **keys = mem_array(NAMES * 5 + 3 * 4 + 1, sizeof(*keys));
    size_t count = 0;

    for (size_t i = 0; i < NAMES; i++) {
        keys[count++] = mem_printf("address/a%zu", i);
        for (size_t j = 0; j < 4; j++)
            keys[count++] = mem_printf("provider/a%zu/p%zu", i, j);
    }
    for (size_t i = 0; i < 3; i++) {
        keys[count++] = mem_printf("stream/s%zu", i);
        for (size_t j = 0; j < 3; j++)
            keys[count++] = mem_printf("account/s%zu/user%zu", i, j);
    }
    return keys;
}

/* Is there something under key with these caps?  What was before it was found is new. */
static void
test_reloads(void **state)
{
    char **keys = all_keys();
    size_t *marks = mem_array(NAMES * 5 + 3 * 4 + 1, sizeof(*marks)), most = 0;
    int64_t now_ms = 1000000;
    struct conf *conf;
    struct meters *meters;

    (void)state;
    chance_seed(1);
    conf = random_conf();
    meters = meters_new(conf->snapshot);
    meters_set_keep(meters, KEEP_MS);
    for (int i = 0; i < RELOADS; i++) {
        struct conf *next = random_conf();

        mark_all(meters, conf->snapshot, keys, marks, now_ms);
        assert_true(meters_set_snapshot(meters, next->snapshot, now_ms));
        conf_unref(conf);
        conf = next;
        /* What has no caps now is gone, even if it comes again. */
        for (size_t j = 0; keys[j] != NULL; j++)
            if (meters_find(meters, keys[j]) == METERS_NONE)
                marks[j] = 0;
        now_ms += KEEP_MS / 4;
        for (uint32_t number = 0; number < meters_count(meters); number++)
            meters_tend(meters, number, now_ms);
        if (i == RELOADS / 2)
            most = meters_count(meters);
    }
    assert_true(meters_count(meters) <= most + most / 4); /* numbers are used again */
    meters_free(meters);
    conf_unref(conf);
    for (size_t j = 0; keys[j] != NULL; j++)
        free(keys[j]);
    free(keys);
    free(marks);
}

static uint32_t
account(struct meters *meters, size_t number)
{
    char name[32];

    snprintf(name, sizeof(name), "user%zu", number);
    return meters_account(meters, 0, name);
}

static void
tend_all(struct meters *meters, int64_t now_ms)
{
    struct book_ask ask;

    for (uint32_t number = 0; number < meters_count(meters); number++)
        meters_tend(meters, number, now_ms);
    while (meters_next(meters, now_ms, &ask) != METERS_NONE)
        ;
}

/* As many as can be at a time; those whose windows are over make room, others do not. */
static void
test_accounts(void **state)
{
    struct conf *conf = unit_conf(
        "node = \"mta1\"; addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a.test\"; }; };\n"
        "pools: { all = { addresses = ( \"a1\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"all\"; match = ();\n"
        "             account_caps = { minute = 4; hour = 40; }; } );\n");
    struct meters *meters = meters_new(conf->snapshot);
    struct book_answer lease = {.count = 2};
    int64_t now_ms = 1000000;
    uint64_t refused;
    uint32_t busy, seq;
    struct metered *metered;

    (void)state;
    meters_set_keep(meters, KEEP_MS);
    for (size_t i = 0; i < METERS_ACCOUNTS_MAX; i++)
        assert_int_equal(account(meters, i), i);
    assert_int_equal(account(meters, METERS_ACCOUNTS_MAX), METERS_NONE);
    assert_int_equal(meters_accounts(meters, &refused), METERS_ACCOUNTS_MAX);
    assert_int_equal(refused, 1);
    busy = account(meters, 7);
    lease.from_ms = now_ms;
    meter_answered(&meters_at(meters, busy)->meter, &lease, now_ms);
    meters_take(meters, busy, now_ms);
    metered = meters_at(meters, account(meters, 5)); /* it has asked before */
    metered->meter.active_ms = now_ms - 5000;
    seq = metered->meter.seq = 1000;
    for (size_t i = 0; i < METERS_ACCOUNTS_MAX; i++)
        if (i != 5 && i != busy)
            meters_at(meters, (uint32_t)i)->meter.active_ms = now_ms;

    now_ms += 3600 * 1000 + KEEP_MS - 2000;
    tend_all(meters, now_ms);
    assert_int_equal(meters_accounts(meters, &refused), METERS_ACCOUNTS_MAX - 1); /* that one */
    assert_int_equal(account(meters, METERS_ACCOUNTS_MAX), 5);
    assert_true(meters_at(meters, 5)->meter.seq >= seq);
    now_ms += 5000;
    tend_all(meters, now_ms);
    assert_int_equal(meters_accounts(meters, &refused), 1); /* has something to report */
    assert_int_equal(account(meters, 7), busy);
    meters_free(meters);
    conf_unref(conf);
}

static struct conf *
shared_conf(unsigned hour)
{
    char text[600];

    snprintf(
        text, sizeof(text),
        "node = \"mta1\";\n"
        "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a.test\"; caps = { hour = %u; }; };\n"
        "             a2 = { ip = \"127.0.1.2\"; helo = \"a.test\"; }; };\n"
        "providers: { p = { domains = ( \"p.test\" ); caps = { hour = 40; }; }; };\n"
        "pools: { all = { addresses = ( \"a1\", \"a2\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"all\"; match = (); } );\n",
        hour);
    return unit_conf(text);
}

/* As many as can be taken of it in the hour from now_ms on. */
static unsigned
taken_in_an_hour(struct meters *meters, uint32_t number, int64_t now_ms)
{
    unsigned taken = 0;

    for (int64_t end_ms = now_ms + HOUR_MS; now_ms < end_ms && taken < 1000; now_ms++)
        while (taken < 1000 &&
               meter_state(&meters_at(meters, number)->meter, now_ms) == METER_FREE) {
            meters_take(meters, number, now_ms);
            taken++;
        }
    return taken;
}

/* Without the store a smaller cap has a smaller share: none, if it has less than there are nodes.
 */
static void
test_smaller_while_alone(void **state)
{
    struct conf *conf = shared_conf(400), *none = shared_conf(3), *some = shared_conf(8);
    struct meters *meters = meters_new(conf->snapshot);
    uint32_t number = meters_find(meters, "address/a1");
    int64_t now_ms = 1000000;

    (void)state;
    meters_set_nodes(meters, 4);
    meters_lapse(meters, now_ms);
    now_ms += 2 * HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 100);
    assert_true(meters_set_snapshot(meters, none->snapshot, now_ms));
    conf_unref(conf);
    now_ms += HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 0);
    assert_int_equal(meter_state_many(&meters_at(meters, number)->meter, 1, now_ms), METER_COLD);
    assert_true(meters_set_snapshot(meters, some->snapshot, now_ms));
    conf_unref(none);
    now_ms += HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 2);
    meters_free(meters);
    conf_unref(some);
}

/* What had no share when the store went away has one as soon as its cap is larger. */
static void
test_larger_while_alone(void **state)
{
    struct conf *conf = shared_conf(3), *some = shared_conf(400);
    struct meters *meters = meters_new(conf->snapshot);
    uint32_t number = meters_find(meters, "address/a1");
    int64_t now_ms = 1000000;

    (void)state;
    meters_set_nodes(meters, 4);
    meters_lapse(meters, now_ms);
    now_ms += 2 * HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 0);
    assert_true(meters_set_snapshot(meters, some->snapshot, now_ms));
    conf_unref(conf);
    now_ms += HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 100);
    meters_reset(meters, number); /* nobody can forget what this node has of its share */
    now_ms += HOUR_MS;
    assert_int_equal(taken_in_an_hour(meters, number, now_ms), 100);
    meters_free(meters);
    conf_unref(some);
}

/* Where the admin wants it so, the share does not wait; no hour holds more of it than the share. */
static void
test_share_at_once(void **state)
{
    struct conf *conf = shared_conf(400);
    struct meters *meters = meters_new(conf->snapshot);
    int64_t now_ms = 1000000;

    (void)state;
    meters_set_nodes(meters, 4);
    meters_set_share(meters, true);
    meters_lapse(meters, now_ms);
    assert_int_equal(taken_in_an_hour(meters, meters_find(meters, "address/a1"), now_ms), 100);
    assert_int_equal(taken_in_an_hour(meters, meters_find(meters, "provider/a2/p"), now_ms), 10);
    meters_free(meters);
    conf_unref(conf);
}

/* What is first met without the store has this node's share, too, and as late as all others. */
static void
test_first_met_alone(void **state)
{
    struct conf *conf = shared_conf(400);
    struct meters *meters = meters_new(conf->snapshot);
    int64_t now_ms = 1000000;
    struct book_ask ask;
    uint32_t number;

    (void)state;
    meters_set_nodes(meters, 4);
    meters_lapse(meters, now_ms);
    number = meters_find(meters, "provider/a2/p");
    assert_int_equal(meter_state(&meters_at(meters, number)->meter, now_ms), METER_FULL);
    assert_int_equal(taken_in_an_hour(meters, number, now_ms + HOUR_MS), 0);
    assert_int_equal(taken_in_an_hour(meters, number, now_ms + 2 * HOUR_MS), 10);
    meters_rejoin(meters);
    while (meters_next(meters, now_ms + 3 * HOUR_MS, &ask) != number)
        ;
    assert_true(ask.first);
    assert_true(ask.report_count > 0);
    number = meters_find(meters, "provider/a1/p"); /* there again: as ever */
    assert_int_equal(meter_state(&meters_at(meters, number)->meter, now_ms), METER_COLD);
    meters_free(meters);
    conf_unref(conf);
}

/* Caps go with a reload and come again while an ask is under way: its answer is not for the next.
 */
static void
test_answer_of_before(void **state)
{
    static const char with[] =
        "node = \"mta1\"; addresses: { a1 = { ip = \"127.0.1.1\"; "
        "helo = \"a.test\"; caps = { hour = 100; }; };\n"
        "a2 = { ip = \"127.0.1.2\"; helo = \"b.test\"; caps = { hour = 9; }; }; };\n"
        "pools: { all = { addresses = ( \"a1\", \"a2\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"all\"; match = (); } );\n";
    static const char without[] =
        "node = \"mta1\"; addresses: { a1 = { ip = \"127.0.1.1\"; "
        "helo = \"a.test\"; };\n"
        "a2 = { ip = \"127.0.1.2\"; helo = \"b.test\"; caps = { hour = 9; }; }; };\n"
        "pools: { all = { addresses = ( \"a1\", \"a2\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"all\"; match = (); } );\n";
    struct conf *before = unit_conf(with), *none = unit_conf(without), *after = unit_conf(with);
    struct meters *meters = meters_new(before->snapshot);
    struct book_answer answer = {.count = 5, .from_ms = 1000};
    struct book_ask old, ask;
    uint32_t number;

    (void)state;
    meters_set_seq(meters, 41);
    meters_want(meters, meters_find(meters, "address/a1"));
    assert_int_not_equal(meters_next(meters, 1000, &old), METERS_NONE);
    assert_int_equal(old.seq, 42);
    assert_true(meters_set_snapshot(meters, none->snapshot, 1000));
    assert_true(meters_set_snapshot(meters, after->snapshot, 1000));
    number = meters_find(meters, "address/a1");
    meters_want(meters, number);
    assert_int_equal(meters_next(meters, 1000, &ask), number);
    answer.seq = old.seq;
    assert_false(meters_answered(meters, number, &answer, 1000));
    answer.seq = ask.seq;
    assert_true(meters_answered(meters, number, &answer, 1000));
    assert_false(meters_answered(meters, number, &answer, 1000)); /* it was answered */
    assert_int_equal(meter_held(&meters_at(meters, number)->meter), 5);
    meters_free(meters);
    conf_unref(before);
    conf_unref(none);
    conf_unref(after);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reloads),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_smaller_while_alone),
        cmocka_unit_test(test_answer_of_before),
        cmocka_unit_test(test_larger_while_alone),
        cmocka_unit_test(test_share_at_once),
        cmocka_unit_test(test_first_met_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
