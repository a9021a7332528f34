/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_advice.h"

#include "engine/advice.h"
#include "engine/snapshot.h"
#include "engine/tallies.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/hours_sums.h"
#include "policyd/hours_thread.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS_MAX = 1000, /* of one address or pool that are looked at, the largest */
    MIXES_MAX = 200,  /* different sets of kinds that share an address */
    HOURS_A_DAY = 24,
};

struct warning {
    const char *what; /* "mixed", "thin", "most" */
    char *of;         /* the address or pool; owned */
    char *text;       /* owned */
};

struct hours_advice {
    struct warning items[HOURS_ADVICE_MAX];
    size_t count;
    size_t omitted;
};

/* Addresses that send the same kinds; the one with most mail tells how much. */
struct mix {
    char *kinds;   /* their names, sorted as they come; owned */
    char *address; /* owned */
    char *shares;  /* "62 % bulk, 38 % transactional"; owned */
    uint64_t all;
    size_t more;
};

/* While the rows of one address or pool come in. */
struct maker {
    const struct conf *conf;
    struct hours_file *file;
    int64_t now_hour;
    struct err *err;
    int r; /* below 0: what went wrong in judge */
    struct hours_advice *advice;
    int days;
    void (*judge)(struct maker *maker);
    char *of; /* whose rows they are; NULL: none came yet */
    struct advice_part parts[PARTS_MAX];
    char *names[PARTS_MAX]; /* of these; owned */
    size_t count;
    uint64_t all;
    struct mix mixes[MIXES_MAX];
    size_t mix_count;
};

/* Of the last ADVICE_DAYS at most. */
static int
days_since(int64_t oldest, int64_t now_hour)
{
    int64_t days = oldest < 0 ? 0 : (now_hour - oldest) / HOURS_A_DAY + 1;

    return days < ADVICE_DAYS ? (int)days : ADVICE_DAYS;
}

static void
warn(struct hours_advice *advice, const char *what, const char *of, char *text)
{
    if (advice->count == HOURS_ADVICE_MAX) {
        advice->omitted++;
        free(text);
        return;
    }
    advice->items[advice->count++] = (struct warning){what, mem_strdup(of), text};
}

/* -------------------------------------------------------------------- mixed */

static struct mix *
find_mix(struct maker *maker, const char *kinds)
{
    for (size_t i = 0; i < maker->mix_count; i++)
        if (strcmp(maker->mixes[i].kinds, kinds) == 0)
            return &maker->mixes[i];
    return NULL;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct advice_part *)a)->name, ((const struct advice_part *)b)->name);
}

static char *
join_names(const struct advice_part *parts, size_t count)
{
    struct advice_part sorted[PARTS_MAX];
    struct buf text = {0};

    memcpy(sorted, parts, count * sizeof(*parts));
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, " %s", sorted[i].name);
    return buf_take(&text);
}

static char *
join_shares(const struct advice_part *parts, size_t count, uint64_t all)
{
    struct buf text = {0};

    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%u %% %s", i > 0 ? ", " : "", advice_percent(parts[i].sent, all),
                   parts[i].name);
    return buf_take(&text);
}

/* Of an address that is still there. */
static void
judge_mix(struct maker *maker)
{
    uint64_t all;
    size_t kept = advice_mix(maker->parts, maker->count, &all);
    struct mix *mix;
    char *kinds;

    if (kept < 2 || snapshot_find_address(maker->conf->snapshot, maker->of) == NULL)
        return;
    kinds = join_names(maker->parts, kept);
    mix = find_mix(maker, kinds);
    if (mix == NULL && maker->mix_count < MIXES_MAX) {
        maker->mixes[maker->mix_count++] = (struct mix){
            kinds, mem_strdup(maker->of), join_shares(maker->parts, kept, all), all, 0};
        return;
    }
    free(kinds);
    if (mix == NULL)
        return;
    mix->more++;
    if (all > mix->all) {
        free(mix->address);
        free(mix->shares);
        mix->address = mem_strdup(maker->of);
        mix->shares = join_shares(maker->parts, kept, all);
        mix->all = all;
    }
}

static void
tell_mixes(struct maker *maker)
{
    for (size_t i = 0; i < maker->mix_count; i++) {
        struct mix *mix = &maker->mixes[i];
        struct buf text = {0};

        buf_printf(&text, "address %s", mix->address);
        if (mix->more > 0)
            buf_printf(&text, " and %zu more send", mix->more);
        else
            buf_puts(&text, " sends");
        buf_printf(&text,
                   " different kinds of mail: %s of %" PRIu64
                   " in %d days; what harms one harms the others: give each kind addresses of its "
                   "own, or say with streams.kind that they are of one kind",
                   mix->shares, mix->all, maker->days);
        warn(maker->advice, "mixed", mix->address, buf_take(&text));
    }
}

static const char *
kind_of(const struct conf *conf, const char *stream)
{
    const struct stream *found = snapshot_find_stream(conf->snapshot, stream, strlen(stream));

    return found != NULL && found->kind != NULL && found->kind[0] != '\0' ? found->kind : stream;
}

/* -------------------------------------------------------------- thin, and most */

static bool
is_thin(const struct maker *maker, const struct pool *pool, int days, struct advice_thin *ret_thin)
{
    return advice_is_thin(maker->parts, maker->count,
                          maker->conf->snapshot->providers[PROVIDER_OTHER].name, pool->member_count,
                          days, (uint64_t)maker->conf->figures_thin, ret_thin);
}

/* Of all days that there are figures of; or, of a pool that is newer, of its own. */
static void
judge_thin(struct maker *maker)
{
    const struct pool *pool = snapshot_find_pool(maker->conf->snapshot, maker->of);
    uint64_t least = (uint64_t)maker->conf->figures_thin;
    struct advice_thin thin;
    int64_t oldest = -1;
    int days;

    if (pool == NULL || maker->r < 0 || !is_thin(maker, pool, maker->days, &thin))
        return;
    maker->r = hours_sums_oldest(maker->file, maker->of, &oldest, maker->err);
    days = days_since(oldest, maker->now_hour);
    if (maker->r < 0 || (days < maker->days && !is_thin(maker, pool, days, &thin)))
        return;
    warn(maker->advice, "thin", maker->of,
         mem_printf("pool %s has %zu addresses for %" PRIu64 " messages a month to %s, %" PRIu64
                    " each; with fewer than %" PRIu64
                    " an address gets no reputation there: use %zu",
                    maker->of, pool->member_count, thin.per_month, thin.provider, thin.each, least,
                    thin.enough));
}

static void
judge_most(struct maker *maker)
{
    struct advice_most most;

    if (snapshot_find_pool(maker->conf->snapshot, maker->of) == NULL ||
        !advice_is_most(maker->parts, maker->count, maker->all, (unsigned)maker->conf->figures_most,
                        &most))
        return;
    warn(maker->advice, "most", maker->of,
         mem_printf("account %s is %u %% of pool %s (%" PRIu64 " of %" PRIu64
                    " in %d days), which %zu others share; its reputation is theirs: give it a "
                    "stream and a pool of its own",
                    most.account, most.percent, maker->of, most.sent, maker->all, maker->days,
                    most.sharers));
}

/* ---------------------------------------------------------------- from the file */

static void
finish(struct maker *maker)
{
    if (maker->of != NULL)
        maker->judge(maker);
    for (size_t i = 0; i < maker->count; i++)
        free(maker->names[i]);
    free(maker->of);
    maker->of = NULL;
    maker->count = 0;
    maker->all = 0;
}

static void
on_pair(void *arg, const char *first, const char *second, uint64_t sent)
{
    struct maker *maker = arg;
    const char *name = maker->judge == judge_mix ? kind_of(maker->conf, second) : second;

    if (maker->of == NULL || strcmp(maker->of, first) != 0) {
        finish(maker);
        maker->of = mem_strdup(first);
    }
    maker->all += sent;
    if (maker->count < PARTS_MAX &&
        (maker->judge != judge_most || strcmp(name, TALLIES_OTHERS) != 0)) {
        maker->names[maker->count] = mem_strdup(name);
        maker->parts[maker->count] = (struct advice_part){maker->names[maker->count], sent};
        maker->count++;
    }
}

static int
read_pairs(struct maker *maker, struct hours_file *file, int64_t now_hour, struct err *err)
{
    static const struct {
        enum hours_pair pair;
        void (*judge)(struct maker *maker);
    } steps[] = {
        {HOURS_ADDRESS_STREAM, judge_mix},
        {HOURS_POOL_PROVIDER, judge_thin},
        {HOURS_POOL_ACCOUNT, judge_most},
    };
    const struct hours_scope scope = {now_hour - ADVICE_DAYS * HOURS_A_DAY, now_hour,
                                      maker->conf->node, NULL};
    int r = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && r == 0; i++) {
        maker->judge = steps[i].judge;
        r = hours_sums_pairs(file, steps[i].pair, &scope, on_pair, maker, err);
        finish(maker);
        r = r == 0 ? maker->r : r;
        if (steps[i].judge == judge_mix)
            tell_mixes(maker);
    }
    return r;
}

int
hours_advice_make(struct hours_file *file, const struct conf *conf, int64_t now_hour,
                  struct hours_advice **ret_advice, struct err *err)
{
    struct maker *maker = mem_new(sizeof(*maker));
    int64_t oldest;
    int r = hours_sums_oldest(file, NULL, &oldest, err);

    maker->conf = conf;
    maker->file = file;
    maker->now_hour = now_hour;
    maker->err = err;
    maker->advice = mem_new(sizeof(*maker->advice));
    maker->days = days_since(oldest, now_hour);
    if (r == 0)
        r = read_pairs(maker, file, now_hour, err);
    for (size_t i = 0; i < maker->mix_count; i++) {
        free(maker->mixes[i].kinds);
        free(maker->mixes[i].address);
        free(maker->mixes[i].shares);
    }
    if (r == 0)
        *ret_advice = maker->advice;
    else
        hours_advice_free(maker->advice);
    free(maker);
    return r;
}

void
hours_advice_free(struct hours_advice *advice)
{
    if (advice == NULL)
        return;
    for (size_t i = 0; i < advice->count; i++) {
        free(advice->items[i].of);
        free(advice->items[i].text);
    }
    free(advice);
}

/* ------------------------------------------------------------------ in the thread */

struct ask {
    struct conf *conf; /* a reference; NULL: given back */
    struct hours_advice *made;
    struct hours_advice **place; /* not ours */
};

static int
on_work(void *arg, struct hours_file *file, struct err *err)
{
    struct ask *ask = arg;
    int r = hours_advice_make(file, ask->conf, clock_ms(CLOCK_REALTIME) / TALLIES_HOUR_MS,
                              &ask->made, err);

    conf_unref(ask->conf); /* here, where it may take long */
    ask->conf = NULL;
    return r;
}

static void
on_done(void *arg, int r, const char *why)
{
    struct ask *ask = arg;

    if (r < 0) {
        log_debug("figures: no warnings: %s", why);
        return;
    }
    hours_advice_free(*ask->place);
    *ask->place = ask->made;
    ask->made = NULL;
}

static void
on_free(void *arg)
{
    struct ask *ask = arg;

    hours_advice_free(ask->made);
    conf_unref(ask->conf);
    free(ask);
}

void
hours_advice_ask(struct hours_thread *thread, struct conf *conf, struct hours_advice **advice)
{
    struct ask *ask = mem_new(sizeof(*ask));

    ask->conf = conf_ref(conf);
    ask->place = advice;
    if (!hours_thread_ask(thread, &(struct hours_ask){on_work, on_done, on_free, ask}))
        on_free(ask);
}

/* --------------------------------------------------------------------- in words */

void
hours_advice_print(const struct hours_advice *advice, struct buf *text)
{
    if (advice == NULL)
        return;
    for (size_t i = 0; i < advice->count; i++)
        buf_printf(text, "warning: %s\n", advice->items[i].text);
    if (advice->omitted > 0)
        buf_printf(text, "and %zu more warnings\n", advice->omitted);
}

void
hours_advice_json(const struct hours_advice *advice, struct json *json)
{
    json_open(json, "warnings", '[');
    for (size_t i = 0; advice != NULL && i < advice->count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "what", advice->items[i].what);
        json_text(json, "of", advice->items[i].of);
        json_text(json, "text", advice->items[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}
