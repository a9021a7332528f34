/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/breaker.h"

#include "engine/line.h"

#include <string.h>

static void
set_state(struct breaker *breaker, enum breaker_state state, int64_t now_ms)
{
    breaker->state = state;
    breaker->since_ms = now_ms;
    breaker->step = 0;
    breaker->accepted = 0;
    if (state != BREAKER_CLOSED)
        return;
    breaker->rule = 0;
    breaker->replies.until_ms = 0;
    memset(breaker->causes, 0, sizeof(breaker->causes));
}

static void
set_why(struct breaker_word *word, const char *why)
{
    line_copy(word->why, sizeof(word->why), why);
}

/* The last to end of what opened it: replies or a cause. */
static const struct breaker_word *
last_word(const struct breaker *breaker)
{
    const struct breaker_word *last = &breaker->replies;

    for (int i = 0; i < BREAKER_CAUSES; i++)
        if (breaker->causes[i].until_ms > last->until_ms)
            last = &breaker->causes[i];
    return last;
}

/* ------------------------------------------------------------------- hits */

static int64_t
last_hit_ms(const struct breaker_hits *hits)
{
    return hits->count > 0 ? hits->at_ms[hits->count - 1] : INT64_MIN;
}

/* The hits of a rule; a new one takes the place of the one that is longest quiet. */
static struct breaker_hits *
hits_of(struct breaker *breaker, uint32_t rule)
{
    struct breaker_hits *quiet = &breaker->hits[0];

    for (size_t i = 0; i < BREAKER_RULES_MAX; i++) {
        if (breaker->hits[i].rule == rule)
            return &breaker->hits[i];
        if (last_hit_ms(&breaker->hits[i]) < last_hit_ms(quiet))
            quiet = &breaker->hits[i];
    }
    memset(quiet, 0, sizeof(*quiet));
    quiet->rule = rule;
    return quiet;
}

/*
 * Add a hit, drop what is older than the window, and return how many there are.  Hosts know the
 * clock of the store each a little differently: what is told later may have been earlier.
 */
static int
hits_add(struct breaker_hits *hits, int64_t within_ms, int64_t now_ms)
{
    uint32_t old = 0, at;

    while (old < hits->count && hits->at_ms[old] <= now_ms - within_ms)
        old++;
    if (hits->count - old == BREAKER_AFTER_MAX)
        old++;
    hits->count -= old;
    memmove(hits->at_ms, hits->at_ms + old, hits->count * sizeof(hits->at_ms[0]));
    for (at = hits->count; at > 0 && hits->at_ms[at - 1] > now_ms; at--)
        hits->at_ms[at] = hits->at_ms[at - 1];
    hits->at_ms[at] = now_ms;
    return (int)++hits->count;
}

/* ------------------------------------------------------------- suspension */

static int64_t
suspend_time(const struct breaker *breaker, const struct reaction *reaction)
{
    int64_t ms = reaction->suspend_ms;

    for (uint32_t i = 0; i < breaker->level && ms < reaction->suspend_most_ms; i++)
        ms *= 2;
    return ms < reaction->suspend_most_ms ? ms : reaction->suspend_most_ms;
}

static enum breaker_change
open_it(struct breaker *breaker, const struct breaker_policy *policy,
        const struct reaction *reaction, uint32_t rule, const char *why, int64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED && now_ms - breaker->since_ms >= policy->forget_ms)
        breaker->level = 0;
    set_state(breaker, BREAKER_OPEN, now_ms);
    breaker->rule = rule;
    breaker->replies.until_ms = now_ms + suspend_time(breaker, reaction);
    if (breaker->level < BREAKER_LEVEL_MAX)
        breaker->level++;
    memset(breaker->hits, 0, sizeof(breaker->hits));
    set_why(&breaker->replies, why);
    return BREAKER_SUSPENDED;
}

static bool
is_slowed(const struct breaker *breaker, int64_t now_ms)
{
    return now_ms < breaker->slow_until_ms;
}

static enum breaker_change
slow_down(struct breaker *breaker, const struct reaction *reaction, const char *why, int64_t now_ms)
{
    int64_t until_ms = now_ms + reaction->slow_ms;
    bool already = is_slowed(breaker, now_ms) && breaker->slow_percent <= reaction->slow_percent;

    if (already &&
        (breaker->slow_percent < reaction->slow_percent || breaker->slow_until_ms > until_ms))
        return BREAKER_COUNTED; /* what holds is more */
    if (!already)
        breaker->slowed_ms = now_ms;
    breaker->slow_percent = reaction->slow_percent;
    breaker->slow_until_ms = until_ms;
    set_why(&breaker->replies, why);
    return already ? BREAKER_COUNTED : BREAKER_SLOWED;
}

enum breaker_change
breaker_hit(struct breaker *breaker, const struct breaker_policy *policy,
            const struct reaction *reaction, uint32_t rule, const char *why, int64_t now_ms)
{
    bool again = breaker->state != BREAKER_CLOSED && breaker->rule == rule;
    int count;

    if (breaker_is_suspended(breaker)) /* what was under way when it opened */
        return BREAKER_SAME;
    if (!again && reaction->slow_ms > 0 && is_slowed(breaker, now_ms) &&
        now_ms - breaker->slowed_ms < BREAKER_SLOWING_MS) /* likewise */
        return BREAKER_SAME;
    count = hits_add(hits_of(breaker, rule), reaction->within_ms, now_ms);
    if (reaction->suspend_ms > 0 && (again || count >= reaction->after))
        return open_it(breaker, policy, reaction, rule, why, now_ms);
    if (reaction->slow_ms > 0 && count >= reaction->slow_after)
        return slow_down(breaker, reaction, why, now_ms);
    return BREAKER_COUNTED;
}

void
breaker_suspend(struct breaker *breaker, int64_t until_ms, const char *why)
{
    breaker->hand.until_ms = until_ms;
    set_why(&breaker->hand, why);
}

enum breaker_change
breaker_keep_suspended(struct breaker *breaker, enum breaker_cause cause, int64_t until_ms,
                       const char *why, int64_t now_ms)
{
    struct breaker_word *word = &breaker->causes[cause];
    bool opens = breaker->state != BREAKER_OPEN;

    if (opens)
        set_state(breaker, BREAKER_OPEN, now_ms);
    if (until_ms > word->until_ms)
        word->until_ms = until_ms;
    set_why(word, why);
    return opens ? BREAKER_SUSPENDED : BREAKER_COUNTED;
}

void
breaker_drain(struct breaker *breaker, const char *why)
{
    breaker->drained = true;
    line_copy(breaker->drained_why, sizeof(breaker->drained_why), why);
}

void
breaker_resume(struct breaker *breaker, int64_t now_ms)
{
    memset(breaker, 0, sizeof(*breaker));
    breaker->since_ms = now_ms;
}

/* ------------------------------------------------------------- coming back */

enum breaker_change
breaker_accepted(struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    if (breaker->state != BREAKER_PROBING || breaker_is_suspended(breaker))
        return BREAKER_SAME;
    if (++breaker->accepted < (uint32_t)policy->probes)
        return BREAKER_COUNTED;
    set_state(breaker, policy->step_count > 0 ? BREAKER_RECOVERING : BREAKER_CLOSED, now_ms);
    return breaker->state == BREAKER_CLOSED ? BREAKER_CLOSES : BREAKER_GROWS;
}

/* One step, if its time has come. */
static enum breaker_change
advance_once(struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    int64_t next_ms;

    if (breaker->slow_until_ms != 0 && now_ms >= breaker->slow_until_ms) {
        breaker->slow_until_ms = 0;
        return breaker->state == BREAKER_CLOSED && !breaker->drained ? BREAKER_CLOSES
                                                                     : BREAKER_COUNTED;
    }
    if (breaker->hand.until_ms != 0 && now_ms >= breaker->hand.until_ms) {
        breaker->hand = (struct breaker_word){0};
        return BREAKER_FREED;
    }
    switch (breaker->state) {
    case BREAKER_OPEN:
        next_ms = last_word(breaker)->until_ms;
        if (now_ms < next_ms)
            return BREAKER_SAME;
        set_state(breaker, BREAKER_PROBING, next_ms);
        return BREAKER_PROBES;
    case BREAKER_RECOVERING:
        next_ms = breaker->since_ms + ((int64_t)breaker->step + 1) * policy->step_ms;
        if (now_ms < next_ms)
            return BREAKER_SAME;
        if (++breaker->step < policy->step_count)
            return BREAKER_GROWS;
        set_state(breaker, BREAKER_CLOSED, next_ms);
        return BREAKER_CLOSES;
    case BREAKER_CLOSED:
    case BREAKER_PROBING:
        break;
    }
    return BREAKER_SAME;
}

enum breaker_change
breaker_advance(struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    enum breaker_change last = BREAKER_SAME, change;

    while ((change = advance_once(breaker, policy, now_ms)) != BREAKER_SAME)
        last = change;
    return last;
}

enum breaker_change
breaker_end(struct breaker *breaker, enum breaker_cause cause, bool whole, int64_t now_ms)
{
    bool open = breaker->state == BREAKER_OPEN;

    if (breaker->causes[cause].until_ms == 0 || (!open && !whole))
        return BREAKER_SAME;
    breaker->causes[cause] = (struct breaker_word){0};
    if (open && now_ms < last_word(breaker)->until_ms)
        return BREAKER_COUNTED;
    if (whole && last_word(breaker)->until_ms == 0) {
        set_state(breaker, BREAKER_CLOSED, now_ms);
        return BREAKER_CLOSES;
    }
    if (open)
        set_state(breaker, BREAKER_PROBING, now_ms);
    return open ? BREAKER_PROBES : BREAKER_COUNTED;
}

/* ------------------------------------------------------------------ asked */

bool
breaker_is_suspended(const struct breaker *breaker)
{
    return breaker->state == BREAKER_OPEN || breaker->hand.until_ms != 0;
}

bool
breaker_is_held(const struct breaker *breaker)
{
    return breaker_is_suspended(breaker) || breaker->state == BREAKER_PROBING;
}

bool
breaker_only_counts(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED && breaker->level == 0 && !breaker->drained &&
           breaker->hand.until_ms == 0 && breaker->slow_until_ms == 0;
}

int64_t
breaker_until(const struct breaker *breaker)
{
    int64_t until_ms = breaker->state == BREAKER_OPEN ? last_word(breaker)->until_ms : 0;

    return breaker->hand.until_ms > until_ms ? breaker->hand.until_ms : until_ms;
}

bool
breaker_is_by_hand(const struct breaker *breaker)
{
    return breaker_is_suspended(breaker) ? breaker_until(breaker) == breaker->hand.until_ms
                                         : breaker->state == BREAKER_CLOSED && breaker->drained;
}

const char *
breaker_why(const struct breaker *breaker)
{
    if (breaker_is_by_hand(breaker))
        return breaker_is_suspended(breaker) ? breaker->hand.why : breaker->drained_why;
    return breaker->state != BREAKER_CLOSED ? last_word(breaker)->why : breaker->replies.why;
}

int
breaker_share(const struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    int share = 100;

    if (breaker_is_held(breaker))
        return 0;
    if (breaker->state == BREAKER_RECOVERING && breaker->step < policy->step_count)
        share = policy->steps[breaker->step];
    if (is_slowed(breaker, now_ms) && breaker->slow_percent < share)
        share = breaker->slow_percent;
    return share;
}

bool
breaker_is_idle(const struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    if (breaker->state != BREAKER_CLOSED || breaker->hand.until_ms != 0 || breaker->drained ||
        now_ms < breaker->slow_until_ms)
        return false;
    for (size_t i = 0; i < BREAKER_RULES_MAX; i++)
        if (breaker->hits[i].count > 0 &&
            now_ms - last_hit_ms(&breaker->hits[i]) < policy->forget_ms)
            return false;
    return breaker->level == 0 || now_ms - breaker->since_ms >= policy->forget_ms;
}
