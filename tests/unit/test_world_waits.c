/*
 * What waits in a world: who gets room first, hours and deadlines, accounts with caps of their own,
 * and any caps with any mail.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/hash.h"
#include "engine/need.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "tests/unit/chance.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

enum { FIRST_DAY = 20788, /* 2026-12-01, a Tuesday */ SENT_MAX = 1000 * 1000, SEEDS = 40 };

static const int64_t start_ms = FIRST_DAY * DAY_MS;

struct one {
    int64_t at_ms, since_ms;
    size_t stream, provider, address;
    uint64_t token;
};

struct seen {
    struct conf *conf;
    struct world *world;
    struct one *sent; /* owned */
    size_t count;
    uint64_t late, ended;
    bool unreached, bounced; /* whatever leaves */
};

static void
on_sent(void *arg, const struct world_sent *sent)
{
    struct seen *seen = arg;

    assert_true(seen->count < SENT_MAX);
    seen->sent[seen->count++] =
        (struct one){sent->at_ms,    sent->since_ms,       sent->stream->index,
                     sent->provider, sent->address->index, sent->token};
    world_tell(seen->world, sent,
               &(struct world_reply){.result = seen->unreached ? WORLD_UNREACHED
                                               : seen->bounced ? WORLD_BOUNCED
                                                               : WORLD_ACCEPTED,
                                     .count = 1});
}

static void
on_ended(void *arg, const struct world_ended *ended)
{
    struct seen *seen = arg;

    if (ended->deadline)
        seen->late += ended->count;
    else
        seen->ended += ended->count;
}

static void
begin(struct seen *seen, struct conf *conf)
{
    *seen = (struct seen){.conf = conf, .sent = mem_array(SENT_MAX, sizeof(*seen->sent))};
    seen->world = mem_must(world_new(&(struct world_setup){
        .snapshot = conf->snapshot,
        .warmup = conf->warmup,
        .suspension = &conf->suspension,
        .probe_ms = conf->suspension_probe_ms,
        .standing = &conf->standing,
        .start_ms = start_ms,
        .lifetime_ms = DAY_MS,
        .wake_per_s = conf->wake_rate,
        .sent = on_sent,
        .ended = on_ended,
        .arg = seen,
    }));
}

static void
end(struct seen *seen)
{
    world_free(seen->world);
    conf_unref(seen->conf);
    free(seen->sent);
}

static struct world_outcome
send(struct seen *seen, int64_t at_ms, size_t stream, uint32_t count, const char *account)
{
    static uint64_t key;
    struct world_outcome outcome;
    struct world_mail mail = {
        .at_ms = at_ms,
        .stream = &seen->conf->snapshot->streams[stream],
        .account = account,
        .key = hash_mix(++key),
        .apart = true,
        .count = count,
        .token = stream,
    };

    assert_int_equal(world_send(seen->world, &mail, &outcome), 0);
    assert_int_equal(outcome.left + outcome.waiting + outcome.ended, count);
    return outcome;
}

static size_t
sent_of(const struct seen *seen, size_t stream, int64_t before_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < seen->count; i++)
        count += seen->sent[i].stream == stream && seen->sent[i].at_ms < before_ms;
    return count;
}

/* Since then. */
static size_t
sent_from(const struct seen *seen, size_t address, int64_t since_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < seen->count; i++)
        count += seen->sent[i].address == address && seen->sent[i].at_ms >= since_ms;
    return count;
}

#define ADDRESS \
    "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; caps = { hour = 100; }; }; };\n"
#define POOL "pools: { p = { addresses = ( \"a\" ); }; };\n"

/* What waits of a stream with a higher priority goes first, and what is older before what is newer.
 */
static void
test_priority(void **state)
{
    struct seen seen;
    int64_t last_ms = 0;

    (void)state;
    begin(
        &seen,
        unit_conf(ADDRESS POOL
                  "streams: ( { name = \"low\"; pool = \"p\"; match = ( { sender = \"x@y\"; } ); },"
                  " { name = \"high\"; pool = \"p\"; priority = 5; match = (); } );\n"));
    assert_int_equal(send(&seen, start_ms, 0, 100, NULL).left, 100);
    send(&seen, start_ms, 0, 150, NULL);
    send(&seen, start_ms + 1, 1, 150, NULL);
    assert_int_equal(world_run(seen.world, start_ms + 2 * HOUR_MS + HOUR_MS / 2), 0);
    assert_int_equal(sent_of(&seen, 1, INT64_MAX), 150);
    for (size_t i = 100; i < seen.count; i++) {
        assert_true(seen.sent[i].at_ms >= last_ms);
        last_ms = seen.sent[i].at_ms;
        assert_int_equal(seen.sent[i].stream, i < 250 ? 1 : 0);
    }
    end(&seen);
}

/* Mail that comes outside the hours leaves when they begin; what is too late is not sent. */
static void
test_times(void **state)
{
    struct seen seen;

    (void)state;
    begin(&seen,
          unit_conf(ADDRESS POOL
                    "streams: ( { name = \"day\"; pool = \"p\"; hours = \"08:00-20:00\"; time_zone "
                    "= \"UTC\"; "
                    "             match = ( { sender = \"x@y\"; } ); },"
                    " { name = \"code\"; pool = \"p\"; deadline = \"10m\"; match = (); } );\n"));
    assert_true(send(&seen, start_ms + HOUR_MS, 0, 50, NULL).outside);
    assert_int_equal(world_run(seen.world, start_ms + 8 * HOUR_MS - 1), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(world_run(seen.world, start_ms + 8 * HOUR_MS), 0);
    assert_int_equal(seen.count, 50);
    assert_int_equal(send(&seen, start_ms + 8 * HOUR_MS, 1, 80, NULL).left, 50);
    assert_int_equal(world_run(seen.world, start_ms + 10 * HOUR_MS), 0);
    assert_int_equal(seen.late, 30 - (seen.count - 100)); /* room that came meanwhile was used */
    for (size_t i = 0; i < seen.count; i++)
        if (seen.sent[i].stream == 1)
            assert_true(seen.sent[i].at_ms - seen.sent[i].since_ms < 10 * MINUTE_MS);
    end(&seen);
}

/* It counts for what a pool needs as its hours begin, but for what is given up before. */
static void
test_need_of_hours(void **state)
{
    struct seen seen;
    struct world_peak peak;
    const struct pool *pool;

    (void)state;
    begin(&seen,
          unit_conf(ADDRESS POOL
                    "streams: ( { name = \"day\"; pool = \"p\"; hours = \"08:00-20:00\"; time_zone "
                    "= \"UTC\"; deadline = \"5h\"; match = (); } );\n"));
    pool = &seen.conf->snapshot->pools[0];
    send(&seen, start_ms + HOUR_MS, 0, 50, NULL);
    for (int i = 4; i < 8; i++)
        send(&seen, start_ms + i * HOUR_MS, 0, 20, NULL);
    assert_int_equal(world_peak(seen.world, pool, NULL).day, 0);
    assert_int_equal(world_run(seen.world, start_ms + 8 * HOUR_MS), 0);
    assert_int_equal(seen.late, 50);
    peak = world_peak(seen.world, pool, NULL);
    assert_int_equal(peak.minute, 80);
    assert_int_equal(peak.hour, 80);
    assert_int_equal(peak.hour_ms, start_ms + 8 * HOUR_MS);
    send(&seen, start_ms + 8 * HOUR_MS, 0, 7, NULL);
    peak = world_peak(seen.world, pool, &seen.conf->snapshot->providers[0]);
    assert_int_equal(peak.minute, 87);
    assert_int_equal(peak.day, 87);
    end(&seen);
}

/* Each account has its caps, whatever others wait for, and none is passed over. */
static void
test_accounts(void **state)
{
    struct seen seen;
    size_t counts[5] = {0};

    (void)state;
    begin(&seen, unit_conf("addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; }; };\n" POOL
                           "streams: ( { name = \"s\"; pool = \"p\"; match = (); "
                           "account_caps = { hour = 20; }; } );\n"));
    for (int i = 0; i < 5; i++) {
        char account[16];
        struct world_outcome outcome;

        snprintf(account, sizeof(account), "c%d.test", i);
        outcome = send(&seen, start_ms + i, 0, 70, account);
        assert_true(outcome.left > 15 && outcome.left <= 20); /* leases do not come out even */
        assert_true(outcome.full);
    }
    assert_int_equal(send(&seen, start_ms + 10, 0, 7, "d.test").left, 7);
    assert_int_equal(world_run(seen.world, start_ms + 4 * HOUR_MS), 0);
    assert_int_equal(seen.count, 5 * 70 + 7);
    for (size_t i = 0; i < seen.count; i++)
        if (seen.sent[i].since_ms < start_ms + 10 && seen.sent[i].at_ms < start_ms + HOUR_MS)
            counts[seen.sent[i].since_ms - start_ms]++;
    for (size_t i = 0; i < 5; i++)
        assert_true(counts[i] > 15 && counts[i] <= 20);
    end(&seen);
}

/* What nobody saw takes no room. */
static void
test_unreached(void **state)
{
    struct seen seen;

    (void)state;
    begin(&seen,
          unit_conf(ADDRESS POOL "streams: ( { name = \"s\"; pool = \"p\"; match = (); } );\n"));
    seen.unreached = true;
    assert_int_equal(send(&seen, start_ms, 0, 60, NULL).left, 60);
    seen.unreached = false;
    assert_int_equal(send(&seen, start_ms + MINUTE_MS, 0, 100, NULL).left, 100);
    assert_int_equal(world_day(seen.world, 0).addresses[0].sent, 100);
    end(&seen);
}

/* wake.rate: what waits is taken up no faster. */
static void
test_wake_rate(void **state)
{
    struct seen seen;

    (void)state;
    begin(&seen, unit_conf("addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; }; };\n" POOL
                           "wake: { rate = 2; };\nstreams: ( { name = \"s\"; pool = \"p\"; hours = "
                           "\"08:00-20:00\"; "
                           "time_zone = \"UTC\"; match = (); } );\n"));
    send(&seen, start_ms, 0, 1000, NULL);
    assert_int_equal(world_run(seen.world, start_ms + 8 * HOUR_MS + 100 * 1000), 0);
    assert_true(seen.count >= 200 && seen.count <= 301);
    end(&seen);
}

/* ------------------------------------------------------------------ standing */

static void
on_account(void *arg, const char *account, const struct standing *standing)
{
    enum grade *grades = arg;

    grades[account[0] - 'a'] = standing != NULL ? standing->grade : GRADE_NEW;
}

/*
 * An account earns another pool by what becomes of its mail, on the day that the rules say, and
 * loses it at once; what waits goes along.  One that sends little stays where it is.
 */
static void
test_standing(void **state)
{
    static const char text[] =
        "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; };\n"
        "             b = { ip = \"192.0.2.2\"; helo = \"b.test\"; caps = { hour = 40; }; };\n"
        "             c = { ip = \"192.0.2.3\"; helo = \"c.test\"; }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n"
        "pools: { p = { addresses = ( \"a\" ); }; new = { addresses = ( \"b\" ); };\n"
        "         bad = { addresses = ( \"c\" ); }; };\n"
        "standing: { volume = 200; days = 3; day_volume = 10; samples = 50; };\n"
        "streams: ( { name = \"s\"; pool = \"p\"; grades = { new = \"new\"; attention = \"bad\"; "
        "};\n"
        "             match = (); } );\n";
    enum grade grades[3] = {GRADES, GRADES, GRADES};
    struct world_outcome outcome;
    struct seen seen;

    (void)state;
    begin(&seen, unit_conf(text));
    assert_true(world_has_standings(seen.world));
    for (int day = 0; day < 4; day++)
        for (int hour = 0; hour < 24; hour++) {
            size_t before = seen.count;

            send(&seen, start_ms + day * DAY_MS + hour * HOUR_MS, 0, 5, "a.test");
            if (hour > 0) /* the day is turned some minutes after midnight */
                assert_int_equal(seen.sent[before].address, day < 3 ? 1 : 0);
            if (hour == 12)
                send(&seen, start_ms + day * DAY_MS + hour * HOUR_MS, 0, 1, "b.test");
        }
    world_accounts(seen.world, on_account, grades);
    assert_int_equal(grades[0], GRADE_TRUSTED);
    assert_int_equal(grades[1], GRADE_NEW);
    assert_int_equal(world_day(seen.world, 2).grades[GRADE_NEW], 2);
    assert_int_equal(world_day(seen.world, 3).grades[GRADE_TRUSTED], 1);

    /* A campaign of an account that turns bad. */
    seen.bounced = true;
    outcome = send(&seen, start_ms + 4 * DAY_MS + HOUR_MS, 0, 1000, "a.test");
    assert_int_equal(outcome.left, 1000);
    assert_true(sent_from(&seen, 0, start_ms + 4 * DAY_MS + HOUR_MS) < 100);
    assert_true(sent_from(&seen, 2, start_ms + 4 * DAY_MS + HOUR_MS) > 900);
    world_accounts(seen.world, on_account, grades);
    assert_int_equal(grades[0], GRADE_ATTENTION);
    assert_int_equal(world_day(seen.world, 4).grades[GRADE_ATTENTION], 1);
    assert_int_equal(world_day(seen.world, 4).grades[GRADE_TRUSTED], 0);

    /* More than a new one may send: it waits for the new ones' address, and leaves from that of the
     * bad. */
    outcome = send(&seen, start_ms + 5 * DAY_MS, 0, 1000, "c.test");
    assert_true(outcome.waiting > 900);
    assert_int_equal(world_run(seen.world, start_ms + 7 * DAY_MS), 0);
    assert_true(sent_from(&seen, 2, start_ms + 5 * DAY_MS) > 800);
    assert_int_equal(world_stream(seen.world, &seen.conf->snapshot->streams[0]).waiting, 0);
    end(&seen);
}

/* ------------------------------------------------------------------ whatever */

/* No window of that cap holds more of what has that address, stream or provider; SIZE_MAX: any. */
static void
assert_under(const struct seen *seen, size_t address, size_t stream, size_t provider,
             const struct cap *cap)
{
    size_t first = 0, within = 0;

    for (size_t i = 0; i < seen->count; i++) {
        const struct one *one = &seen->sent[i];

        if ((address != SIZE_MAX && one->address != address) ||
            (stream != SIZE_MAX && one->stream != stream) ||
            (provider != SIZE_MAX && one->provider != provider))
            continue;
        within++;
        for (; seen->sent[first].at_ms <= one->at_ms - cap->window_ms; first++) {
            const struct one *old = &seen->sent[first];

            within -= (address == SIZE_MAX || old->address == address) &&
                      (stream == SIZE_MAX || old->stream == stream) &&
                      (provider == SIZE_MAX || old->provider == provider);
        }
        if (within > cap->limit)
            fail_msg("%zu in a window of %s, %u may be", within, cap->name, cap->limit);
    }
}

static void
chance_some_caps(struct caps *caps)
{
    caps->count = 0;
    if (chance(3) > 0)
        chance_caps(caps);
}

/* Any caps, any mail: none is passed, and nothing is lost. */
static void
test_any(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct conf *conf = unit_conf(
            "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; caps = { hour = 9; }; };\n"
            "             b = { ip = \"192.0.2.2\"; helo = \"b.test\"; };\n"
            "             c = { ip = \"192.0.2.3\"; helo = \"c.test\"; }; };\n"
            "pools: { p = { addresses = ( \"a\", \"b\" ); overflow = ( \"q\" ); }; q = { addresses "
            "= ( \"c\" ); }; };\n"
            "providers: { one = { domains = ( \"one.test\" ); caps = { hour = 9; }; }; };\n"
            "streams: ( { name = \"s\"; pool = \"p\"; match = ( { sender = \"x@y\"; } ); },\n"
            "           { name = \"t\"; pool = \"q\"; priority = 3; match = (); } );\n");
        struct snapshot *snapshot = conf->snapshot;
        struct seen seen;
        int64_t at_ms = start_ms;
        uint64_t offered = 0, counted = 0;

        chance_seed(seed);
        for (size_t i = 0; i < 3; i++)
            chance_some_caps(&snapshot->addresses[i].caps);
        for (size_t i = 0; i < 2; i++) {
            chance_some_caps(&snapshot->streams[i].caps);
            chance_some_caps(&snapshot->providers[i].caps);
        }
        begin(&seen, conf);
        while (at_ms < start_ms + 6 * HOUR_MS) {
            uint32_t count = (uint32_t)chance(chance(20) == 0 ? 100 : 5);
            struct world_outcome outcome;
            struct world_mail mail = {.at_ms = at_ms,
                                      .stream = &snapshot->streams[chance(2)],
                                      .provider = chance(2),
                                      .key = chance(UINT64_MAX),
                                      .apart = chance(2) == 0,
                                      .count = count};

            assert_int_equal(world_send(seen.world, &mail, &outcome), 0);
            offered += count;
            at_ms += (int64_t)chance(120 * 1000);
        }
        assert_int_equal(world_run(seen.world, at_ms + 2 * DAY_MS), 0);
        assert_int_equal(seen.count + seen.ended, offered);
        for (size_t i = 0; i < 2; i++) {
            struct world_stream its = world_stream(seen.world, &snapshot->streams[i]);

            assert_int_equal(its.waiting, 0);
            assert_int_equal(its.sent + its.ended, its.offered);
            assert_true(its.waited_most_ms < DAY_MS);
            counted += its.sent;
            for (size_t j = 0; j < snapshot->streams[i].caps.count; j++)
                assert_under(&seen, SIZE_MAX, i, SIZE_MAX, &snapshot->streams[i].caps.items[j]);
        }
        assert_int_equal(counted, seen.count);
        for (size_t i = 0; i < 3; i++) {
            for (size_t j = 0; j < snapshot->addresses[i].caps.count; j++)
                assert_under(&seen, i, SIZE_MAX, SIZE_MAX, &snapshot->addresses[i].caps.items[j]);
            for (size_t k = 0; k < 2; k++)
                for (size_t j = 0; j < snapshot->providers[k].caps.count; j++)
                    assert_under(&seen, i, SIZE_MAX, k, &snapshot->providers[k].caps.items[j]);
        }
        end(&seen);
    }
}

/* How many addresses there would have to be. */
static void
test_need(void **state)
{
    struct seen seen;
    struct need need;
    const struct pool *pool;

    (void)state;
    begin(&seen, unit_conf("addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; caps = { "
                           "hour = 514; day = 5140; }; };\n"
                           "             b = { ip = \"192.0.2.2\"; helo = \"b.test\"; caps = { "
                           "hour = 1542; day = 15420; }; }; };\n"
                           "pools: { p = { addresses = ( \"a\", \"b\" ); }; };\n"
                           "providers: { other = { caps = { hour = 257; }; }; };\n"
                           "streams: ( { name = \"s\"; pool = \"p\"; match = (); } );\n"));
    pool = &seen.conf->snapshot->pools[0];
    need = need_of(seen.world, pool);
    assert_int_equal(need.addresses, 0);
    send(&seen, start_ms + 30 * MINUTE_MS, 0, 1, NULL);
    need = need_of(seen.world, pool);
    assert_int_equal(need.addresses, 1);
    send(&seen, start_ms + 40 * MINUTE_MS, 0, 512 - 1, NULL); /* of 256 each, at the provider */
    need = need_of(seen.world, pool);
    assert_int_equal(need.addresses, 2);
    assert_int_equal(need.peak, 512);
    assert_string_equal(need.provider->name, "other");
    send(&seen, start_ms + 50 * MINUTE_MS, 0, 1, NULL);
    assert_int_equal(need_of(seen.world, pool).addresses, 3);
    for (int i = 1; i < 24; i++) /* 512 each hour: 12,288 of 10,280 on average; there are two */
        send(&seen, start_ms + i * HOUR_MS, 0, 512, NULL);
    assert_int_equal(need_of(seen.world, pool).addresses, 3);
    end(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priority),      cmocka_unit_test(test_times),
        cmocka_unit_test(test_need_of_hours), cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_unreached),     cmocka_unit_test(test_wake_rate),
        cmocka_unit_test(test_standing),      cmocka_unit_test(test_any),
        cmocka_unit_test(test_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
