/*
 * A world with any mail at any time and any results: no cap is passed, nothing is lost or sent
 * twice, and what waits is either sent or given up in its time.
 *
 * Input: six bytes for each step: how much time passes, whose mail, how much, what becomes of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/hash.h"
#include "engine/need.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <string.h>

enum { STEPS_MAX = 100, STREAMS = 3, SENT_MAX = 60000, HOUR_MS = 3600 * 1000 };

#define DAY_MS ((int64_t)24 * HOUR_MS)
#define START_MS (20788 * DAY_MS)

static const char site[] =
    "tag_secret_file = \"/nonexistent/tag.secret\";\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "warmup: { time_zone = \"Europe/Berlin\"; engaged = ( \"30d\", \"60d\" ); };\n"
    "standing: { volume = 100; days = 2; day_volume = 5; samples = 20; };\n"
    "addresses: {\n"
    "  a = { ip = \"192.0.2.1\"; helo = \"a.test\"; caps = { minute = 9; hour = 120; }; };\n"
    "  b = { ip = \"192.0.2.2\"; helo = \"b.test\";\n"
    "        warmup = { schedule = \"conservative\"; started = \"2026-11-20\"; }; };\n"
    "  c = { ip = \"192.0.2.3\"; helo = \"c.test\"; caps = { day = 300; }; };\n"
    "  d = { ip = \"192.0.2.4\"; helo = \"d.test\"; }; };\n"
    "pools: { p = { addresses = ( \"a\", { name = \"b\"; weight = 3; } ); overflow = ( \"q\" ); "
    "};\n"
    "         q = { addresses = ( \"c\" ); };\n"
    "         r = { addresses = ( \"d\" ); exhausted = \"exceed\"; }; };\n"
    "providers: { one = { domains = ( \"one.test\" ); caps = { hour = 50; }; };\n"
    "             two = { domains = ( \"two.test\" ); }; };\n"
    "streams: (\n"
    "  { name = \"s\"; pool = \"p\"; grades = { new = \"q\"; attention = \"r\"; };\n"
    "    account_caps = { hour = 30; }; match = ( { sender = \"*@s\"; } ); },\n"
    "  { name = \"t\"; pool = \"q\"; hours = \"08:00-20:00\"; deadline = \"3h\"; priority = 4;\n"
    "    caps = { hour = 100; }; match = ( { sender = \"*@t\"; } ); },\n"
    "  { name = \"u\"; pool = \"p\"; match = (); } );\n";

static const struct reaction reaction = {
    .after = 2,
    .within_ms = HOUR_MS,
    .suspend_ms = HOUR_MS,
    .suspend_most_ms = 4 * HOUR_MS,
    .slow_after = 1,
    .slow_percent = 40,
    .slow_ms = HOUR_MS,
};

/* Too much for the stack, and the same each time. */
static struct {
    struct conf *conf;
    struct world *world;
    struct one {
        int64_t at_ms;
        uint8_t address, provider;
    } sent[SENT_MAX];
    size_t count;
    uint64_t offered, back, ended;
    uint8_t what; /* becomes of what leaves */
} run;

static void
on_sent(void *arg, const struct world_sent *sent)
{
    struct world_reply reply = {.result = (enum world_result)(run.what % 5), .count = sent->count};

    (void)arg;
    MUST(sent->count == 1 && sent->at_ms == world_now_ms(run.world));
    MUST(sent->since_ms <= sent->at_ms && run.count < SENT_MAX);
    MUST(sent->stream->deadline_ms == 0 ||
         sent->at_ms - sent->since_ms < sent->stream->deadline_ms);
    if (reply.result == WORLD_REFUSED) {
        reply.accused = (enum world_accused)(run.what / 5 % 4);
        reply.reaction = &reaction;
        reply.rule = 1 + run.what % 3;
        reply.for_good = run.what > 128;
    }
    if (reply.result == WORLD_UNREACHED)
        run.back++; /* it takes no room of any cap */
    else
        run.sent[run.count++] =
            (struct one){sent->at_ms, (uint8_t)sent->address->index, (uint8_t)sent->provider};
    world_tell(run.world, sent, &reply);
}

static void
on_ended(void *arg, const struct world_ended *ended)
{
    (void)arg;
    MUST(ended->at_ms > ended->since_ms);
    run.ended += ended->count;
}

/* No window of that cap holds more. */
static void
check_cap(size_t address, int provider, const struct cap *cap)
{
    size_t first = 0, within = 0;

    for (size_t i = 0; i < run.count; i++) {
        if (run.sent[i].address != address || (provider >= 0 && run.sent[i].provider != provider))
            continue;
        within++;
        for (; run.sent[first].at_ms <= run.sent[i].at_ms - cap->window_ms; first++)
            within -= run.sent[first].address == address &&
                      (provider < 0 || run.sent[first].provider == provider);
        MUST(within <= cap->limit);
    }
}

/* But those of the address of a pool that exceeds them. */
static void
check_caps(void)
{
    const struct snapshot *snapshot = run.conf->snapshot;

    for (size_t i = 0; i + 1 < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];

        for (size_t j = 0; j < address->caps.count; j++)
            check_cap(i, -1, &address->caps.items[j]);
        for (size_t j = 0; j < snapshot->provider_count; j++)
            for (size_t k = 0; k < snapshot->providers[j].caps.count; k++)
                check_cap(i, (int)j, &snapshot->providers[j].caps.items[k]);
    }
    for (size_t i = 0; i < world_days(run.world); i++) {
        struct world_day day = world_day(run.world, i);

        for (size_t j = 0; j < snapshot->address_count; j++)
            MUST(day.addresses[j].sent <= day.addresses[j].allowance);
    }
}

static void
check_sums(void)
{
    uint64_t offered = 0, sent = 0, ended = 0;

    for (size_t i = 0; i < STREAMS; i++) {
        struct world_stream its = world_stream(run.world, &run.conf->snapshot->streams[i]);

        MUST(its.offered == its.sent + its.ended + its.late + its.waiting);
        MUST(its.offered == its.at_once + its.delayed && its.waiting <= its.waiting_most);
        offered += its.offered;
        sent += its.sent;
        ended += its.ended + its.late;
    }
    MUST(offered == run.offered && sent == run.count + run.back && ended == run.ended);
}

static void
begin(void)
{
    struct conf_problems problems = {0};

    if (run.conf == NULL)
        MUST(conf_load_text(site, &run.conf, &problems) == 0);
    conf_problems_clear(&problems);
    run.count = 0;
    run.offered = run.back = run.ended = 0;
    run.world = mem_must(world_new(&(struct world_setup){
        .snapshot = run.conf->snapshot,
        .warmup = run.conf->warmup,
        .suspension = &run.conf->suspension,
        .probe_ms = run.conf->suspension_probe_ms,
        .standing = &run.conf->standing,
        .zone = run.conf->warmup_zone,
        .start_ms = START_MS,
        .lifetime_ms = 2 * DAY_MS,
        .wake_per_s = 20,
        .sent = on_sent,
        .ended = on_ended,
    }));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const accounts[] = {"", "a.test", "b.test", "c.test"};
    static const int64_t times_ms[] = {0,          1,       900,         60 * 1000,
                                       700 * 1000, HOUR_MS, 5 * HOUR_MS, DAY_MS};
    struct fuzz_input input = {data, size};
    int64_t now_ms = START_MS;

    begin();
    for (int i = 0; input.size > 0 && i < STEPS_MAX; i++) {
        uint8_t time = fuzz_byte(&input), whose = fuzz_byte(&input), count = fuzz_byte(&input);
        uint8_t key = fuzz_byte(&input), quiet = fuzz_byte(&input);
        struct world_outcome outcome;
        struct world_mail mail = {
            .stream = &run.conf->snapshot->streams[whose % STREAMS],
            .provider = whose / STREAMS % 3,
            .account = accounts[whose / 16 % 4],
            .domain = key % 2 == 0 ? "x.test" : NULL,
            .key = hash_mix(key),
            .apart = whose > 128,
            .quiet_days = quiet,
            .count = count % 100,
            .token = key,
        };

        run.what = fuzz_byte(&input);
        now_ms += times_ms[time % 8];
        mail.at_ms = now_ms;
        MUST(world_send(run.world, &mail, &outcome) == 0);
        MUST(outcome.left + outcome.waiting + outcome.ended == mail.count);
        MUST((outcome.left > 0) == (outcome.address != NULL));
        run.offered += mail.count;
        if (i % 16 == 0)
            check_sums();
    }
    MUST(world_run(run.world, now_ms + 3 * DAY_MS) == 0);
    check_sums();
    for (size_t i = 0; i < STREAMS; i++)
        MUST(world_stream(run.world, &run.conf->snapshot->streams[i]).waiting == 0);
    check_caps();
    for (size_t i = 0; i < run.conf->snapshot->pool_count; i++)
        need_of(run.world, &run.conf->snapshot->pools[i]);
    world_free(run.world);
    return 0;
}
