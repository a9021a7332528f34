/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/book.h"

#include "engine/book_pace.h"
#include "engine/book_uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEASES = 64,      /* a lease is this part of a cap ... */
    LEASE_LEAST = 10, /* ... or so many, where the nodes are few enough */
    NEAR = 16,        /* a whole lease is waited for when it comes within this part of the window */
    AHEAD = 2,        /* tickets reach this part of the window into the future ... */
    SLACK = 16,       /* ... and this part further: many who were told the same time all get one */
    RETRY = 64,       /* everything is held by others: come again after this part of the window */
};

uint32_t
book_share(const struct cap *cap, uint32_t nodes)
{
    return nodes > 0 ? cap->limit / nodes : 0;
}

uint32_t
book_lease_size(const struct caps *caps, unsigned nodes)
{
    uint32_t size = UINT32_MAX;

    for (size_t i = 0; i < caps->count; i++) {
        uint32_t limit = caps->items[i].limit;
        uint32_t few = limit / 4 / (nodes > 0 ? nodes : 1);
        uint32_t one = few < LEASE_LEAST ? few : LEASE_LEAST;

        if (limit / LEASES > one)
            one = limit / LEASES;
        if (one < size)
            size = one;
    }
    return size > 0 ? size : 1;
}

/* The row's uses of a window; a window that was not there before starts empty.  NULL: no place. */
static struct book_uses *
row_uses(struct book_row *row, const struct caps *caps, int64_t window_ms)
{
    struct book_uses *unused = NULL;

    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++) {
        struct book_uses *uses = &row->uses[i];
        bool wanted = false;

        if (uses->window_ms == window_ms)
            return uses;
        for (size_t j = 0; j < caps->count; j++)
            wanted = wanted || caps->items[j].window_ms == uses->window_ms;
        if (!wanted)
            unused = uses;
    }
    if (unused != NULL) {
        unused->window_ms = window_ms;
        unused->count = 0;
    }
    return unused;
}

static int
row_add(struct book_row *row, const struct caps *caps, int64_t at_ms, uint32_t count)
{
    for (size_t i = 0; i < caps->count; i++) {
        struct book_uses *uses = row_uses(row, caps, caps->items[i].window_ms);

        if (uses == NULL || book_uses_add(uses, at_ms, count) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int
row_take_out(struct book_row *row, const struct caps *caps, int64_t at_ms, uint32_t count,
             int64_t now_ms)
{
    for (size_t i = 0; i < caps->count; i++) {
        struct book_uses *uses = row_uses(row, caps, caps->items[i].window_ms);

        if (uses == NULL)
            return -ENOMEM;
        book_uses_take_out(uses, at_ms, count, now_ms);
    }
    return 0;
}

int
book_row_lapse(struct book_row *row, const struct caps *caps, int64_t at_ms)
{
    int64_t when = row->from_ms > at_ms ? row->from_ms : at_ms;
    int r = row->held > 0 ? row_add(row, caps, when, row->held) : 0;

    if (r == 0) {
        row->held = 0;
        row->from_ms = 0;
    }
    return r;
}

/* The node may have used its share of every cap. */
static int
use_share(struct book_row *row, const struct caps *caps, uint32_t nodes, int64_t now_ms)
{
    for (size_t i = 0; i < caps->count; i++) {
        struct book_uses *uses = row_uses(row, caps, caps->items[i].window_ms);

        if (uses == NULL || book_uses_add(uses, now_ms, book_share(&caps->items[i], nodes)) < 0)
            return -ENOMEM;
    }
    return 0;
}

struct book_row *
book_row_find(struct book *book, const char *node)
{
    for (size_t i = 0; i < book->row_count; i++)
        if (strcmp(book->rows[i].node, node) == 0)
            return &book->rows[i];
    return NULL;
}

static struct book_row *
row_new(struct book *book, const char *node)
{
    struct book_row *rows = realloc(book->rows, (book->row_count + 1) * sizeof(*rows));
    struct book_row *row;

    if (rows == NULL)
        return NULL;
    book->rows = rows;
    row = &rows[book->row_count++];
    memset(row, 0, sizeof(*row));
    memcpy(row->node, node, strnlen(node, BOOK_NODE_MAX));
    return row;
}

static uint64_t
held_by_all(const struct book *book)
{
    uint64_t held = 0;

    for (size_t i = 0; i < book->row_count; i++)
        held += book->rows[i].held;
    return held;
}

static uint64_t
used_in(const struct book *book, const struct cap *cap, int64_t now_ms)
{
    uint64_t used = 0;

    for (size_t i = 0; i < book->row_count; i++)
        for (size_t j = 0; j < CAP_WINDOWS_MAX; j++)
            if (book->rows[i].uses[j].window_ms == cap->window_ms)
                used += book_uses_sum(&book->rows[i].uses[j], now_ms);
    return used;
}

uint64_t
book_counted(const struct book *book, const struct cap *cap, int64_t now_ms)
{
    return used_in(book, cap, now_ms) + held_by_all(book);
}

void
book_trim(struct book *book, int64_t now_ms)
{
    for (size_t i = 0; i < book->row_count; i++)
        for (size_t j = 0; j < CAP_WINDOWS_MAX; j++)
            book_uses_trim(&book->rows[i].uses[j], now_ms);
}

/* Of the windows that the row or the book knows; 0: none. */
static int64_t
longest_window(const struct book *book, const struct book_row *row)
{
    int64_t longest = 0;

    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++) {
        if (row->uses[i].window_ms > longest)
            longest = row->uses[i].window_ms;
        if (book->paced_window_ms[i] > longest)
            longest = book->paced_window_ms[i];
    }
    return longest;
}

static bool
row_is_over(const struct book *book, const struct book_row *row, uint64_t life, int64_t since_ms,
            int64_t now_ms)
{
    int64_t longest = longest_window(book, row);

    if (row->held > 0 && (row->life == life || longest == 0 ||
                          book_bucket_end(longest, since_ms / book_bucket_ms(longest)) > now_ms))
        return false;
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++)
        if (book_uses_end(&row->uses[i]) > now_ms)
            return false;
    return true;
}

bool
book_is_over(const struct book *book, uint64_t life, int64_t since_ms, int64_t now_ms)
{
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++)
        if (book->paced_us[i] / 1000 + book->paced_window_ms[i] >= now_ms)
            return false;
    for (size_t i = 0; i < book->row_count; i++)
        if (!row_is_over(book, &book->rows[i], life, since_ms, now_ms))
            return false;
    return true;
}

/*
 * When at least too_many uses that count at now_ms will count no more;
 * INT64_MAX: there are not so many.  Rows are few, so the oldest bucket of all
 * is looked for anew each time.
 */
static int64_t
freed_at(const struct book *book, const struct cap *cap, int64_t now_ms, uint64_t too_many)
{
    int64_t after = INT64_MIN;

    for (;;) {
        int64_t oldest = INT64_MAX;
        uint64_t count = 0;

        for (size_t i = 0; i < book->row_count; i++)
            for (size_t j = 0; j < CAP_WINDOWS_MAX; j++) {
                const struct book_uses *uses = &book->rows[i].uses[j];
                size_t k;

                if (uses->window_ms != cap->window_ms)
                    continue;
                k = after == INT64_MIN ? 0 : book_uses_place(uses, after + 1);
                while (k < uses->count &&
                       book_bucket_end(cap->window_ms, uses->items[k].bucket) <= now_ms)
                    k++;
                if (k == uses->count || uses->items[k].bucket > oldest)
                    continue;
                count = uses->items[k].bucket < oldest ? 0 : count;
                oldest = uses->items[k].bucket;
                count += uses->items[k].count;
            }
        if (oldest == INT64_MAX)
            return INT64_MAX;
        if (count >= too_many)
            return book_bucket_end(cap->window_ms, oldest);
        too_many -= count;
        after = oldest;
    }
}

/* Grants that count under one cap, with count more, beyond what may; 0: they fit. */
static uint64_t
beyond(const struct book *book, const struct cap *cap, const struct book_ask *ask, uint32_t count,
       int64_t now_ms)
{
    uint64_t sum = book_counted(book, cap, now_ms) + count;
    uint64_t kept = (uint64_t)ask->away * book_share(cap, ask->nodes);
    uint64_t limit = book_limit(cap, ask->percent);
    uint64_t over = sum > limit ? sum - limit : 0;
    uint64_t over_all = sum + kept > cap->limit ? sum + kept - cap->limit : 0;

    return over > over_all ? over : over_all;
}

/* When count grants fit under one cap; INT64_MAX: not before others report. */
static int64_t
fits_at(struct book *book, const struct caps *caps, size_t i, const struct book_ask *ask,
        uint32_t count, int64_t now_ms)
{
    const struct cap *cap = &caps->items[i];
    uint64_t over = beyond(book, cap, ask, count, now_ms);
    int64_t at = now_ms;

    if (over > 0)
        at = freed_at(book, cap, now_ms, over);
    return cap->smooth && at < INT64_MAX ? book_pace_at(book, caps, i, ask, count, at, now_ms) : at;
}

/* How many grants fit now. */
static uint32_t
fit_now(struct book *book, const struct caps *caps, const struct book_ask *ask, int64_t now_ms)
{
    uint32_t most = ask->want;

    for (size_t i = 0; i < caps->count; i++) {
        const struct cap *cap = &caps->items[i];
        uint64_t over = beyond(book, cap, ask, most, now_ms);

        most -= over < most ? (uint32_t)over : most;
        while (most > 0 && cap->smooth && fits_at(book, caps, i, ask, most, now_ms) > now_ms)
            most = most > 16 ? most - most / 16 : most - 1;
    }
    return most;
}

static void
give(struct book *book, const struct caps *caps, struct book_row *row, const struct book_ask *ask,
     uint32_t count, int64_t from_ms, int64_t now_ms, struct book_answer *answer)
{
    book_pace(book, caps, ask, count, from_ms, now_ms);
    row->held += count;
    if (from_ms > row->from_ms)
        row->from_ms = from_ms;
    answer->count = count;
    answer->from_ms = from_ms;
}

/* Where the latest ticket begins that somebody holds; now_ms: there is none. */
static int64_t
tickets_end(const struct book *book, int64_t now_ms)
{
    int64_t end = now_ms;

    for (size_t i = 0; i < book->row_count; i++)
        if (book->rows[i].held > 0 && book->rows[i].from_ms > end)
            end = book->rows[i].from_ms;
    return end;
}

/* Nobody will ask before again_ms, and who does then gets no grant that begins before this. */
static int64_t
room_at(struct book *book, const struct caps *caps, const struct book_ask *ask, int64_t now_ms,
        int64_t again_ms)
{
    int64_t at = tickets_end(book, again_ms);

    for (size_t i = 0; i < caps->count; i++) {
        int64_t fits = fits_at(book, caps, i, ask, 1, now_ms);

        at = fits > at ? fits : at;
    }
    return at < INT64_MAX ? at : again_ms;
}

static void
lease(struct book *book, const struct caps *caps, struct book_row *row, const struct book_ask *ask,
      int64_t now_ms, struct book_answer *answer)
{
    int64_t at = now_ms, tickets = tickets_end(book, now_ms);
    int64_t window_ms = caps->items[0].window_ms;
    uint32_t now;

    answer->window = 0;
    for (size_t i = 0; i < caps->count; i++) {
        int64_t fits = fits_at(book, caps, i, ask, ask->want, now_ms);

        if (fits > at) {
            at = fits;
            window_ms = caps->items[i].window_ms;
            answer->window = (uint8_t)i;
        }
    }
    if (at < tickets)
        at = tickets;
    if (at > now_ms && (at == INT64_MAX || at - now_ms > window_ms / NEAR) && tickets == now_ms) {
        now = fit_now(book, caps, ask, now_ms);
        if (now > 0) {
            give(book, caps, row, ask, now, now_ms, now_ms, answer);
            return;
        }
    }
    if (at == INT64_MAX)
        answer->again_ms = now_ms + window_ms / RETRY + 1;
    else if (at - now_ms > window_ms / AHEAD + window_ms / SLACK)
        answer->again_ms = at - window_ms / AHEAD;
    else
        give(book, caps, row, ask, ask->want, at, now_ms, answer);
}

static int
report(struct book *book, const struct caps *caps, struct book_row *row, const struct book_ask *ask,
       int64_t now_ms)
{
    uint32_t unused;

    for (size_t i = 0; i < ask->report_count && i < BOOK_REPORTS_MAX; i++) {
        const struct book_report *one = &ask->reports[i];

        int r = one->count < 0 ? row_take_out(row, caps, one->at_ms, (uint32_t)-one->count, now_ms)
                               : row_add(row, caps, one->at_ms, (uint32_t)one->count);

        if (r < 0)
            return r;
        if (one->count > 0 && !one->excess)
            row->held -= (uint32_t)one->count < row->held ? (uint32_t)one->count : row->held;
        if (one->count < 0)
            book_unpace(book, caps, ask, (uint32_t)-one->count, now_ms);
    }
    unused = ask->unused < row->held ? ask->unused : row->held;
    row->held -= unused;
    if (unused > 0)
        book_unpace(book, caps, ask, unused, now_ms);
    if (row->held == 0)
        row->from_ms = 0;
    return 0;
}

int
book_ask(struct book *book, const struct caps *caps, const struct book_ask *ask, int64_t now_ms,
         struct book_answer *ret_answer)
{
    struct book_row *row = book_row_find(book, ask->node);
    struct book_answer answer = {0};
    bool newcomer = row == NULL || row->life != ask->life;
    int r;

    if (newcomer && ask->seq != 1 && !ask->first)
        return -ESTALE;
    if (!newcomer && ask->first && ask->seq > row->seq)
        newcomer = true; /* what it held before is lost, as with a life */
    if (row == NULL)
        row = row_new(book, ask->node);
    if (row == NULL)
        return -ENOMEM;
    if (newcomer) {
        r = book_row_lapse(row, caps, now_ms);
        if (r == 0 && ask->lost_share && row->life != ask->life)
            r = use_share(row, caps, ask->nodes, now_ms);
        if (r < 0)
            return r;
        row->life = ask->life;
        row->seq = ask->seq - 1;
    }
    if (ask->seq == row->seq) {
        answer = (struct book_answer){.count = row->last_count,
                                      .from_ms = row->from_ms,
                                      .again_ms = row->last_again_ms,
                                      .window = row->last_window};
        goto out;
    }
    if (ask->seq != row->seq + 1)
        return -ESTALE;
    book_trim(book, now_ms);
    r = report(book, caps, row, ask, now_ms);
    if (r < 0)
        return r;
    if (ask->want > 0)
        lease(book, caps, row, ask, now_ms, &answer);
    row->seq++;
    row->last_count = answer.count;
    row->last_again_ms = answer.again_ms;
    row->last_window = answer.window;
out:
    if (answer.again_ms != 0)
        answer.room_ms = room_at(book, caps, ask, now_ms, answer.again_ms);
    answer.seq = ask->seq;
    for (size_t i = 0; i < caps->count; i++)
        answer.counted[i] = (uint32_t)book_counted(book, &caps->items[i], now_ms);
    *ret_answer = answer;
    return 0;
}

static void
row_clear(struct book_row *row)
{
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++)
        free(row->uses[i].items);
}

void
book_clear(struct book *book)
{
    for (size_t i = 0; i < book->row_count; i++)
        row_clear(&book->rows[i]);
    free(book->rows);
    *book = (struct book){0};
}
