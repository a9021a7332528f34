/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/book_pace.h"

#include "engine/book.h"

enum {
    BURST_PART = 20,
    BURST_LEAST = 100,
};

uint32_t
book_limit(const struct cap *cap, unsigned percent)
{
    uint32_t limit = percent > 0 && percent < 100 ? (uint32_t)((uint64_t)cap->limit * percent / 100)
                                                  : cap->limit;

    return limit > 0 ? limit : 1;
}

void
book_left(const struct caps *caps, unsigned percent, struct caps *ret_left)
{
    *ret_left = *caps;
    for (size_t i = 0; i < caps->count; i++)
        ret_left->items[i].limit = book_limit(&caps->items[i], percent);
}

static uint32_t
burst(uint32_t limit)
{
    uint32_t least = limit < BURST_LEAST ? limit : BURST_LEAST;

    return limit / BURST_PART > least ? limit / BURST_PART : least;
}

uint32_t
book_burst(const struct cap *cap)
{
    return burst(cap->limit);
}

/* Microseconds that so many grants take; rounded up, so that it is never too fast. */
static int64_t
pace_us(int64_t window_ms, uint32_t limit, uint64_t grants)
{
    uint64_t us = (uint64_t)window_ms * 1000;

    /* window 31 days = 2.7e12 us; grants at most 1e9: not in 64 bits at once */
    return (int64_t)(us / limit * grants + (us % limit * grants + limit - 1) / limit);
}

/* All of it is 100. */
static int64_t
percent_of(unsigned percent)
{
    return percent > 0 && percent < 100 ? (int64_t)percent : 100;
}

static int64_t *
pace_of(struct book *book, const struct caps *caps, size_t i, const struct book_ask *ask,
        int64_t now_ms)
{
    int64_t before = percent_of(book->paced_percent[i]), now = percent_of(ask->percent);
    int64_t *us = &book->paced_us[i], ahead = *us - now_ms * 1000;

    if (book->paced_window_ms[i] != caps->items[i].window_ms) {
        book->paced_window_ms[i] = caps->items[i].window_ms;
        *us = 0;
    } else if (before != now && ahead > 0) {
        *us += (ahead * before + now - 1) / now - ahead;
    }
    book->paced_percent[i] = ask->percent;
    return us;
}

int64_t
book_pace_at(struct book *book, const struct caps *caps, size_t i, const struct book_ask *ask,
             uint32_t count, int64_t at_ms, int64_t now_ms)
{
    const struct cap *cap = &caps->items[i];
    uint32_t limit = book_limit(cap, ask->percent);
    int64_t us = *pace_of(book, caps, i, ask, now_ms) + pace_us(cap->window_ms, limit, count) -
                 pace_us(cap->window_ms, limit, burst(limit));

    return us > at_ms * 1000 ? (us + 999) / 1000 : at_ms;
}

void
book_pace(struct book *book, const struct caps *caps, const struct book_ask *ask, uint32_t count,
          int64_t from_ms, int64_t now_ms)
{
    for (size_t i = 0; i < caps->count; i++) {
        const struct cap *cap = &caps->items[i];
        int64_t *us = pace_of(book, caps, i, ask, now_ms);

        if (*us < from_ms * 1000)
            *us = from_ms * 1000;
        *us += pace_us(cap->window_ms, book_limit(cap, ask->percent), count);
    }
}

void
book_unpace(struct book *book, const struct caps *caps, const struct book_ask *ask, uint32_t count,
            int64_t now_ms)
{
    for (size_t i = 0; i < caps->count; i++) {
        const struct cap *cap = &caps->items[i];

        *pace_of(book, caps, i, ask, now_ms) -=
            pace_us(cap->window_ms, book_limit(cap, ask->percent), count);
    }
}
