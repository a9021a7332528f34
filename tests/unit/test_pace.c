/*
 * Which deferred messages are woken, and when: on a clock that the test moves, with room as the
 * test says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/snapshot.h"
#include "engine/waiting.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/tag.h"
#include "policyd/choice.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"
#include "policyd/pace_inside.h"
#include "policyd/volume.h"
#include "policyd/wake.h"

#include <event2/event.h>
#include <time.h>

enum { TICK_MS = 10, START_MS = 1000 * 1000 };

/* What the fakes below answer. */
static struct {
    int64_t now_ms;
    bool room;         /* for all but ... */
    const char *odd;   /* ... this message, which has none; NULL: no such one */
    const char *ended; /* this one is to be told the words of another server */
    const char *poor;  /* ... mail of this account, whose pool has none; NULL: no such one */
    int64_t rests_ms;  /* no message may be woken before */
    int64_t opens_ms;  /* the hours of every stream begin */
    int looks;         /* for an address */
    int64_t late_ms;   /* the time of day is behind */
    int given_back, helped;
    char woken[300]; /* "A B ": queue ids */
} world;

static const uint8_t secret[HASH_KEY_SIZE];
static struct event_base *base;
static struct conf *conf;
static struct grants *grants;
static struct pace *pace;

int64_t __wrap_clock_ms(clockid_t clock);
void __wrap_choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
                        struct lookup_result *ret_result, struct decision *ret_decision);
void __wrap_volume_give_back_key(struct volume *volume, const struct grant_key *key);
void __wrap_volume_flush(struct volume *volume);
bool __wrap_wake_is_on(const struct wake *wake);
int64_t __wrap_wake_ready_ms(const struct wake *wake, int64_t now_ms);
int64_t __wrap_wake_when_ms(const struct wake *wake, const char *queue_id, int64_t now_ms);
bool __wrap_wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms);
void __wrap_wake_helped(struct wake *wake, const char *queue_id);
void __wrap_wake_hold(struct wake *wake, const char *queue_id, int64_t until_ms, int64_t now_ms);

int64_t
__wrap_clock_ms(clockid_t clock)
{
    (void)clock;
    return world.now_ms;
}

static bool
is(const char *id, const char *which)
{
    return which != NULL && strcmp(id, which) == 0;
}

void
__wrap_choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
                   struct lookup_result *ret_result, struct decision *ret_decision)
{
    struct grant grant = {.at_ms = world.now_ms, .meters = {GRANT_NO_METER}};
    struct grant_key key;
    bool is_new;

    assert_true(ahead);
    *ret_result = (struct lookup_result){.stream = mail->stream, .decided = true};
    *ret_decision = (struct decision){.refused_by = UINT32_MAX};
    choice_key(view, mail, &key);
    world.looks++;
    ret_result->opens_ms = world.opens_ms;
    ret_result->outside = world.opens_ms > world.now_ms;
    if (ret_result->outside)
        return;
    if (is(mail->message_id, world.ended)) {
        ret_result->refused = true;
        ret_result->words = "5.7.1 go away";
        return;
    }
    ret_result->again = grants_find(grants, &key, world.now_ms) != NULL;
    ret_result->full =
        !world.room || is(mail->message_id, world.odd) || is(mail->account, world.poor);
    if (ret_result->again || ret_result->full)
        return;
    ret_result->address = &view->conf->snapshot->addresses[0];
    grants_reserve(grants, &key, &grant, 0, &is_new);
    assert_true(is_new);
}

void
__wrap_volume_give_back_key(struct volume *volume, const struct grant_key *key)
{
    struct grant grant;

    (void)volume;
    assert_true(grants_give_back(grants, key, world.now_ms, &grant));
    world.given_back++;
}

void
__wrap_volume_flush(struct volume *volume)
{
    (void)volume;
}

bool
__wrap_wake_is_on(const struct wake *wake)
{
    (void)wake;
    return true;
}

int64_t
__wrap_wake_ready_ms(const struct wake *wake, int64_t now_ms)
{
    (void)wake;
    return now_ms;
}

int64_t
__wrap_wake_when_ms(const struct wake *wake, const char *queue_id, int64_t now_ms)
{
    (void)wake;
    (void)queue_id;
    return world.rests_ms > now_ms ? world.rests_ms : now_ms;
}

bool
__wrap_wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    size_t length = strlen(world.woken);

    (void)wake;
    (void)now_ms;
    snprintf(world.woken + length, sizeof(world.woken) - length, "%s ", queue_id);
    return true;
}

void
__wrap_wake_helped(struct wake *wake, const char *queue_id)
{
    (void)wake;
    (void)queue_id;
    world.helped++;
}

void
__wrap_wake_hold(struct wake *wake, const char *queue_id, int64_t until_ms, int64_t now_ms)
{
    (void)wake;
    (void)queue_id;
    (void)until_ms;
    (void)now_ms;
}

/* ---------------------------------------------------------------- the world */

static enum grade
on_grade(void *arg, const char *account)
{
    (void)arg;
    return strcmp(account, "site.test") == 0 ? GRADE_TRUSTED : GRADE_NEW;
}

static void
on_view(void *arg, struct lookup_view *ret_view)
{
    (void)arg;
    *ret_view = (struct lookup_view){.conf = conf,
                                     .grade = on_grade,
                                     .grants = grants,
                                     .grant_secret = secret,
                                     .now_ms = world.now_ms,
                                     .time_ms = world.now_ms - world.late_ms};
}

static bool
on_is_suspended(void *arg, const struct outcome *outcome, const struct address *address)
{
    (void)arg;
    (void)outcome;
    (void)address;
    return false;
}

static int
set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.now_ms = START_MS;
    base = event_base_new();
    conf = unit_conf(unit_site);
    conf->snapshot->streams[0].priority = 10;
    grants = grants_new(1000, 3600 * 1000);
    pace = pace_new(&(struct pace_start){
        .base = base, .conf = conf, .view = on_view, .is_suspended = on_is_suspended});
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pace_free(pace);
    grants_free(grants);
    conf_unref(conf);
    event_base_free(base);
    return 0;
}

static void
tick(void)
{
    event_active(pace->tick, EV_TIMEOUT, 0);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
run_until(int64_t ms)
{
    for (; world.now_ms < START_MS + ms; world.now_ms += TICK_MS)
        tick();
}

/* What became of a message of that stream, whose queue id is its message id. */
static struct outcome
outcome_of(size_t stream, const char *id)
{
    struct outcome outcome = {
        .at_ms = world.now_ms,
        .account = "site.test",
        .recipient = "x@one.test",
        .domain = "one.test",
        .stream = &conf->snapshot->streams[stream],
        .provider = &conf->snapshot->providers[0],
        .status = MAILLOG_DEFERRED,
        .own = true,
    };

    snprintf(outcome.queue_id, sizeof(outcome.queue_id), "%s", id);
    snprintf(outcome.message_id, sizeof(outcome.message_id), "%s", id);
    return outcome;
}

static void
defer(size_t stream, const char *id)
{
    struct outcome outcome = outcome_of(stream, id);

    pace_on_outcome(pace, &outcome);
    pace_on_idle(pace);
}

/* Postfix asks for the grant of a message that was woken. */
static void
look_up(const char *id)
{
    struct grant_key key;

    grant_key(secret, id, "x@one.test", &key);
    assert_non_null(grants_ask(grants, &key, world.now_ms));
}

static void
assert_woken(const char *expected)
{
    assert_string_equal(world.woken, expected);
    world.woken[0] = '\0';
}

/* -------------------------------------------------------------------- tests */

/* By priority, the oldest first; what was asked for waits no more. */
static void
test_room(void **state)
{
    (void)state;
    defer(2, "B1");
    world.now_ms += 1000;
    defer(2, "B2");
    defer(0, "A1");
    run_until(2500);
    assert_woken("");
    world.room = true;
    run_until(4000); /* nobody says that there is room: it is looked at each second */
    assert_woken("A1 B1 B2 ");
    assert_int_equal(waiting_count(pace->waiting), 3);
    look_up("A1");
    look_up("B2");
    run_until(5000);
    assert_int_equal(waiting_count(pace->waiting), 1);
    assert_int_equal(world.helped, 2);
    assert_int_equal(pace->used, 2);
    assert_woken("");
}

/* Its lookup never came: the grant goes back, and it is woken again, whatever the hour. */
static void
test_woken_in_vain(void **state)
{
    (void)state;
    for (int shift = 0; shift < 2 * TICK_MS; shift++) {
        int64_t begin_ms;

        set_up(NULL);
        world.room = true;
        begin_ms = world.now_ms;
        defer(0, "A1");
        tick();
        assert_woken("A1 ");
        world.now_ms += shift; /* the ticks that come are at any distance of the end */
        run_until(world.now_ms - begin_ms + PACE_RESERVED_MS + 100);
        assert_woken("A1 ");
        assert_int_equal(world.given_back, 1);
        assert_int_equal(pace->unused, 1);
        assert_int_equal(waiting_count(pace->waiting), 1);
        tear_down(NULL);
    }
}

/* Nobody knows where it is: others are not to wait for it for ever. */
static void
test_given_up(void **state)
{
    (void)state;
    world.room = true;
    defer(0, "A1");
    run_until((PACE_VAIN_MAX + 1) * (PACE_RESERVED_MS + 1000));
    assert_woken("A1 A1 A1 ");
    assert_int_equal(world.given_back, PACE_VAIN_MAX);
    assert_int_equal(waiting_count(pace->waiting), 0);
    defer(0, "A1"); /* but there it is */
    run_until((PACE_VAIN_MAX + 2) * (PACE_RESERVED_MS + 1000));
    assert_woken("A1 A1 ");
    assert_int_equal(waiting_count(pace->waiting), 1);
}

/* Many that nobody knows: all come at Postfix' own pace, and no room waits for them. */
static void
test_all_given_up(void **state)
{
    char id[8];

    (void)state;
    world.room = true;
    for (int i = 0; i < PACE_VAIN_ROW + 5; i++) {
        snprintf(id, sizeof(id), "A%d", i);
        defer(0, id);
    }
    run_until(PACE_RESERVED_MS - 1000);
    assert_int_equal(waiting_count(pace->waiting), PACE_VAIN_ROW + 5);
    run_until(PACE_RESERVED_MS + 1000);
    assert_int_equal(waiting_count(pace->waiting), 0);
    assert_int_equal(pace->reserved_count, 0);
    assert_int_equal(world.given_back, PACE_VAIN_ROW + 5);

    defer(0, "B1");
    tick();
    pace_on_swept(pace);
    assert_int_equal(waiting_count(pace->waiting), 0);
    assert_int_equal(world.given_back, PACE_VAIN_ROW + 6);
}

/* It left the queue without being asked for: what it had is others'. */
static void
test_gone(void **state)
{
    (void)state;
    world.room = true;
    defer(0, "A1");
    tick();
    assert_woken("A1 ");
    pace_on_gone(pace, "A1");
    assert_int_equal(world.given_back, 1);
    assert_int_equal(pace->reserved_count, 0);
    assert_int_equal(waiting_count(pace->waiting), 0);
}

/* Postfix tried it without asking: what was reserved goes back at once. */
static void
test_deferred_again(void **state)
{
    (void)state;
    world.room = true;
    defer(0, "A1");
    tick();
    assert_woken("A1 ");
    world.now_ms += 2 * WAITING_ONCE_MS;
    defer(0, "A1");
    assert_int_equal(world.given_back, 1);
    assert_int_equal(pace->reserved_count, 0);
    tick();
    assert_woken("A1 ");
}

/* The first has none, the next one has: there is something about the first. */
static void
test_odd_one(void **state)
{
    (void)state;
    world.room = true;
    world.odd = "B1";
    defer(2, "B1");
    world.now_ms += 1000;
    defer(2, "B2");
    defer(2, "B3");
    run_until(3000);
    assert_woken("B2 B3 ");
    look_up("B2");
    look_up("B3");
    world.odd = NULL; /* soon seen */
    run_until(3000 + 1000);
    assert_woken("B1 ");
}

/* Alone it would be answered from Postfix' memory, until another was asked for. */
static void
test_last_answer(void **state)
{
    struct lookup_result last = {.is_decision = true};
    struct grant_key key;

    (void)state;
    world.room = true;
    grant_key(secret, "A1", "x@one.test", &key);
    last.key = key.low;
    pace_on_answered(pace, &last);
    defer(0, "A1");
    run_until(20000);
    assert_woken("");
    last.key++;
    pace_on_answered(pace, &last);
    run_until(22000);
    assert_woken("A1 ");

    last.key--;
    pace_on_answered(pace, &last);
    look_up("A1");
    run_until(22100);
    defer(0, "A2");
    run_until(22200);
    assert_woken("A2 ");
}

static void
test_never_woken(void **state)
{
    static const struct reply_rule greylist = {.accused = ACCUSED_GREYLIST};
    struct outcome outcome;

    (void)state;
    world.room = true;
    outcome = outcome_of(0, "A1");
    outcome.own = false;
    outcome.address = &conf->snapshot->addresses[0];
    outcome.rule = &greylist;
    pace_on_outcome(pace, &outcome);
    pace_on_idle(pace);
    outcome = outcome_of(0, "A2"); /* another's fault: Postfix' own time is right */
    outcome.own = false;
    outcome.address = &conf->snapshot->addresses[0];
    pace_on_outcome(pace, &outcome);
    pace_on_idle(pace);
    run_until(5000);
    assert_woken("");
    /* Then its address was suspended. */
    pace_on_suspended(pace, &conf->snapshot->addresses[0], NULL, NULL);
    run_until(6000);
    assert_woken("A2 ");
    assert_int_equal(pace->hits, 1);
}

/* A log that is far behind tells of what may be gone. */
static void
test_log_behind(void **state)
{
    struct outcome outcome;

    (void)state;
    world.room = true;
    outcome = outcome_of(0, "A1");
    pace_on_outcome(pace, &outcome);
    world.now_ms += 2500;
    run_until(5000);
    assert_woken("");
    pace_on_idle(pace);
    run_until(5100);
    assert_woken("A1 ");
}

/* It is over with it: its lookup takes no room. */
static void
test_ended(void **state)
{
    (void)state;
    world.ended = "A1";
    defer(0, "A1");
    run_until(100);
    assert_woken("A1 ");
    assert_int_equal(pace->reserved_count, 0);
    pace_on_gone(pace, "A1");
    assert_int_equal(waiting_count(pace->waiting), 0);
}

/* Outside the hours it is looked at now and then; when they begin, the first go first. */
static void
test_hours(void **state)
{
    (void)state;
    world.room = true;
    world.opens_ms = START_MS + 200 * 1000;
    defer(2, "B1");
    defer(0, "A1");
    run_until(199990);
    assert_woken("");
    assert_in_range(world.looks, 2, 20);
    run_until(200100);
    assert_woken("A1 B1 ");
}

/* Past its deadline it is woken where nothing else is, and once in a while. */
static void
test_deadline(void **state)
{
    char young[TAG_ID_LENGTH + 1], old[TAG_ID_LENGTH + 1], expected[80];

    (void)state;
    world.late_ms = 7; /* clocks do not agree to the millisecond */
    tag_id(1, START_MS / 1000, young);
    tag_id(2, START_MS / 1000 - 50, old);
    conf->snapshot->streams[0].deadline_ms = 60 * 1000;
    defer(0, young);
    defer(0, old);
    defer(0, "joe@a.test"); /* has none */
    conf->snapshot->streams[2].deadline_ms = 100 * 1000;
    defer(2, "other@a.test");
    run_until(10900);
    assert_woken("");
    run_until(11100);
    snprintf(expected, sizeof(expected), "%s ", old);
    assert_woken(expected);
    assert_int_equal(pace->reserved_count, 0);
    run_until(30000);
    assert_woken("");
    pace_on_gone(pace, old);
    world.opens_ms = START_MS + 1000 * 1000; /* hours make no difference */
    run_until(70000);
    snprintf(expected, sizeof(expected), "%s ", young);
    assert_woken(expected);
    run_until(95000); /* its lookup did not come */
    assert_woken(expected);
    pace_on_gone(pace, young);
    run_until(200000);
    assert_woken("");
}

/* A reload gave it more time; and one that rests is left to that. */
static void
test_deadline_that_moved(void **state)
{
    char id[TAG_ID_LENGTH + 1], expected[80];

    (void)state;
    tag_id(1, START_MS / 1000, id);
    conf->snapshot->streams[0].deadline_ms = 10 * 1000;
    defer(0, id);
    conf->snapshot->streams[0].deadline_ms = 100 * 1000;
    run_until(95000);
    assert_woken("");
    world.rests_ms = START_MS + 200 * 1000;
    run_until(199900);
    assert_woken("");
    run_until(200100);
    snprintf(expected, sizeof(expected), "%s ", id);
    assert_woken(expected);
}

/* What waited before the start does so now; what is under way is left alone. */
static void
test_waits_since_before(void **state)
{
    struct outcome outcome;
    struct grant_key key;
    struct grant grant = {.at_ms = START_MS, .meters = {GRANT_NO_METER}};
    bool is_new;

    (void)state;
    world.room = true;
    outcome = outcome_of(0, "A1");
    pace_on_wait(pace, &outcome);
    outcome = outcome_of(0, "A2");
    pace_on_wait(pace, &outcome);
    grant_key(secret, "A2", "x@one.test", &key);
    grants_reserve(grants, &key, &grant, 0, &is_new);
    look_up("A2");
    run_until(100);
    assert_woken("A1 ");
    assert_int_equal(waiting_count(pace->waiting), 1);
}

/* Accounts of another grade have another pool: that it is full holds up none of these. */
static void
test_grades(void **state)
{
    (void)state;
    conf->snapshot->streams[2].is_graded = true;
    world.room = true;
    world.poor = "new.test";
    for (int i = 0; i < 100; i++) {
        char id[8];
        struct outcome outcome;

        snprintf(id, sizeof(id), "N%d", i);
        outcome = outcome_of(2, id);
        strcpy(outcome.account, "new.test");
        pace_on_outcome(pace, &outcome);
    }
    world.now_ms += 1000;
    defer(2, "B1");
    run_until(3000);
    assert_woken("B1 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
        cmocka_unit_test(test_woken_in_vain),
        cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deferred_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grades, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_woken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline_that_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_since_before, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
