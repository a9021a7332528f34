/*
 * A breaker as one line of text, and back: numbers, then why.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/breaker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT = 1, NUMBER_DIGITS_MAX = 19 };

/* No time is later (the year 5138), so that sums of them fit. */
#define TIME_MAX_MS INT64_C(100000000000000)

struct out {
    char *text;
    size_t length;
};

static void
put(struct out *out, int64_t number)
{
    out->length += (size_t)snprintf(out->text + out->length, BREAKER_TEXT_SIZE - out->length,
                                    "%" PRId64 " ", number);
}

size_t
breaker_print(const struct breaker *breaker, char text[static BREAKER_TEXT_SIZE])
{
    struct out out = {text, 0};
    const int64_t numbers[] = {
        FORMAT,
        breaker->state,
        breaker->by_hand,
        breaker->drained,
        breaker->level,
        breaker->step,
        breaker->accepted,
        breaker->since_ms,
        breaker->until_ms,
        breaker->slow_percent,
        breaker->slow_until_ms,
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        put(&out, numbers[i]);
    for (size_t i = 0; i < BREAKER_RULES_MAX; i++) {
        const struct breaker_hits *hits = &breaker->hits[i];

        put(&out, hits->rule);
        put(&out, hits->count);
        for (uint32_t j = 0; j < hits->count; j++)
            put(&out, hits->at_ms[j]);
    }
    out.length +=
        (size_t)snprintf(text + out.length, BREAKER_TEXT_SIZE - out.length, "%s", breaker->why);
    return out.length;
}

struct in {
    const char *at, *end;
    bool bad;
};

/* A number from 0 to most, and the blank behind it. */
static int64_t
get(struct in *in, int64_t most)
{
    int64_t number = 0;
    int digits = 0;

    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && digits < NUMBER_DIGITS_MAX) {
        int digit = *in->at++ - '0';

        if (number > (INT64_MAX - digit) / 10)
            in->bad = true;
        else
            number = number * 10 + digit;
        digits++;
    }
    if (digits == 0 || number > most || in->at == in->end || *in->at++ != ' ')
        in->bad = true;
    return in->bad ? 0 : number;
}

static void
get_hits(struct in *in, struct breaker_hits *hits)
{
    hits->rule = (uint32_t)get(in, UINT32_MAX);
    hits->count = (uint32_t)get(in, hits->rule != 0 ? BREAKER_AFTER_MAX : 0);
    for (uint32_t i = 0; i < hits->count; i++) {
        hits->at_ms[i] = get(in, TIME_MAX_MS);
        in->bad |= i > 0 && hits->at_ms[i] < hits->at_ms[i - 1];
    }
}

int
breaker_parse(const char *text, size_t length, struct breaker *ret_breaker)
{
    struct breaker breaker = {0};
    struct in in = {text, text + length, false};

    if (length >= BREAKER_TEXT_SIZE || get(&in, FORMAT) != FORMAT)
        return -EINVAL;
    breaker.state = (enum breaker_state)get(&in, BREAKER_RECOVERING);
    breaker.by_hand = get(&in, 1) != 0;
    breaker.drained = get(&in, 1) != 0;
    breaker.level = (uint32_t)get(&in, BREAKER_LEVEL_MAX);
    breaker.step = (uint32_t)get(&in, BREAKER_STEPS_MAX);
    breaker.accepted = (uint32_t)get(&in, UINT32_MAX);
    breaker.since_ms = get(&in, TIME_MAX_MS);
    breaker.until_ms = get(&in, INT64_MAX);
    in.bad |= breaker.until_ms > TIME_MAX_MS && breaker.until_ms != BREAKER_FOR_EVER;
    breaker.slow_percent = (int)get(&in, 100);
    breaker.slow_until_ms = get(&in, TIME_MAX_MS);
    for (size_t i = 0; i < BREAKER_RULES_MAX; i++)
        get_hits(&in, &breaker.hits[i]);
    if (in.bad || in.end - in.at >= BREAKER_WHY_SIZE)
        return -EINVAL;
    for (size_t i = 0; in.at < in.end; i++, in.at++)
        breaker.why[i] = *in.at >= ' ' && *in.at <= '~' ? *in.at : '?';
    *ret_breaker = breaker;
    return 0;
}
