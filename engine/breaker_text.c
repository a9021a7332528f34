/*
 * A breaker as one line of text, and back: numbers and words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/breaker.h"

#include "engine/line.h"

#include <errno.h>

enum { FORMAT = 3 };

/* No time is later (the year 5138), so that sums of them fit. */
#define TIME_MAX_MS INT64_C(100000000000000)

static void
put_word(struct line_out *out, const struct breaker_word *word)
{
    line_put(out, word->until_ms);
    line_put_words(out, word->why);
}

size_t
breaker_print(const struct breaker *breaker, char text[static BREAKER_TEXT_SIZE])
{
    struct line_out out = {text, BREAKER_TEXT_SIZE, 0};
    const int64_t numbers[] = {
        FORMAT,
        breaker->state,
        breaker->drained,
        breaker->level,
        breaker->step,
        breaker->accepted,
        breaker->since_ms,
        breaker->rule,
        breaker->slow_percent,
        breaker->slow_until_ms,
        breaker->slowed_ms,
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        line_put(&out, numbers[i]);
    for (size_t i = 0; i < BREAKER_RULES_MAX; i++) {
        const struct breaker_hits *hits = &breaker->hits[i];

        line_put(&out, hits->rule);
        line_put(&out, hits->count);
        for (uint32_t j = 0; j < hits->count; j++)
            line_put(&out, hits->at_ms[j]);
    }
    put_word(&out, &breaker->replies);
    for (int i = 0; i < BREAKER_CAUSES; i++)
        put_word(&out, &breaker->causes[i]);
    put_word(&out, &breaker->hand);
    line_put_rest(&out, breaker->drained_why);
    return out.length;
}

/* ever: it may be for ever. */
static void
get_word(struct line_in *in, struct breaker_word *word, bool ever)
{
    word->until_ms = line_get(in, ever ? INT64_MAX : TIME_MAX_MS);
    in->bad |= word->until_ms > TIME_MAX_MS && word->until_ms != BREAKER_FOR_EVER;
    line_get_words(in, word->why, sizeof(word->why));
}

static void
get_hits(struct line_in *in, struct breaker_hits *hits)
{
    hits->rule = (uint32_t)line_get(in, UINT32_MAX);
    hits->count = (uint32_t)line_get(in, hits->rule != 0 ? BREAKER_AFTER_MAX : 0);
    for (uint32_t i = 0; i < hits->count; i++) {
        hits->at_ms[i] = line_get(in, TIME_MAX_MS);
        in->bad |= i > 0 && hits->at_ms[i] < hits->at_ms[i - 1];
    }
}

int
breaker_parse(const char *text, size_t length, struct breaker *ret_breaker)
{
    struct breaker breaker = {0};
    struct line_in in = {text, text + length, false};

    if (length >= BREAKER_TEXT_SIZE || line_get(&in, FORMAT) != FORMAT)
        return -EINVAL;
    breaker.state = (enum breaker_state)line_get(&in, BREAKER_RECOVERING);
    breaker.drained = line_get(&in, 1) != 0;
    breaker.level = (uint32_t)line_get(&in, BREAKER_LEVEL_MAX);
    breaker.step = (uint32_t)line_get(&in, BREAKER_STEPS_MAX);
    breaker.accepted = (uint32_t)line_get(&in, UINT32_MAX);
    breaker.since_ms = line_get(&in, TIME_MAX_MS);
    breaker.rule = (uint32_t)line_get(&in, UINT32_MAX);
    breaker.slow_percent = (int)line_get(&in, 100);
    breaker.slow_until_ms = line_get(&in, TIME_MAX_MS);
    breaker.slowed_ms = line_get(&in, TIME_MAX_MS);
    for (size_t i = 0; i < BREAKER_RULES_MAX; i++)
        get_hits(&in, &breaker.hits[i]);
    get_word(&in, &breaker.replies, false);
    for (int i = 0; i < BREAKER_CAUSES; i++)
        get_word(&in, &breaker.causes[i], false);
    get_word(&in, &breaker.hand, true);
    line_get_rest(&in, breaker.drained_why, sizeof(breaker.drained_why));
    if (in.bad)
        return -EINVAL;
    *ret_breaker = breaker;
    return 0;
}
