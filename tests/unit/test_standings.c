/*
 * Standings of accounts on two hosts that share a store: what both come to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/reported.h"
#include "policyd/standings.h"
#include "policyd/standings_inside.h"

enum { HOSTS = 2, DAY_S = 24 * 3600, FIRST = 20000, KEYS = 8 };

static const char site[] =
    "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
    "pools: { p = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"p\"; grades = { new = \"p\"; }; match = (); } );\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "replies: ( { name = \"blocked\"; class = \"address\"; pattern = \"blocked\"; after = 1; "
    "within = "
    "\"1h\"; suspend = \"1h\"; samples = ( \"550 blocked\" ); },\n"
    "  { name = \"spam\"; class = \"content\"; pattern = \"spam\"; samples = ( \"550 spam\" ); } "
    ");\n"
    "standing: { samples = 20; volume = 100; days = 2; good_days = 2; };\n";

struct record {
    char key[64];
    uint64_t version;
    char text[STANDING_TEXT_SIZE];
    size_t length;
};

struct host {
    struct world *world;
    struct conf *conf;
    struct standings *standings;
    struct record puts[KEYS]; /* that wait */
    size_t put_count;
    unsigned all_puts;
    bool away;
    bool no_store;
};

struct world {
    int64_t time_s;
    struct record records[KEYS]; /* what the store has */
    uint64_t version;
    bool full;
    struct host hosts[HOSTS];
};

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct host *host = arg;
    struct record *put = &host->puts[host->put_count];

    if (host->no_store)
        return false;
    host->put_count++;
    for (size_t i = 0; i + 1 < host->put_count; i++)
        assert_string_not_equal(host->puts[i].key, key); /* one at a time */
    assert_in_range(host->put_count, 1, KEYS);
    snprintf(put->key, sizeof(put->key), "%s", key);
    put->version = version;
    put->length = length;
    memcpy(put->text, bytes, length);
    host->all_puts++;
    return true;
}

const char *__wrap_control_user(struct control_call *call);

const char *
__wrap_control_user(struct control_call *call)
{
    (void)call;
    return "root";
}

static int64_t
on_time(void *arg)
{
    struct host *host = arg;

    return host->world->time_s;
}

static struct record *
find(struct world *w, const char *key)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(w->records[i].key, key) == 0)
            return &w->records[i];
    for (size_t i = 0; i < KEYS; i++)
        if (w->records[i].key[0] == '\0') {
            snprintf(w->records[i].key, sizeof(w->records[i].key), "%s", key);
            return &w->records[i];
        }
    fail_msg("too many records");
    return NULL;
}

/* The store answers one put, and the other host hears of it. */
static bool
answer(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number], *other = &w->hosts[1 - number];
    struct record put, *record;
    bool written;

    if (host->put_count == 0 || host->away)
        return false;
    put = host->puts[0];
    memmove(&host->puts[0], &host->puts[1], --host->put_count * sizeof(put));
    record = find(w, put.key);
    written = put.version == record->version && !w->full;
    if (written) {
        record->version = put.length > 0 ? ++w->version : 0;
        record->length = put.length;
        memcpy(record->text, put.text, put.length);
    }
    standings_on_put(host->standings, put.key, written, record->version, record->text,
                     record->length);
    if (written && other->standings != NULL && !other->away)
        standings_on_record(other->standings, put.key, record->version, record->text,
                            record->length);
    return true;
}

static void
settle(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        for (size_t j = 0; j < HOSTS; j++)
            if (w->hosts[j].standings != NULL && !w->full)
                standings_flush(w->hosts[j].standings);
        answer(w, (size_t)i % HOSTS);
    }
}

static void
start(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number];
    char *text = mem_printf("node = \"mta%zu\";\n%s", number, site);

    *host = (struct host){.world = w, .conf = unit_conf(text)};
    free(text);
    host->standings = standings_new(&(struct standings_start){
        .conf = host->conf, .time_s = on_time, .put = on_put, .arg = host});
    for (size_t i = 0; i < KEYS; i++)
        if (w->records[i].length > 0)
            standings_on_record(host->standings, w->records[i].key, w->records[i].version,
                                w->records[i].text, w->records[i].length);
}

static void
stop(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number];

    standings_free(host->standings);
    conf_unref(host->conf);
    memset(host, 0, sizeof(*host));
}

static int
setup(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->time_s = (int64_t)FIRST * DAY_S + 12 * 3600;
    start(w, 0);
    start(w, 1);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    stop(w, 0);
    stop(w, 1);
    free(w);
    return 0;
}

/* So many results; words: what the other side says, NULL: it took them. */
static void
told(struct world *w, size_t number, const char *account, unsigned count, const char *words)
{
    struct host *host = &w->hosts[number];
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .stream = &host->conf->snapshot->streams[0],
                              .status = words == NULL ? MAILLOG_SENT : MAILLOG_BOUNCED,
                              .reached = true};

    snprintf(outcome.account, sizeof(outcome.account), "%s", account);
    if (words != NULL) {
        reply_read_words(words, strlen(words), &outcome.reply);
        outcome.rule = replies_find(&host->conf->replies, NULL, &outcome.reply);
    }
    while (count-- > 0)
        standings_on_outcome(host->standings, &outcome);
}

static const struct standing *
known(struct world *w, size_t number, const char *account)
{
    const struct standings_item *item = standings_find(w->hosts[number].standings, account);

    return item != NULL ? item->standing : NULL;
}

static void
assert_grade(struct world *w, const char *account, enum grade grade)
{
    settle(w);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(standings_grade(w->hosts[i].standings, account), grade);
}

static void
next_day(struct world *w)
{
    settle(w);
    w->time_s += DAY_S;
    for (size_t i = 0; i < HOSTS; i++)
        standings_tick(w->hosts[i].standings);
    settle(w);
}

static void
ask(struct world *w, size_t number, const char *question, const char *begins)
{
    struct buf text = {0};

    assert_true(standings_question(w->hosts[number].standings, question, NULL, &text));
    if (strncmp(buf_text(&text), begins, strlen(begins)) != 0)
        fail_msg("%s: %s", question, buf_text(&text));
    buf_clear(&text);
}

static void
test_both_count(void **state)
{
    struct world *w = *state;

    told(w, 0, "a.test", 15, NULL);
    told(w, 1, "a.test", 15, NULL);
    settle(w);
    for (size_t i = 0; i < HOSTS; i++) {
        struct standing_figures today;

        assert_non_null(known(w, i, "a.test"));
        today = standing_today(known(w, i, "a.test"));
        assert_int_equal(today.results, 30);
    }
    assert_int_equal(w->hosts[0].all_puts, 1);
    told(w, 0, "a.test", 4, "550 5.1.1 unknown");
    told(w, 1, "a.test", 4, "550 5.1.1 unknown");
    assert_grade(w, "a.test", GRADE_ATTENTION); /* 8 of 38 */
    assert_grade(w, "b.test", GRADE_NEW);
    for (int day = 0; day < 3; day++) {
        assert_grade(w, "a.test", GRADE_ATTENTION);
        next_day(w);
        told(w, (size_t)day % 2, "a.test", 60, NULL);
    }
    assert_grade(w, "a.test", GRADE_NEW);
    next_day(w);
    told(w, 0, "a.test", 60, NULL);
    assert_grade(w, "a.test", GRADE_NEW);
    next_day(w);
    assert_grade(w, "a.test", GRADE_TRUSTED);
}

/* Who is over a limit by what one host sees is known there at once, before the store is. */
static void
test_at_once(void **state)
{
    struct world *w = *state;

    w->hosts[0].away = true;
    told(w, 0, "a.test", 13, NULL);
    told(w, 0, "a.test", 7, "550 5.7.1 spam");
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    assert_int_equal(standings_grade(w->hosts[1].standings, "a.test"), GRADE_NEW);
    assert_string_equal(known(w, 0, "a.test")->why,
                        "blocks: 7 of 20 results in stream default, 0.4 allowed");
    told(w, 1, "a.test", 30, NULL);
    settle(w);
    w->hosts[0].away = false;
    assert_grade(w, "a.test", GRADE_ATTENTION);
    assert_int_equal(standing_today(known(w, 1, "a.test")).results, 50);
}

/*
 * What an address is blamed for is not the account's fault, nor that mail is past its deadline;
 * and what is deferred is no result.
 */
static void
test_not_its_fault(void **state)
{
    struct world *w = *state;
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .stream = &w->hosts[0].conf->snapshot->streams[0],
                              .status = MAILLOG_DEFERRED,
                              .account = "a.test"};

    told(w, 0, "a.test", 30, "550 5.7.1 blocked");
    for (int i = 0; i < 30; i++)
        standings_on_outcome(w->hosts[0].standings, &outcome);
    outcome.status = MAILLOG_BOUNCED;
    outcome.late = true; /* we had no room for it in time */
    for (int i = 0; i < 30; i++)
        standings_on_outcome(w->hosts[0].standings, &outcome);
    told(w, 0, "", 30, NULL);
    told(w, 0, "no domain", 30, NULL);
    settle(w);
    assert_null(known(w, 0, "a.test"));
    assert_int_equal(w->hosts[0].all_puts, 0);
}

/* What was written goes on after a restart; what the log tells twice counts once. */
static void
test_restart(void **state)
{
    struct world *w = *state;

    told(w, 0, "a.test", 15, NULL);
    told(w, 0, "little.test", 5, NULL);
    w->time_s += 2;
    told(w, 0, "a.test", 1, NULL);
    settle(w);
    stop(w, 0);
    start(w, 0);
    w->time_s -= 2;
    told(w, 0, "a.test", 15, NULL); /* again */
    settle(w);
    assert_int_equal(standing_today(known(w, 0, "a.test")).results, 16);
    w->time_s += 2;
    told(w, 0, "a.test", 2, NULL);
    settle(w);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(standing_today(known(w, i, "a.test")).results, 18);
    assert_null(known(w, 0, "little.test"));
}

static void
test_by_hand(void **state)
{
    struct world *w = *state;

    ask(w, 0, "accounts", "no account has sent enough");
    ask(w, 0, "grade A.test trusted 3600000 a friend",
        "a.test: trusted by hand until 2024-10-04, root");
    assert_grade(w, "a.test", GRADE_TRUSTED);
    ask(w, 1, "accounts", "a.test: trusted by hand until 2024-10-04, root: a friend; earned: new");
    ask(w, 1, "accounts grade=attention", "no account");
    told(w, 1, "a.test", 30, "550 5.7.1 spam");
    assert_grade(w, "a.test", GRADE_TRUSTED); /* by hand is by hand */
    w->time_s += 3600;
    assert_grade(w, "a.test", GRADE_ATTENTION);
    ask(w, 1, "grade a.test new - x", "a.test: new by hand, root: x; earned: attention");
    assert_grade(w, "a.test", GRADE_NEW);
    ask(w, 0, "grade a.test earned - x", "a.test: attention since 2024-10-04, blocks: 20 of 20");
    assert_grade(w, "a.test", GRADE_ATTENTION);
    ask(w, 0, "grade a.test good - x", "error: there are new");
    ask(w, 0, "grade a.test new 0 x", "error: milliseconds");
    ask(w, 0, "grade a.test new -", "error: why?");
    ask(w, 0, "grade a.test", "error: there are new");
    ask(w, 0, "accounts all", "error: behind accounts");
}

/* Both order at the same time: the later one that the store hears of holds, on both. */
static void
test_orders_at_once(void **state)
{
    struct world *w = *state;

    ask(w, 0, "grade a.test trusted - one", "a.test: trusted");
    ask(w, 1, "grade a.test attention - other", "a.test: attention");
    assert_grade(w, "a.test", GRADE_ATTENTION); /* the store answers the first host first */
    ask(w, 0, "grade a.test trusted - one", "a.test: trusted");
    ask(w, 0, "grade a.test attention - two", "a.test: attention"); /* the first is under way */
    assert_grade(w, "a.test", GRADE_ATTENTION);
}

/* What a host heard just before midnight, and writes just after it, counts. */
static void
test_midnight(void **state)
{
    struct world *w = *state;

    told(w, 0, "a.test", 15, NULL);
    settle(w);
    w->time_s = (int64_t)(FIRST + 1) * DAY_S - 1;
    told(w, 1, "a.test", 15, NULL);
    w->time_s += 61;
    told(w, 0, "a.test", 3, NULL);
    standings_tick(w->hosts[0].standings);
    standings_flush(w->hosts[0].standings);
    while (answer(w, 0))
        ;
    assert_int_equal(known(w, 0, "a.test")->day, FIRST);
    settle(w);
    w->time_s += STANDINGS_TURN_S;
    for (size_t i = 0; i < HOSTS; i++)
        standings_tick(w->hosts[i].standings);
    settle(w);
    for (size_t i = 0; i < HOSTS; i++) {
        const struct standing *standing = known(w, i, "a.test");

        assert_int_equal(standing->day, FIRST + 1);
        assert_int_equal(standing->past_count, 1);
        assert_int_equal(standing->past[0].figures.results, 30);
        assert_int_equal(standing_today(standing).results, 3);
    }
}

/* Nothing stays of who is not heard of any more. */
static void
test_forgotten(void **state)
{
    struct world *w = *state;

    told(w, 0, "a.test", 15, NULL);
    settle(w);
    assert_true(find(w, "standing/a.test")->length > 0);
    w->time_s += 61 * (int64_t)DAY_S;
    next_day(w);
    assert_int_equal(find(w, "standing/a.test")->length, 0);
    for (size_t i = 0; i < HOSTS; i++) {
        assert_null(known(w, i, "a.test"));
        assert_int_equal(w->hosts[i].standings->records, 0);
        for (int j = 0; j < 256; j++)
            standings_tick(w->hosts[i].standings);
        assert_int_equal(w->hosts[i].standings->count, 0);
    }
}

/* A store without room, and one with nonsense in it. */
static void
test_bad_store(void **state)
{
    struct world *w = *state;

    w->full = true;
    told(w, 0, "a.test", 30, "550 5.7.1 spam");
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    assert_true(answer(w, 0));
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    w->full = false;
    assert_grade(w, "a.test", GRADE_ATTENTION);
    standings_on_record(w->hosts[0].standings, "standing/a.test", 99, "nonsense", 8);
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    standings_on_record(w->hosts[0].standings, "breaker/address/a1", 99, "x", 1);
    standings_on_record(w->hosts[0].standings, "standing/", 99, "x", 1);
}

/* Records are for those that are something: new ones leave room for them. */
static void
test_many(void **state)
{
    struct world *w = *state;
    struct host *host = &w->hosts[0];
    struct buf text = {0};
    char name[32];

    host->no_store = true;
    for (int i = 0; i < STANDINGS_NEW_MAX + 10; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        told(w, 0, name, 10, NULL);
        standings_update(host->standings, standings_find(host->standings, name));
    }
    assert_int_equal(host->standings->records, STANDINGS_NEW_MAX);
    assert_int_equal(host->standings->count, STANDINGS_NEW_MAX + 10);
    for (int i = 0; i < STANDINGS_RECORDS_MAX - STANDINGS_NEW_MAX; i++) {
        snprintf(name, sizeof(name), "bad%d.test", i);
        told(w, 0, name, 20, "550 5.7.1 spam");
        assert_int_equal(standings_grade(host->standings, name), GRADE_ATTENTION);
    }
    told(w, 0, "more.test", 20, "550 5.7.1 spam");
    assert_int_equal(standings_grade(host->standings, "more.test"), GRADE_NEW);
    ask(w, 0, "grade more.test trusted - x", "error: too many accounts have a record");
    assert_int_equal(host->standings->records, STANDINGS_RECORDS_MAX);
    assert_true(standings_question(host->standings, "accounts grade=attention", NULL, &text));
    assert_non_null(strstr(buf_text(&text), "\nand 2000 more: name one, or a grade\n"));
    buf_clear(&text);
}

/* On that host's log a complaint of a message of the account. */
static void
complained(struct world *w, size_t number, const char *account)
{
    struct reported reported = {.complaint = true, .at_ms = w->time_s * 1000};

    snprintf(reported.account, sizeof(reported.account), "%s", account);
    standings_on_reported(w->hosts[number].standings, &reported);
}

static void
test_complaints(void **state)
{
    struct world *w = *state;

    told(w, 0, "a.test", 100, NULL);
    settle(w);
    for (int i = 0; i < 5; i++)
        complained(w, (size_t)i % 2, "a.test");
    assert_grade(w, "a.test", GRADE_ATTENTION);
    assert_string_equal(known(w, 1, "a.test")->why,
                        "complaints: 5 of 100 results of some days, 0.1 allowed");
}

/* What a server had days to take is as good as refused, by its last words. */
static void
test_expired(void **state)
{
    static const struct {
        const char *words;
        enum reply_origin origin;
        unsigned results, bounces, blocks;
    } cases[] = {
        {"452 4.2.2 full", REPLY_SAID, 1, 1, 0},
        {"450 4.7.1 spam", REPLY_SAID, 2, 1, 1},
        {"450 4.7.1 blocked", REPLY_SAID, 2, 1, 1},
        {"Connection timed out", REPLY_CONNECT, 2, 1, 1},
        {"postpool: no room under the caps", REPLY_LOCAL, 2, 1, 1},
    };
    struct world *w = *state;
    struct host *host = &w->hosts[0];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome outcome = {.at_ms = w->time_s * 1000,
                                  .account = "a.test",
                                  .stream = &host->conf->snapshot->streams[0],
                                  .status = MAILLOG_BOUNCED,
                                  .expired = true};
        const struct standing_figures *figures;

        reply_read_words(cases[i].words, strlen(cases[i].words), &outcome.reply);
        outcome.reply.origin = cases[i].origin;
        outcome.rule = replies_find(&host->conf->replies, NULL, &outcome.reply);
        standings_on_expired(host->standings, &outcome);
        figures = &standings_find(host->standings, "a.test")->days[0].figures;
        assert_int_equal(figures->results, cases[i].results);
        assert_int_equal(figures->faults[FAULT_BOUNCE], cases[i].bounces);
        assert_int_equal(figures->faults[FAULT_BLOCK], cases[i].blocks);
    }
}

/* Complaints, and bounces that come late; those that the log tells again are known. */
static void
test_reported(void **state)
{
    struct world *w = *state;
    struct reported reported = {.complaint = true, .account = "a.test"};

    told(w, 0, "a.test", 100, NULL);
    settle(w);
    w->time_s += 2;
    reported.at_ms = w->time_s * 1000;
    standings_on_reported(w->hosts[0].standings, &reported);
    reported.complaint = false;
    for (int i = 0; i < 3; i++)
        standings_on_reported(w->hosts[0].standings, &reported);
    settle(w);
    assert_int_equal(standing_today(known(w, 1, "a.test")).faults[FAULT_COMPLAINT], 1);
    assert_int_equal(standing_today(known(w, 1, "a.test")).faults[FAULT_BOUNCE], 3);
    assert_int_equal(standing_today(known(w, 1, "a.test")).results, 100);
    stop(w, 0);
    start(w, 0);
    reported.at_ms -= 1000;
    standings_on_reported(w->hosts[0].standings, &reported);
    settle(w);
    assert_int_equal(standing_today(known(w, 0, "a.test")).faults[FAULT_BOUNCE], 3);
    reported.account[0] = '\0'; /* not told */
    standings_on_reported(w->hosts[0].standings, &reported);
    assert_null(standings_find(w->hosts[0].standings, ""));
}

static void
test_json(void **state)
{
    struct world *w = *state;
    struct buf text = {0};
    struct json json = {.out = &text};

    told(w, 0, "a.test", 15, NULL);
    next_day(w);
    ask(w, 0, "accounts json account=a.test",
        "{\"accounts\":[{\"account\":\"a.test\",\"grade\":\"new\",\"earned\":\"new\",\"since\":"
        "null,"
        "\"why\":\"\",\"missing\":\"1 of 2 days, 15 of 100 results\",\"today\":{\"results\":0,"
        "\"bounces\":0,\"blocks\":0,\"complaints\":0},\"days\":[{\"day\":\"2024-10-04\","
        "\"results\":15,\"bounces\":0,\"blocks\":0,\"complaints\":0}]}],\"more\":0}");
    json_open(&json, NULL, '{');
    standings_status(w->hosts[0].standings, NULL, &json);
    json_close(&json, '}');
    assert_string_equal(buf_text(&text),
                        "{\"standing\":{\"accounts\":1,\"new\":1,\"trusted\":0,\"attention\":0}}");
    buf_clear(&text);
}

/* Trusted by 3,000 results without a fault. */
static void
make_trusted(struct world *w)
{
    for (size_t i = 0; i < HOSTS; i++)
        w->hosts[i].conf->standing.samples = 200;
    for (int day = 0; day < 3; day++) {
        told(w, (size_t)day % 2, "a.test", 1000, NULL);
        next_day(w);
    }
    assert_grade(w, "a.test", GRADE_TRUSTED);
}

enum { CAMPAIGN = 100000, GOOD = 40000, LATE = 500 };

/*
 * A trusted account turns bad in the midst of 100,000 messages, over two hosts and with results
 * that come late: fewer than one in a hundred of those leave from the pool of the trusted.
 */
static void
test_campaign(void **state)
{
    struct world *w = *state;
    unsigned shared = 0;

    make_trusted(w);
    for (unsigned n = 0; n < CAMPAIGN + LATE; n++) {
        size_t host = n % HOSTS;

        if (n >= GOOD && n < CAMPAIGN)
            shared += standings_grade(w->hosts[host].standings, "a.test") == GRADE_TRUSTED;
        if (n >= LATE)
            told(w, host, "a.test", 1,
                 n - LATE >= GOOD && (n / HOSTS) % 5 == 0 ? "550 5.1.1 unknown" : NULL);
        if (n % 1000 == 0)
            settle(w);
    }
    print_message("%u messages left from the shared pool\n", shared);
    assert_in_range(shared, 1, 999);
    assert_grade(w, "a.test", GRADE_ATTENTION);
}

/*
 * The same of 100,000 that all arrive, of which one in forty is complained of, 200 messages later
 * and at whichever host: the limit is one in a thousand, also of what was good before.
 */
static void
test_campaign_with_complaints(void **state)
{
    enum { READ = 200 };
    struct world *w = *state;
    unsigned shared = 0;

    make_trusted(w);
    for (unsigned n = 0; n < CAMPAIGN; n++) {
        size_t host = n % HOSTS;

        shared += standings_grade(w->hosts[host].standings, "a.test") == GRADE_TRUSTED;
        told(w, host, "a.test", 1, NULL);
        if (n >= READ && n % 40 == 0)
            complained(w, n / 40 % HOSTS, "a.test");
        if (n % 100 == 0)
            settle(w);
    }
    print_message("%u messages left from the shared pool\n", shared);
    assert_in_range(shared, 1, 999);
    assert_grade(w, "a.test", GRADE_ATTENTION);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_its_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orders_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_midnight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_complaints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expired, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_campaign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_campaign_with_complaints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
