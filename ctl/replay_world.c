/*
 * The world of a replay: what came by the log comes there, with the result that its first try had.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/replay.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/replies.h"

#include <stdlib.h>

#define HOUR_MS ((int64_t)3600 * 1000)

enum { REFUSED_FOR_GOOD = 500 };

/* ------------------------------------------------------------------ results */

/* What became of a first try, packed into the token of its mail. */
struct result {
    enum world_result result;
    enum world_accused accused;
    bool for_good;
    size_t rule; /* its place; replies.count: none */
};

enum { RESULT_BITS = 4, ACCUSED_BITS = 4 };

static uint64_t
pack(const struct result *result)
{
    uint64_t token = result->rule;

    token = token << 1 | result->for_good;
    token = token << ACCUSED_BITS | (uint64_t)result->accused;
    return token << RESULT_BITS | (uint64_t)result->result;
}

static struct result
unpack(uint64_t token)
{
    struct result result;

    result.result = (enum world_result)(token & ((1 << RESULT_BITS) - 1));
    token >>= RESULT_BITS;
    result.accused = (enum world_accused)(token & ((1 << ACCUSED_BITS) - 1));
    token >>= ACCUSED_BITS;
    result.for_good = token & 1;
    result.rule = (size_t)(token >> 1);
    return result;
}

/* Its breaker, or, with what is said of a message itself, its standing alone. */
static enum world_accused
accused_by(const struct reply_rule *rule)
{
    switch (rule->accused) {
    case ACCUSED_ADDRESS:
        return WORLD_ADDRESS;
    case ACCUSED_ADDRESS_PROVIDER:
        return WORLD_ADDRESS_PROVIDER;
    case ACCUSED_ACCOUNT:
    case ACCUSED_CONTENT:
        return WORLD_ACCOUNT;
    default:
        return WORLD_NOBODY;
    }
}

/* Does something follow when the rule fits? */
static bool
acts(const struct reply_rule *rule)
{
    return rule != NULL && (rule->reaction.suspend_ms > 0 || rule->reaction.slow_ms > 0);
}

/* Of a try that failed, and of which nothing follows by its rule. */
static enum world_result
failure_of(const struct arrival *arrival)
{
    enum accused accused = arrival->rule != NULL ? arrival->rule->accused : ACCUSED_NONE;
    bool bounced = arrival->status == MAILLOG_BOUNCED;

    if (!arrival->reached)
        return bounced ? WORLD_UNREACHED : WORLD_EXCUSED;
    if (accused == ACCUSED_RECIPIENT && bounced)
        return WORLD_BOUNCED;
    if (accused == ACCUSED_RECIPIENT || accused == ACCUSED_GREYLIST || accused == ACCUSED_PROVIDER)
        return WORLD_EXCUSED;
    return WORLD_REFUSED;
}

/*
 * As policyd/breakers.c, warmups_hear.c and standings_hear.c have it, but for this: a try that no
 * server heard of is put off, and counts, because a later one came to something.  Only what
 * came to nothing gives its grant back.
 */
static struct result
result_of(const struct conf *conf, const struct arrival *arrival)
{
    const struct reply_rule *rule = arrival->rule;
    struct result result = {.rule = conf->replies.count};

    result.for_good = arrival->status == MAILLOG_BOUNCED || arrival->code >= REFUSED_FOR_GOOD;
    if (rule != NULL) {
        result.rule = (size_t)(rule - conf->replies.rules);
        result.accused = accused_by(rule);
    }
    if (arrival->status == MAILLOG_SENT)
        result.result = WORLD_ACCEPTED;
    else
        result.result = acts(rule) ? WORLD_REFUSED : failure_of(arrival);
    return result;
}

/* -------------------------------------------------------------------- world */

static void
on_sent(void *arg, const struct world_sent *sent)
{
    struct replay *replay = arg;
    struct result result = unpack(sent->token);
    struct world_reply reply = {
        .result = result.result,
        .count = sent->count,
        .accused = result.accused,
        .for_good = result.for_good,
    };
    struct tally *waits = &replay->streams[sent->stream->index].waits;

    if (result.rule < replay->conf->replies.count) {
        const struct reply_rule *rule = &replay->conf->replies.rules[result.rule];

        reply.reaction = acts(rule) ? &rule->reaction : NULL;
        reply.rule = rule->number;
    }
    if (sent->at_ms > sent->since_ms) {
        waits->counts[TALLY_SENT] += sent->count;
        waits->counts[TALLY_DELAY + tally_delay_bucket(sent->at_ms - sent->since_ms)] +=
            sent->count;
    }
    world_tell(replay->world, sent, &reply);
}

static size_t
rule_numbered(const struct conf *conf, uint32_t number)
{
    size_t i = 0;

    while (i < conf->replies.count && conf->replies.rules[i].number != number)
        i++;
    return i;
}

static void
on_suspended(void *arg, const struct world_suspension *suspension)
{
    struct replay *replay = arg;
    size_t count = replay->suspension_count++;
    struct replay_suspension *kept;

    if (count >= REPLAY_SUSPENSIONS_MAX)
        return;
    replay->suspensions = mem_resize(replay->suspensions, count + 1, sizeof(*kept));
    kept = &replay->suspensions[count];
    kept->its = *suspension;
    kept->its.name = suspension->name != NULL ? mem_strdup(suspension->name) : NULL;
    kept->rule = rule_numbered(replay->conf, suspension->rule);
}

static void
begin_world(struct replay *replay, int64_t start_ms)
{
    const struct conf *conf = replay->conf;

    replay->world = mem_must(world_new(&(struct world_setup){
        .snapshot = conf->snapshot,
        .warmup = conf->warmup,
        .suspension = &conf->suspension,
        .probe_ms = conf->suspension_probe_ms,
        .standing = &conf->standing,
        .zone = conf->warmup_zone,
        .start_ms = start_ms,
        .lifetime_ms = replay->lifetime_ms,
        .wake_per_s = conf->wake_rate,
        .sent = on_sent,
        .suspended = on_suspended,
        .arg = replay,
    }));
}

void
replay_on_arrival(void *arg, const struct arrival *arrival)
{
    struct replay *replay = arg;
    struct replay_stream *stream = &replay->streams[arrival->stream->index];
    struct result result = result_of(replay->conf, arrival);
    struct world_outcome outcome;

    if (replay->world == NULL)
        begin_world(replay, arrival->at_ms);
    stream->messages += arrival->first;
    stream->recipients++;
    if (arrival->perhaps != arrival->stream)
        stream->perhaps[arrival->perhaps->index]++;
    replay->last_ms = arrival->at_ms;
    if (world_send(replay->world,
                   &(struct world_mail){
                       .at_ms = arrival->at_ms,
                       .stream = arrival->stream,
                       .provider = arrival->provider->index,
                       .account = arrival->account,
                       .domain = arrival->domain,
                       .grade = GRADE_TRUSTED,
                       .key = arrival->key,
                       .count = 1,
                       .token = pack(&result),
                   },
                   &outcome) < 0)
        replay->failed = true;
}

static bool
is_waiting(const struct replay *replay)
{
    for (size_t i = 0; i < replay->conf->snapshot->stream_count; i++)
        if (world_stream(replay->world, &replay->conf->snapshot->streams[i]).waiting > 0)
            return true;
    return false;
}

void
replay_finish(struct replay *replay)
{
    int64_t last_ms = replay->last_ms + replay->lifetime_ms + HOUR_MS;

    for (int64_t at_ms = replay->last_ms; at_ms < last_ms && is_waiting(replay); at_ms += HOUR_MS)
        if (world_run(replay->world, at_ms + HOUR_MS) < 0)
            replay->failed = true;
}

/* ------------------------------------------------------------------ figures */

int64_t
replay_waited_ms(const struct replay *replay, size_t stream, int percent)
{
    struct world_stream its = world_stream(replay->world, &replay->conf->snapshot->streams[stream]);
    int64_t ms = tally_delay_ms(&replay->streams[stream].waits, percent);

    return ms < its.waited_most_ms ? ms : its.waited_most_ms;
}

/* What passes in so much time; UINT64_MAX: any. */
static uint64_t
passes(const struct caps *caps, int64_t window_ms)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < caps->count; i++) {
        const struct cap *cap = &caps->items[i];
        uint64_t limit = cap->window_ms >= window_ms
                             ? cap->limit
                             : cap->limit * (uint64_t)window_ms / (uint64_t)cap->window_ms;

        if (limit < least)
            least = limit;
    }
    return least;
}

uint64_t
replay_room(const struct pool *pool, const struct provider *provider, int64_t window_ms)
{
    uint64_t room = 0, to_provider = passes(&provider->caps, window_ms);

    for (size_t i = 0; i < pool->member_count; i++) {
        uint64_t own = passes(&pool->members[i].address->caps, window_ms);

        if (own == UINT64_MAX && to_provider == UINT64_MAX)
            return 0;
        room += own < to_provider ? own : to_provider;
    }
    return room;
}
