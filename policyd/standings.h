/*
 * Accounts: what each has earned by what became of its mail, on all hosts, over restarts.
 *
 * An account is the domain of the envelope sender, lower case.  Nothing is kept where no
 * stream has pools for grades.
 *
 * Who sent little is counted in memory, for a day.  Who sends more than that has a record
 * in the store, "standing/example.com" (engine/standing.h), made of what the store has and
 * of what this host knows beside it; when another host was faster it is made again of what
 * that wrote.  A day (UTC) is turned STANDINGS_TURN_S after midnight, so that all hosts have
 * noted what they know of it.
 *
 * A record of days to come, which a clock brought about that was wrong, comes back when this host
 * is sure of its own: a clock that is wrong at the start of a host is set right before that.
 *
 * Figures are written after STANDINGS_NOTE_MS, changes of a grade at once.  What was not
 * written when the daemon is killed is lost.  Results that the log tells again after that are
 * known by their time: those of the last second that was written may count twice.
 *
 * Memory: 3 KB for each record, 400 bytes for each account without one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STANDINGS_H
#define POLICYD_STANDINGS_H

#include "engine/grade.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct conf;
struct control_call;
struct event_base;
struct json;
struct outcome;
struct reported;
struct standings;

enum {
    STANDINGS_TURN_S = 300, /* after midnight */
    STANDINGS_NOTE_MS = 10 * 1000,
    STANDINGS_SURE_MS = 3600 * 1000,    /* a date that holds for so long is right */
    STANDINGS_MAX = 200 * 1000,         /* accounts, with those without a record */
    STANDINGS_RECORDS_MAX = 15000,      /* of the 20,000 of a store; ... */
    STANDINGS_NEW_MAX = 12000,          /* ... at so many none begins for one that is new */
    STANDINGS_LIST_MAX = 1000,          /* accounts in one answer */
    STANDINGS_MADE_MAX = 100,           /* records that are looked at in one tick */
    STANDINGS_STREAMS_MAX = 8,          /* of one account, whose last results are watched */
    STANDINGS_HAND_DAYS_MAX = 10 * 366, /* the longest that something holds by hand */
};

struct standings_start {
    struct event_base *base;      /* NULL: standings_tick() is called by the owner */
    const struct conf *conf;      /* must stay until standings_set_conf() */
    int64_t (*time_s)(void *arg); /* of day, since 1970 */
    /* See store_put().  False: there is no store. */
    bool (*put)(void *arg, const char *key, uint64_t version, const void *bytes, size_t length);
    void *arg; /* not ours */
};

struct standings *standings_new(const struct standings_start *start);
void standings_free(struct standings *standings); /* takes NULL */

/* Put all that the store does not know: it ends. */
void standings_flush(struct standings *standings);

void standings_set_conf(struct standings *standings, const struct conf *conf);

/* The grade that holds for mail of the account, which is lower case; "": it is new. */
enum grade standings_grade(void *standings, const char *account);

/* For feedback_listen(). */
void standings_on_outcome(void *standings, const struct outcome *outcome);
void standings_on_expired(void *standings, const struct outcome *outcome);
void standings_on_reported(void *standings, const struct reported *reported);

/* For volume_listen(). */
void standings_on_put(void *standings, const char *key, bool written, uint64_t version,
                      const void *bytes, size_t length);
void standings_on_record(void *standings, const char *key, uint64_t version, const void *bytes,
                         size_t length);

/* Called each second. */
void standings_tick(struct standings *standings);

/*
 * Answer a question of the control socket.  False: it is none about accounts.
 *
 *   accounts [json] [grade=GRADE] [account=ACCOUNT]
 *   grade ACCOUNT new|trusted|attention MS|- WHY...     by hand, MS: for so long, -: for ever
 *   grade ACCOUNT earned - WHY...                        by hand no more
 */
bool standings_question(struct standings *standings, const char *question,
                        struct control_call *call, struct buf *answer);

/* "trusted (1001 results on 7 days)" */
void standings_explain(struct standings *standings, const char *account, struct buf *text);

/* For "status": a line, or an object "standing" in the open JSON object; one of both is NULL. */
void standings_status(struct standings *standings, struct buf *text, struct json *json);

#endif
