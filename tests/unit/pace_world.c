/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/pace_world.h"

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

struct pace_world pace_world;

const uint8_t pace_world_secret[HASH_KEY_SIZE];
static struct event_base *base;

int64_t __wrap_clock_ms(clockid_t clock);
void __wrap_choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
                        struct lookup_result *ret_result, struct decision *ret_decision);
void __wrap_volume_give_back_key(struct volume *volume, const struct grant_key *key);
void __wrap_volume_flush(struct volume *volume);
bool __wrap_wake_is_on(const struct wake *wake);
int64_t __wrap_wake_ready_ms(const struct wake *wake, int64_t now_ms);
int64_t __wrap_wake_when_ms(const struct wake *wake, const char *queue_id, int64_t now_ms);
bool __wrap_wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms);
bool __wrap_wake_queue_again(struct wake *wake, const char *queue_id, int64_t now_ms);
void __wrap_wake_helped(struct wake *wake, const char *queue_id);
void __wrap_wake_hold(struct wake *wake, const char *queue_id, int64_t until_ms, int64_t now_ms);

int64_t
__wrap_clock_ms(clockid_t clock)
{
    (void)clock;
    return pace_world.now_ms;
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
    struct grant grant = {.at_ms = pace_world.now_ms, .meters = {GRANT_NO_METER}};
    struct grant_key key;
    bool is_new;

    assert_true(ahead);
    *ret_result = (struct lookup_result){.stream = mail->stream, .decided = true};
    *ret_decision = (struct decision){.refused_by = UINT32_MAX};
    choice_key(view, mail, &key);
    pace_world.looks++;
    ret_result->opens_ms = pace_world.opens_ms;
    ret_result->outside = pace_world.opens_ms > pace_world.now_ms;
    if (ret_result->outside)
        return;
    if (is(mail->message_id, pace_world.ended)) {
        ret_result->refused = true;
        ret_result->words = "5.7.1 go away";
        return;
    }
    ret_result->again = grants_find(pace_world.grants, &key, pace_world.now_ms) != NULL;
    ret_result->full = !pace_world.room || is(mail->message_id, pace_world.odd) ||
                       is(mail->account, pace_world.poor);
    if (ret_result->again || ret_result->full)
        return;
    ret_decision->thinned = pace_world.thinned && mail->message_id[0] == 'T';
    ret_decision->slowed = ret_decision->thinned || pace_world.now_ms < pace_world.paced_ms;
    ret_decision->room_ms = pace_world.paced_ms;
    ret_result->suspended = ret_decision->slowed;
    if (ret_result->suspended)
        return;
    ret_result->address = &view->conf->snapshot->addresses[0];
    grants_reserve(pace_world.grants, &key, &grant, 0, &is_new);
    assert_true(is_new);
}

void
__wrap_volume_give_back_key(struct volume *volume, const struct grant_key *key)
{
    struct grant grant;

    (void)volume;
    assert_true(grants_give_back(pace_world.grants, key, pace_world.now_ms, &grant));
    pace_world.given_back++;
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
    return pace_world.rests_ms > now_ms ? pace_world.rests_ms : now_ms;
}

static bool
note(char *ids, size_t size, const char *queue_id)
{
    size_t length = strlen(ids);

    snprintf(ids + length, size - length, "%s ", queue_id);
    return true;
}

bool
__wrap_wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    (void)wake;
    (void)now_ms;
    return note(pace_world.woken, sizeof(pace_world.woken), queue_id);
}

bool
__wrap_wake_queue_again(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    (void)wake;
    (void)now_ms;
    return note(pace_world.again, sizeof(pace_world.again), queue_id);
}

void
__wrap_wake_helped(struct wake *wake, const char *queue_id)
{
    (void)wake;
    (void)queue_id;
    pace_world.helped++;
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

/* Messages that begin with Q are to recipients that were not active for long. */
static int32_t
on_quiet(void *arg, const char *message_id, const char *recipient)
{
    (void)arg;
    (void)recipient;
    return message_id[0] == 'Q' ? 1000 : 0;
}

static void
on_view(void *arg, struct lookup_view *ret_view)
{
    (void)arg;
    *ret_view = (struct lookup_view){.conf = pace_world.conf,
                                     .grade = on_grade,
                                     .quiet = on_quiet,
                                     .grants = pace_world.grants,
                                     .grant_secret = pace_world_secret,
                                     .now_ms = pace_world.now_ms,
                                     .store_ms = pace_world.now_ms,
                                     .time_ms = pace_world.now_ms - pace_world.late_ms};
}

static bool
on_is_suspended(void *arg, const struct outcome *outcome, const struct address *address)
{
    (void)arg;
    (void)outcome;
    (void)address;
    return false;
}

int
pace_world_set_up(void **state)
{
    (void)state;
    pace_world = (struct pace_world){0};
    pace_world.now_ms = START_MS;
    base = event_base_new();
    pace_world.conf = unit_conf(unit_site);
    pace_world.conf->snapshot->streams[0].priority = 10;
    pace_world.grants = grants_new(1000, 3600 * 1000);
    pace_world.pace = pace_new(&(struct pace_start){
        .base = base, .conf = pace_world.conf, .view = on_view, .is_suspended = on_is_suspended});
    return 0;
}

int
pace_world_tear_down(void **state)
{
    (void)state;
    pace_free(pace_world.pace);
    grants_free(pace_world.grants);
    conf_unref(pace_world.conf);
    event_base_free(base);
    return 0;
}

void
pace_world_tick(void)
{
    event_active(pace_world.pace->tick, EV_TIMEOUT, 0);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

void
pace_world_run_until(int64_t ms)
{
    for (; pace_world.now_ms < START_MS + ms; pace_world.now_ms += TICK_MS)
        pace_world_tick();
}

/* What became of a message of that stream, whose queue id is its message id. */
struct outcome
pace_world_outcome(size_t stream, const char *id)
{
    struct outcome outcome = {
        .at_ms = pace_world.now_ms,
        .account = "site.test",
        .recipient = "x@one.test",
        .domain = "one.test",
        .stream = &pace_world.conf->snapshot->streams[stream],
        .provider = &pace_world.conf->snapshot->providers[0],
        .status = MAILLOG_DEFERRED,
        .own = true,
    };

    snprintf(outcome.queue_id, sizeof(outcome.queue_id), "%s", id);
    snprintf(outcome.message_id, sizeof(outcome.message_id), "%s", id);
    return outcome;
}

void
pace_world_defer(size_t stream, const char *id)
{
    struct outcome outcome = pace_world_outcome(stream, id);

    pace_on_outcome(pace_world.pace, &outcome);
    pace_on_idle(pace_world.pace);
}

/* Postfix asks for the grant of a message that was woken. */
void
pace_world_look_up(const char *id)
{
    struct grant_key key;

    grant_key(pace_world_secret, id, "x@one.test", &key);
    assert_non_null(grants_ask(pace_world.grants, &key, pace_world.now_ms));
}

void
pace_world_assert_woken(const char *expected)
{
    assert_string_equal(pace_world.woken, expected);
    pace_world.woken[0] = '\0';
}

void
pace_world_assert_again(const char *expected)
{
    assert_string_equal(pace_world.again, expected);
    pace_world.again[0] = '\0';
}
