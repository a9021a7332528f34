/*
 * A circuit breaker: takes a thing (an address, an address at a provider, an
 * account) out of choice when replies accuse it, tries it with a few probes
 * when its time is over, and lets it grow back in steps.
 *
 *   CLOSED      --a rule's count of hits in its time-->  OPEN, until a time
 *   OPEN        --that time-->                           PROBING: a few at a time
 *   PROBING     --so many were accepted-->               RECOVERING: a share of its caps
 *   RECOVERING  --step by step-->                        CLOSED
 *   PROBING, RECOVERING  --one hit of the rule that opened it, or a rule's count of
 *                          hits in its time-->           OPEN, twice as long, up to a most
 *
 * Beside that a rule may slow the thing down: a share of its caps for a time.  One that would
 * slow it less changes nothing until that is over.  Replies to what
 * was under way then are no news: for BREAKER_SLOWING_MS rules that slow it count nothing.
 * Causes that last (a DNS list) open it too, and last beside what replies did.
 *
 * What an admin says lies above all that and changes nothing of it: suspended, it stays
 * so until the time told, or for ever, and then is what it would be; drained, it takes
 * no new messages until it is resumed.
 *
 * A value without pointers: hosts share it as a line of text.  Pure: it is told the time
 * (milliseconds of the store's clock), and breaker_advance() must be called
 * with a newer one before anything is asked of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_BREAKER_H
#define ENGINE_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BREAKER_AFTER_MAX = 20, /* most hits that a rule may ask for */
    BREAKER_RULES_MAX = 4,  /* whose hits are kept; the one longest quiet gives way */
    BREAKER_STEPS_MAX = 8,
    BREAKER_WHY_SIZE = 128,
    BREAKER_LEVEL_MAX = 16,
    BREAKER_SLOWING_MS = 30 * 1000,
    BREAKER_TEXT_SIZE = 2500, /* room for any breaker as text */
};

#define BREAKER_FOR_EVER INT64_MAX

/* What a rule asks for.  A time of 0: not this. */
struct reaction {
    int after;               /* hits, 1 to BREAKER_AFTER_MAX, ... */
    int64_t within_ms;       /* ... in any time of this length */
    int64_t suspend_ms;      /* the first time; doubled each time it comes again, ... */
    int64_t suspend_most_ms; /* ... but not beyond */
    int slow_after;          /* hits in within_ms */
    int slow_percent;        /* of the caps, 1 to 99 */
    int64_t slow_ms;
};

/* How a breaker comes back. */
struct breaker_policy {
    int probes;                   /* so many must be accepted */
    int64_t step_ms;              /* how long it stays at each share */
    int steps[BREAKER_STEPS_MAX]; /* percent of the caps, growing */
    size_t step_count;
    int64_t forget_ms; /* closed for so long: the next suspension is a first one */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING, BREAKER_RECOVERING };

/* What suspends beside replies, and lasts. */
enum breaker_cause { BREAKER_LISTED, BREAKER_NETWORK, BREAKER_CAUSES };

/* What somebody said, until when it counts (0: nothing), and in which words. */
struct breaker_word {
    int64_t until_ms; /* by hand: may be BREAKER_FOR_EVER */
    char why[BREAKER_WHY_SIZE];
};

struct breaker_hits {
    uint32_t rule; /* a number that stays with the rule; 0: unused */
    uint32_t count;
    int64_t at_ms[BREAKER_AFTER_MAX]; /* the newest last */
};

/* All zero: closed, and nothing ever happened. */
struct breaker {
    enum breaker_state state;
    uint32_t level;        /* suspensions that followed each other */
    uint32_t step;         /* RECOVERING: place in policy.steps */
    uint32_t accepted;     /* PROBING: probes */
    int64_t since_ms;      /* in this state */
    uint32_t rule;         /* not CLOSED: that opened it; 0: none did */
    int slow_percent;      /* while slow_until_ms lasts */
    int64_t slow_until_ms; /* 0: it is not */
    int64_t slowed_ms;     /* since when */
    struct breaker_hits hits[BREAKER_RULES_MAX];
    struct breaker_word replies;                /* not CLOSED; why: of a slowing, too */
    struct breaker_word causes[BREAKER_CAUSES]; /* not CLOSED */
    struct breaker_word hand;                   /* suspended; replies change nothing */
    bool drained;                               /* takes no new messages, finishes what it has */
    char drained_why[BREAKER_WHY_SIZE];
};

/* What became of a call. */
enum breaker_change {
    BREAKER_SAME,
    BREAKER_COUNTED, /* a hit that changes nothing yet, or only for how long; or it is slowed down
                        no more, and held back still */
    BREAKER_SUSPENDED,
    BREAKER_SLOWED,
    BREAKER_PROBES, /* its time is over: probes may go */
    BREAKER_GROWS,  /* a step up */
    BREAKER_CLOSES, /* it is well */
    BREAKER_FREED,  /* its suspension by hand is over: it is what it would be */
};

/* Let time pass.  Returns the last change that it brought. */
enum breaker_change breaker_advance(struct breaker *breaker, const struct breaker_policy *policy,
                                    int64_t now_ms);

/* A reply accuses it; rule is not 0.  why: one line, cut to fit, as printable ASCII. */
enum breaker_change breaker_hit(struct breaker *breaker, const struct breaker_policy *policy,
                                const struct reaction *reaction, uint32_t rule, const char *why,
                                int64_t now_ms);

/* A message of it was accepted. */
enum breaker_change breaker_accepted(struct breaker *breaker, const struct breaker_policy *policy,
                                     int64_t now_ms);

/*
 * By hand, instead of what was so by hand before: until then, which may be
 * BREAKER_FOR_EVER.  Without probes after it, unless they were due anyway.
 */
void breaker_suspend(struct breaker *breaker, int64_t until_ms, const char *why);

/*
 * For a cause that lasts and is told of again and again: when it is suspended already
 * only the end is put off.
 */
enum breaker_change breaker_keep_suspended(struct breaker *breaker, enum breaker_cause cause,
                                           int64_t until_ms, const char *why, int64_t now_ms);

/*
 * The cause is over.  What else suspends it goes on; else probes follow, or, where nothing
 * but this was wrong, it is whole at once, also when it was coming back already.
 */
enum breaker_change breaker_end(struct breaker *breaker, enum breaker_cause cause, bool whole,
                                int64_t now_ms);

/* By hand: no new messages, until breaker_resume(). */
void breaker_drain(struct breaker *breaker, const char *why);

/* By hand: well at once, whatever it was; what was counted is forgotten. */
void breaker_resume(struct breaker *breaker, int64_t now_ms);

/* OPEN, or suspended by hand. */
bool breaker_is_suspended(const struct breaker *breaker);

/* The same, or PROBING: nothing but probes may leave. */
bool breaker_is_held(const struct breaker *breaker);

/* It holds nothing back and never did, it only counts hits. */
bool breaker_only_counts(const struct breaker *breaker);

/* When the last of what suspends it ends; 0: nothing does. */
int64_t breaker_until(const struct breaker *breaker);

/* Why it is held back, in the words of what lasts longest; and is that by hand? */
const char *breaker_why(const struct breaker *breaker);
bool breaker_is_by_hand(const struct breaker *breaker);

/* The share of its caps that it may use now, percent: 0 while it is held. */
int breaker_share(const struct breaker *breaker, const struct breaker_policy *policy,
                  int64_t now_ms);

/* As text.  breaker_parse() takes what breaker_print() wrote: 0, or -EINVAL. */
size_t breaker_print(const struct breaker *breaker, char text[static BREAKER_TEXT_SIZE]);
int breaker_parse(const char *text, size_t length, struct breaker *ret_breaker);

/* Is it as if nothing had ever happened, so that it need not be kept? */
bool breaker_is_idle(const struct breaker *breaker, const struct breaker_policy *policy,
                     int64_t now_ms);

#endif
