/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/deferrals.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "engine/waiting.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/due.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/choice.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"
#include "policyd/pace_inside.h"
#include "policyd/volume.h"
#include "policyd/wake.h"

#include <inttypes.h>
#include <string.h>

static int64_t
monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC_COARSE);
}

/* What it is thought of now; the pool is that of its grade. */
static enum grade
grade_of(const struct pace *pace, const struct stream *stream, const char *account)
{
    struct lookup_view view;

    if (!stream->is_graded)
        return GRADE_NEW;
    pace->start.view(pace->start.arg, &view);
    return view.grade != NULL ? view.grade(view.grade_arg, account) : GRADE_NEW;
}

/*
 * Where accounts are counted each by itself, or have pools of their grade, one without room, or
 * with enough under way, says nothing of the others.
 */
static uint64_t
account_of(const struct pace *pace, const struct stream *stream, const char *account)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";
    uint64_t grade = grade_of(pace, stream, account);
    bool bounded = stream->is_graded && pace->conf->standing_under_way > 0;

    if (!bounded && (stream->account_caps.count == 0 || pace->conf->policy != NULL))
        return grade;
    return hash_sip(key, account, strlen(account)) ^ grade;
}

/* How long ago its recipient was active: in weeks of a warm-up that would not let it pass. */
static unsigned
behind_of(const struct pace *pace, const char *message_id, const char *recipient)
{
    const struct snapshot *snapshot = pace->conf->snapshot;
    struct lookup_view view;
    unsigned weeks = 0;
    int32_t days;

    pace->start.view(pace->start.arg, &view);
    if (view.quiet == NULL)
        return 0;
    days = view.quiet(view.arg, message_id, recipient);
    while (weeks < snapshot->engaged_weeks && days > (int32_t)snapshot->engaged_days[weeks])
        weeks++;
    return weeks;
}

/* When the message came in, by the time of day. */
static int64_t
since_of(const struct outcome *outcome)
{
    return outcome->at_ms - (outcome->delay_ms > 0 ? outcome->delay_ms : 0);
}

/* By our clock; 0: it has no deadline. */
static int64_t
ends_ms(const struct stream *stream, const char *message_id)
{
    int64_t time_ms = clock_ms(CLOCK_REALTIME_COARSE);
    int64_t ends_ms = due_ends_ms(stream, message_id, time_ms);

    if (ends_ms == INT64_MAX)
        return 0;
    return monotonic_ms() + (ends_ms > time_ms ? ends_ms - time_ms : 1);
}

static void
wait_for_room(struct pace *pace, const struct outcome *outcome, bool urgent)
{
    struct waiting_kind kind = {
        .stream = outcome->stream->index,
        .provider = outcome->provider->index,
        .account = account_of(pace, outcome->stream, outcome->account),
        .behind = behind_of(pace, outcome->message_id, outcome->recipient),
    };
    struct waiter what = {
        .since_ms = since_of(outcome),
        .told_ms = monotonic_ms(),
        .ends_ms = ends_ms(outcome->stream, outcome->message_id),
        .queue_id = outcome->queue_id,
        .message_id = outcome->message_id,
        .account = outcome->account,
        .recipient = outcome->recipient,
        .urgent = urgent,
    };

    pace->hits += urgent;
    deferrals_forget(pace->deferrals, outcome->queue_id);
    if (waiting_add(pace->waiting, &kind, &what))
        pace_schedule(pace, 0);
}

static void
note_deferral(struct pace *pace, const struct outcome *outcome, const struct address *address)
{
    deferrals_note(pace->deferrals, &(struct deferral){
                                        .at_ms = monotonic_ms(),
                                        .since_ms = since_of(outcome),
                                        .queue_id = outcome->queue_id,
                                        .message_id = outcome->message_id,
                                        .account = outcome->account,
                                        .recipient = outcome->recipient,
                                        .domain = outcome->domain,
                                        .stream = outcome->stream->name,
                                        .address = address->name,
                                        .provider = outcome->provider->name,
                                    });
}

/* Postfix will not ask for the grant that waits for it, or is past asking. */
static void
give_back_number(struct pace *pace, struct lookup_view *view, size_t number)
{
    const struct grant_key *key = &pace->reserved[number].key;

    view->now_ms = monotonic_ms();
    if (grants_state(view->grants, key, view->now_ms) != GRANT_RESERVED)
        return;
    volume_give_back_key(pace->start.volume, key);
    pace->unused++;
    pace_drop_reserved(pace, number);
}

/* It was woken, and yet Postfix did not ask for its grant. */
static void
give_back(struct pace *pace, const struct outcome *outcome)
{
    struct choice_mail mail = {.message_id = outcome->message_id, .recipient = outcome->recipient};
    struct lookup_view view;
    struct grant_key key;

    pace->start.view(pace->start.arg, &view);
    if (view.grants == NULL)
        return;
    choice_key(&view, &mail, &key);
    for (size_t i = 0; i < pace->reserved_count; i++)
        if (memcmp(&pace->reserved[i].key, &key, sizeof(key)) == 0) {
            give_back_number(pace, &view, i);
            return;
        }
}

/* Nobody will ask for what a message has that is gone. */
static void
give_back_all(struct pace *pace, const char *queue_id)
{
    struct lookup_view view;

    pace->start.view(pace->start.arg, &view);
    if (view.grants == NULL)
        return;
    for (size_t i = pace->reserved_count; i-- > 0;)
        if (strcmp(pace->reserved[i].queue_id, queue_id) == 0)
            give_back_number(pace, &view, i);
}

static bool
is_greylisted(const struct outcome *outcome)
{
    return outcome->rule != NULL && outcome->rule->accused == ACCUSED_GREYLIST;
}

static void
on_deferred(struct pace *pace, const struct outcome *outcome)
{
    const struct address *address = outcome->address != NULL ? outcome->address : outcome->chosen;
    struct waiter *waiter;

    if (is_greylisted(outcome)) {
        waiter = waiting_find(pace->waiting, outcome->queue_id);
        if (waiter != NULL)
            waiting_remove(pace->waiting, waiter);
        deferrals_forget(pace->deferrals, outcome->queue_id);
        wake_hold(pace->start.wake, outcome->queue_id, monotonic_ms() + PACE_GREYLIST_MS,
                  monotonic_ms());
    } else if (outcome->own) {
        give_back(pace, outcome);
        wait_for_room(pace, outcome, false);
    } else if (address == NULL) {
        return;
    } else if (outcome->rescued || pace->start.is_suspended(pace->start.arg, outcome, address)) {
        wait_for_room(pace, outcome, true);
    } else {
        note_deferral(pace, outcome, address);
    }
}

void
pace_on_outcome(void *arg, const struct outcome *outcome)
{
    struct pace *pace = arg;
    struct waiter *waiter;

    if (pace->heard_ms == 0)
        pace->heard_ms = monotonic_ms();
    if (!wake_is_on(pace->start.wake))
        return;
    if (outcome->status == MAILLOG_DEFERRED) {
        on_deferred(pace, outcome);
        return;
    }
    waiter = waiting_find(pace->waiting, outcome->queue_id);
    if (waiter != NULL && strcmp(waiter->recipient, outcome->recipient) == 0)
        waiting_remove(pace->waiting, waiter);
}

void
pace_on_wait(void *arg, const struct outcome *outcome)
{
    struct pace *pace = arg;

    if (wake_is_on(pace->start.wake))
        wait_for_room(pace, outcome, false);
}

void
pace_on_gone(void *arg, const char *queue_id)
{
    struct pace *pace = arg;
    struct waiter *waiter = waiting_find(pace->waiting, queue_id);

    if (waiter != NULL)
        waiting_remove(pace->waiting, waiter);
    deferrals_forget(pace->deferrals, queue_id);
    give_back_all(pace, queue_id);
}

void
pace_on_swept(void *pace)
{
    pace_forget_all(pace);
}

void
pace_on_idle(void *arg)
{
    struct pace *pace = arg;

    pace->heard_ms = 0;
}

static void
on_hit(void *arg, const struct deferral *deferral)
{
    struct pace *pace = arg;
    const struct snapshot *snapshot = pace->conf->snapshot;
    const struct stream *stream =
        snapshot_find_stream(snapshot, deferral->stream, strlen(deferral->stream));
    const struct provider *provider = snapshot_find_provider(snapshot, deferral->provider);
    struct waiting_kind kind;

    if (stream == NULL || provider == NULL)
        return;
    kind = (struct waiting_kind){stream->index, provider->index,
                                 account_of(pace, stream, deferral->account),
                                 behind_of(pace, deferral->message_id, deferral->recipient)};
    pace->hits++;
    waiting_add(pace->waiting, &kind,
                &(struct waiter){
                    .since_ms = deferral->since_ms,
                    .told_ms = monotonic_ms(),
                    .ends_ms = ends_ms(stream, deferral->message_id),
                    .queue_id = deferral->queue_id,
                    .message_id = deferral->message_id,
                    .account = deferral->account,
                    .recipient = deferral->recipient,
                    .urgent = true,
                });
}

void
pace_on_suspended(struct pace *pace, const struct address *address, const struct provider *provider,
                  const char *domain)
{
    deferrals_take(pace->deferrals, address->name, provider != NULL ? provider->name : NULL, domain,
                   monotonic_ms() - PACE_HIT_MS, on_hit, pace);
    pace_schedule(pace, 0);
}

uint64_t
pace_waiting(const struct pace *pace, const struct stream *stream, int64_t *ret_oldest_ms)
{
    struct waiting_figures figures;

    waiting_figures(pace->waiting, stream->index, &figures);
    *ret_oldest_ms =
        figures.oldest_ms != INT64_MAX ? clock_ms(CLOCK_REALTIME_COARSE) - figures.oldest_ms : 0;
    return figures.count;
}

void
pace_status(const struct pace *pace, struct buf *text, struct json *json)
{
    uint64_t refused = 0;

    if (!wake_is_on(pace->start.wake))
        return;
    for (size_t i = 0; i < pace->conf->snapshot->stream_count; i++) {
        struct waiting_figures figures;

        waiting_figures(pace->waiting, i, &figures);
        refused += figures.refused;
    }
    if (json != NULL) {
        json_open(json, "wake", '{');
        json_number(json, "waiting", (long long)waiting_count(pace->waiting));
        json_number(json, "not_kept", (long long)refused);
        json_number(json, "hit", (long long)pace->hits);
        json_number(json, "reserved", (long long)pace->reserved_count);
        json_number(json, "reserved_used", (long long)pace->used);
        json_number(json, "reserved_unused", (long long)pace->unused);
        wake_status(pace->start.wake, NULL, json);
        json_close(json, '}');
        return;
    }
    wake_status(pace->start.wake, text, NULL);
    buf_printf(text,
               "%zu messages wait for room or another address; %" PRIu64
               " were hit by a suspension or a refusal of the address, %" PRIu64
               " were too many to keep; of grants reserved for those woken, %" PRIu64
               " were asked for and %" PRIu64 " went back\n",
               waiting_count(pace->waiting), pace->hits, refused, pace->used, pace->unused);
}
