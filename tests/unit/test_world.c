/*
 * The world that simulations run in: caps and allowances hold in it, warm-ups go as their forecast
 * says, and what waits is neither lost nor sent twice.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "tests/unit/chance.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define FIRST_DAY 20788 /* 2026-12-01 */

static const int64_t start_ms = FIRST_DAY * DAY_MS;

/* What left, one by one. */
struct seen {
    struct conf *conf;
    struct world *world;
    struct world_sent *sent; /* owned */
    size_t count, room;
    uint64_t ended;
    enum world_result result;
    size_t suspended;
    struct world_suspension suspension; /* the last */
};

static void
on_sent(void *arg, const struct world_sent *sent)
{
    struct seen *seen = arg;

    if (seen->count == seen->room) {
        seen->room = seen->room > 0 ? 2 * seen->room : 1024;
        seen->sent = mem_must(realloc(seen->sent, seen->room * sizeof(*sent)));
    }
    seen->sent[seen->count++] = *sent;
    world_tell(seen->world, sent, &(struct world_reply){.result = seen->result, .count = 1});
}

static void
on_ended(void *arg, const struct world_ended *ended)
{
    struct seen *seen = arg;

    seen->ended += ended->count;
}

static void
on_suspended(void *arg, const struct world_suspension *suspension)
{
    struct seen *seen = arg;

    seen->suspended++;
    seen->suspension = *suspension;
}

static void
begin(struct seen *seen, const char *text, int64_t lifetime_ms)
{
    *seen = (struct seen){.conf = unit_conf(text)};
    seen->world = mem_must(world_new(&(struct world_setup){
        .snapshot = seen->conf->snapshot,
        .warmup = seen->conf->warmup,
        .suspension = &seen->conf->suspension,
        .probe_ms = seen->conf->suspension_probe_ms,
        .start_ms = start_ms,
        .lifetime_ms = lifetime_ms,
        .wake_per_s = seen->conf->wake_rate,
        .sent = on_sent,
        .ended = on_ended,
        .suspended = on_suspended,
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

/* count recipients of the first stream at the first provider that is not "other". */
static struct world_outcome
send(struct seen *seen, int64_t at_ms, uint32_t count, uint64_t key)
{
    struct world_outcome outcome;

    assert_int_equal(world_send(seen->world,
                                &(struct world_mail){
                                    .at_ms = at_ms,
                                    .stream = &seen->conf->snapshot->streams[0],
                                    .provider = 1,
                                    .key = key,
                                    .apart = true,
                                    .count = count,
                                },
                                &outcome),
                     0);
    assert_int_equal(outcome.left + outcome.waiting + outcome.ended, count);
    return outcome;
}

/* No window of any cap holds more: of the address, or of it at the provider. */
static void
assert_under(const struct seen *seen, const struct address *address, const struct cap *cap)
{
    size_t first = 0, within = 0;

    for (size_t i = 0; i < seen->count; i++) {
        if (address != NULL && seen->sent[i].address != address)
            continue;
        within++;
        for (; seen->sent[first].at_ms <= seen->sent[i].at_ms - cap->window_ms; first++)
            within -= address == NULL || seen->sent[first].address == address;
        assert_true(within <= cap->limit);
    }
}

#define SITE(warm)                                                           \
    "feedback: { log = \"/var/log/mail.log\"; };\n"                          \
    "warmup: { time_zone = \"UTC\"; };\n"                                    \
    "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\";"              \
    "                   caps = { minute = 20; hour = 300; }; };\n"           \
    "             b = { ip = \"192.0.2.2\"; helo = \"b.test\"; "             \
    "                   caps = { hour = 200; day = 3000; }; " warm "}; };\n" \
    "pools: { bulk = { addresses = ( \"a\", \"b\" ); }; };\n"                \
    "streams: ( { name = \"bulk\"; pool = \"bulk\"; match = (); } );\n"      \
    "providers: { one = { domains = ( \"one.test\" ); caps = { hour = 150; }; }; };\n"

static void
test_caps(void **state)
{
    struct seen seen;
    const struct snapshot *snapshot;
    struct world_stream stream;
    uint64_t offered = 0;

    (void)state;
    begin(&seen, SITE(""), 0);
    snapshot = seen.conf->snapshot;
    chance_seed(1);
    for (int minute = 0; minute < 3 * 24 * 60; minute++) {
        uint32_t count = (uint32_t)chance(chance(5) == 0 ? 30 : 5);

        send(&seen, start_ms + minute * MINUTE_MS, count, hash_mix((uint64_t)minute));
        offered += count;
    }
    assert_int_equal(world_run(seen.world, start_ms + 6 * DAY_MS), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct address *address = &snapshot->addresses[i];

        for (size_t j = 0; j < address->caps.count; j++)
            assert_under(&seen, address, &address->caps.items[j]);
        for (size_t j = 0; j < snapshot->providers[1].caps.count; j++)
            assert_under(&seen, address, &snapshot->providers[1].caps.items[j]);
        assert_true(world_sent_of(seen.world, address, &snapshot->streams[0]) > 0);
    }
    stream = world_stream(seen.world, &snapshot->streams[0]);
    assert_int_equal(stream.offered, offered);
    assert_int_equal(stream.sent, offered);
    assert_int_equal(stream.waiting, 0);
    assert_int_equal(seen.count, offered);
    assert_int_equal(stream.at_once + stream.delayed, offered);
    end(&seen);
}

/* Of what waits all the time nearly all of the room is used. */
static void
test_used(void **state)
{
    struct seen seen;

    (void)state;
    begin(&seen, SITE(""), 0);
    send(&seen, start_ms, 100000, 1);
    assert_int_equal(world_run(seen.world, start_ms + 10 * DAY_MS), 0);
    /* The one 150 an hour, at the provider, the other 3,000 a day. */
    assert_true(seen.count > 10 * (24 * 150 + 3000) * 97 / 100);
    assert_true(seen.count <= 10 * (24 * 150 + 3000) + 150);
    end(&seen);
}

static void
test_ended(void **state)
{
    struct seen seen;
    struct world_stream stream;

    (void)state;
    begin(&seen, SITE(""), DAY_MS);
    send(&seen, start_ms, 20000, 1);
    assert_int_equal(world_run(seen.world, start_ms + 2 * DAY_MS), 0);
    stream = world_stream(seen.world, &seen.conf->snapshot->streams[0]);
    assert_int_equal(stream.sent + stream.ended, 20000);
    assert_int_equal(seen.ended, stream.ended);
    assert_int_equal(stream.waiting, 0);
    assert_true(stream.waited_most_ms < DAY_MS);
    assert_true(stream.sent > 24 * 145 + 2900 && stream.sent <= 25 * 150 + 3000);
    end(&seen);
}

#define WARM "warmup = { schedule = \"conservative\"; started = \"2026-12-01\"; }; "

/* Mail all day long, more than it may send: its days are those of the forecast. */
static void
check_warmup(uint32_t volume)
{
    static const char text[] =
        "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; " WARM "}; };\n"
        "pools: { bulk = { addresses = ( \"a\" ); }; };\n"
        "streams: ( { name = \"bulk\"; pool = \"bulk\"; match = (); } );\n"
        "providers: { one = { domains = ( \"one.test\" ); }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n"
        "warmup: { time_zone = \"UTC\"; };\n";
    struct seen seen;
    struct warmup fresh = {0};
    const struct address *address;
    struct warmup_plan plan;
    int32_t full;

    begin(&seen, text, 2 * DAY_MS);
    address = &seen.conf->snapshot->addresses[0];
    plan = (struct warmup_plan){address->schedule, seen.conf->warmup};
    warmup_begin(&fresh, &plan, FIRST_DAY, FIRST_DAY);
    full = warmup_forecast(&fresh, &plan, volume, NULL, NULL);
    for (uint32_t minute = 0; minute < 30 * 24 * 60; minute++) {
        uint32_t of_day = minute % 1440;

        send(&seen, start_ms + minute * MINUTE_MS,
             (of_day + 1) * volume / 1440 - of_day * volume / 1440, hash_mix(minute));
    }
    assert_int_equal(world_days(seen.world), 30);
    for (size_t i = 0; i < world_days(seen.world); i++) {
        struct world_day day = world_day(seen.world, i);

        assert_int_equal(day.day, FIRST_DAY + (int32_t)i);
        assert_true(day.addresses[0].sent <= day.addresses[0].allowance);
        assert_true((full >= 0 && day.day >= full) ==
                    (day.addresses[0].allowance == WARMUP_UNLIMITED));
    }
    assert_int_equal(world_warmup(seen.world, address)->phase == WARMUP_FULL, full >= 0);
    end(&seen);
}

static void
test_warmup(void **state)
{
    (void)state;
    check_warmup(60000);
    check_warmup(20000); /* too little for the last stages */
}

/* The same calls give the same world. */
/* What an address used as it warmed up counts against nobody else when it is at full volume. */
static void
test_full_volume_is_its_own(void **state)
{
    static const char text[] =
        "addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; warmup = { schedule = "
        "\"short\"; started = \"2026-12-01\"; }; }; };\n"
        "pools: { bulk = { addresses = ( \"a\" ); }; };\n"
        "streams: ( { name = \"bulk\"; pool = \"bulk\"; match = (); account_caps = { day = 150; }; "
        "} );\n"
        "providers: { one = { domains = ( \"one.test\" ); }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n"
        "warmup: { time_zone = \"UTC\"; schedules = { short = { days = ( 100, 200 ); "
        "hour = 50; }; }; };\n";
    struct world_mail mail = {.provider = 1, .apart = true, .count = 1};
    char account[32];
    struct world_outcome outcome;
    struct seen seen;

    (void)state;
    begin(&seen, text, 0);
    mail.stream = &seen.conf->snapshot->streams[0];
    mail.account = account;
    for (uint32_t i = 0; i < 2 * 1440; i++) { /* each account a little */
        snprintf(account, sizeof(account), "a%u.test", i % 20);
        mail.at_ms = start_ms + i * MINUTE_MS;
        mail.key = hash_mix(i);
        assert_int_equal(world_send(seen.world, &mail, &outcome), 0);
    }
    assert_int_equal(world_run(seen.world, start_ms + 2 * DAY_MS + HOUR_MS), 0);
    assert_int_equal(world_warmup(seen.world, &seen.conf->snapshot->addresses[0])->phase,
                     WARMUP_FULL);
    snprintf(account, sizeof(account), "new.test");
    mail.at_ms = start_ms + 2 * DAY_MS + HOUR_MS;
    mail.count = 90; /* what may go at once of a cap that is spread over its day */
    assert_int_equal(world_send(seen.world, &mail, &outcome), 0);
    assert_int_equal(outcome.left, 90);
    end(&seen);
}

static void
test_same(void **state)
{
    struct seen seen[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(&seen[i], SITE(WARM), DAY_MS);
        chance_seed(3);
        for (int minute = 0; minute < 5 * 24 * 60; minute++)
            send(&seen[i], start_ms + minute * MINUTE_MS, (uint32_t)chance(9), chance(UINT64_MAX));
    }
    assert_int_equal(seen[0].count, seen[1].count);
    for (size_t i = 0; i < seen[0].count; i++) {
        assert_int_equal(seen[0].sent[i].at_ms, seen[1].sent[i].at_ms);
        assert_int_equal(seen[0].sent[i].address->index, seen[1].sent[i].address->index);
    }
    end(&seen[0]);
    end(&seen[1]);
}

/* A block takes the address out, and its warm-up a step back. */
static void
test_blocked(void **state)
{
    static const struct reaction now = {
        .after = 1, .within_ms = HOUR_MS, .suspend_ms = 2 * HOUR_MS, .suspend_most_ms = DAY_MS};
    struct seen seen;
    struct world_outcome outcome;
    int64_t at_ms = start_ms + HOUR_MS;

    (void)state;
    begin(&seen, SITE(WARM), DAY_MS);
    do {
        send(&seen, at_ms, 1, hash_mix((uint64_t)at_ms));
        at_ms++;
    } while (seen.count < 100 && seen.sent[seen.count - 1].address->index != 1);
    assert_int_equal(seen.sent[seen.count - 1].address->index, 1);
    world_tell(seen.world, &seen.sent[seen.count - 1],
               &(struct world_reply){.result = WORLD_REFUSED,
                                     .count = 1,
                                     .accused = WORLD_ADDRESS,
                                     .reaction = &now,
                                     .rule = 1,
                                     .for_good = true});
    assert_int_equal(seen.suspended, 1);
    assert_ptr_equal(seen.suspension.address, seen.sent[seen.count - 1].address);
    assert_int_equal(seen.suspension.accused, WORLD_ADDRESS);
    assert_int_equal(seen.suspension.rule, 1);
    assert_int_equal(seen.suspension.until_ms, seen.suspension.at_ms + 2 * HOUR_MS);
    assert_false(seen.suspension.slowed);
    for (int i = 0; i < 20; i++) {
        outcome = send(&seen, at_ms + i * 5 * MINUTE_MS, 1, hash_mix((uint64_t)i));
        assert_non_null(outcome.address);
        assert_int_equal(outcome.address->index, 0);
    }
    assert_int_equal(world_run(seen.world, start_ms + DAY_MS + HOUR_MS), 0);
    assert_int_equal(world_day(seen.world, 0).addresses[1].result, WARMUP_BACK);
    end(&seen);
}

/* What came in at most, whether there was room for it or not. */
static void
test_peak(void **state)
{
    struct seen seen;
    struct world_peak peak;
    const struct pool *pool;

    (void)state;
    begin(&seen, SITE(""), 0);
    send(&seen, start_ms + 59 * 1000, 3, 1);
    send(&seen, start_ms + MINUTE_MS, 4, 2);
    send(&seen, start_ms + MINUTE_MS + 59 * 1000, 4, 3);
    send(&seen, start_ms + HOUR_MS, 7, 4);
    send(&seen, start_ms + DAY_MS, 7, 5);
    pool = seen.conf->snapshot->streams[0].pool;
    peak = world_peak(seen.world, pool, &seen.conf->snapshot->providers[1]);
    assert_int_equal(peak.minute, 8);
    assert_int_equal(peak.minute_ms, start_ms + MINUTE_MS);
    assert_int_equal(peak.hour, 11);
    assert_int_equal(peak.hour_ms, start_ms);
    assert_int_equal(peak.day, 18);
    assert_int_equal(peak.day_at, FIRST_DAY);
    assert_int_equal(world_peak(seen.world, pool, NULL).minute, 8);
    assert_int_equal(world_peak(seen.world, pool, &seen.conf->snapshot->providers[0]).minute, 0);
    end(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_used),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_full_volume_is_its_own),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_peak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
