/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_count.h"

#include "engine/require.h"
#include "engine/snapshot.h"
#include "engine/tallies.h"
#include "lib/replies.h"
#include "policyd/outcome.h"
#include "policyd/reported.h"

/* That of first and its ladder that has the address; NULL: none has. */
static const struct pool *
pool_of_ladder(const struct pool *first, const struct address *address)
{
    for (size_t i = 0; first != NULL && i <= first->overflow_count; i++) {
        const struct pool *at = i == 0 ? first : first->overflow[i - 1];

        if (at == address->of)
            return at;
        for (size_t j = 0; j < at->member_count; j++)
            if (at->members[j].address == address)
                return at;
    }
    return NULL;
}

/* From which pool of its stream's ladders did it leave?  From none: the first is to blame. */
static const struct pool *
pool_of(const struct stream *stream, const struct address *address)
{
    const struct pool *pool;

    if (address == NULL)
        return stream->pool;
    pool = pool_of_ladder(stream->pool, address);
    for (size_t i = 0; i < GRADES && pool == NULL; i++)
        pool = pool_of_ladder(stream->by_grade[i], address);
    if (pool == NULL)
        pool = address->of;
    return pool != NULL ? pool : stream->pool;
}

static void
count(struct tally *tally, const struct outcome *outcome)
{
    int class = outcome->ours           ? (int)ACCUSED_NONE
                : outcome->rule != NULL ? (int)outcome->rule->accused
                                        : TALLY_CLASSES - 1;

    switch (outcome->status) {
    case MAILLOG_SENT:
        tally->counts[TALLY_SENT]++;
        if (outcome->delay_ms >= 0)
            tally->counts[TALLY_DELAY + tally_delay_bucket(outcome->delay_ms)]++;
        break;
    case MAILLOG_DEFERRED:
        tally->counts[TALLY_DEFERRED + class]++;
        tally->counts[TALLY_FULL] += outcome->full;
        tally->counts[TALLY_RESCUED] += outcome->rescued;
        break;
    case MAILLOG_BOUNCED:
        tally->counts[TALLY_BOUNCED + class]++;
        break;
    case MAILLOG_OTHER_STATUS:
        break;
    }
}

bool
hours_count_outcome(struct tallies *tallies, int64_t hour, const struct outcome *outcome)
{
    const char *address = outcome->blamed != NULL ? outcome->blamed->name : "";
    const char *stream = outcome->stream->name;
    const char *pool = pool_of(outcome->stream, outcome->blamed)->name;
    struct tally *mail, *account = NULL;

    mail = tallies_at(
        tallies, TALLIES_MAIL, hour,
        (const char *const[TALLIES_NAMES]){stream, pool, address, outcome->provider->name});
    if (mail != NULL)
        account = tallies_at(tallies, TALLIES_ACCOUNTS, hour,
                             (const char *const[TALLIES_NAMES]){outcome->account, stream, pool});
    if (account == NULL)
        return false;
    count(mail, outcome);
    count(account, outcome);
    return true;
}

bool
hours_count_reported(struct tallies *tallies, int64_t hour, const struct reported *reported)
{
    enum tally_counter counter = reported->complaint ? TALLY_COMPLAINTS : TALLY_RETURNED;
    const char *address = reported->address != NULL ? reported->address->name : "";
    const char *stream = reported->stream->name;
    const char *pool = pool_of(reported->stream, reported->address)->name;
    struct tally *tally;

    tally = tallies_at(
        tallies, TALLIES_MAIL, hour,
        (const char *const[TALLIES_NAMES]){stream, pool, address, reported->provider->name});
    if (tally == NULL)
        return false;
    tally->counts[counter]++;
    if (reported->account[0] == '\0') /* that is the name of mail without a sender */
        return true;
    tally = tallies_at(tallies, TALLIES_ACCOUNTS, hour,
                       (const char *const[TALLIES_NAMES]){reported->account, stream, pool});
    if (tally == NULL)
        return false;
    tally->counts[counter]++;
    return true;
}

bool
hours_count_unmet(struct tallies *tallies, int64_t hour, const struct stream *stream,
                  unsigned unmet)
{
    for (int i = 0; i < REQUIRE_COUNT; i++) {
        const char *const names[TALLIES_NAMES] = {stream->name, require_name((enum require)i)};
        struct tally *tally;

        if ((unmet & REQUIRE_BIT(i)) == 0)
            continue;
        tally = tallies_at(tallies, TALLIES_UNMET, hour, names);
        if (tally == NULL)
            return false;
        tally->counts[0]++;
    }
    return true;
}
