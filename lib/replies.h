/*
 * Rules that say what a server's reply accuses, and what is to follow.
 *
 * The first rule that fits a reply is its rule.  Patterns are Perl's (PCRE2),
 * without regard to case, and find themselves anywhere in the words.  The words are
 * a stranger's: a pattern that would search on in them for too long fits nothing,
 * and no other pattern is tried on them, so that a reply costs about a
 * millisecond at most.  A short gap, ".{0,80}", searches less than ".*".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_REPLIES_H
#define LIB_REPLIES_H

#include "engine/breaker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct provider;
struct reply;

/* Whom a reply accuses.  A reaction follows only from the first three. */
enum accused {
    ACCUSED_ADDRESS,          /* the address, wherever it sends to */
    ACCUSED_ADDRESS_PROVIDER, /* the address at this provider */
    ACCUSED_ACCOUNT,          /* the sender, or its domain */
    ACCUSED_RECIPIENT,        /* the recipient: unknown, full, receiving too much */
    ACCUSED_CONTENT,          /* this message */
    ACCUSED_PROVIDER,         /* the provider is ill */
    ACCUSED_GREYLIST,         /* nobody: come again */
    ACCUSED_NONE,             /* nobody, or it is not known */
    ACCUSED_COUNT,
};

struct reply_rule {
    char *name;
    const struct provider *provider; /* not ours; NULL: any */
    int code;                        /* 421; 4, 5: of that class; 0: any */
    char *enhanced;                  /* a glob: "4.7.28", "?.2.*"; NULL: any */
    char *pattern_text;              /* NULL: any words */
    struct pattern *pattern;         /* owned; NULL without a text */
    enum accused accused;
    struct reaction reaction; /* all 0: it is only counted */
    uint32_t number;          /* of its name, not 0: the same after a reload */
    char *sample;             /* the first of its samples */
};

struct replies {
    struct reply_rule *rules; /* owned, in their order */
    size_t count;
};

/* Perl's, for short texts.  Returns 0, or -EINVAL with what is wrong and where. */
int pattern_compile(const char *text, struct pattern **ret_pattern, struct err *err);
void pattern_free(struct pattern *pattern);

/* Does it stand in text?  false, too, when finding out would take too long. */
bool pattern_find(struct pattern *pattern, const char *text);

/* The first rule for a reply of provider, or NULL. */
const struct reply_rule *replies_find(const struct replies *replies,
                                      const struct provider *provider, const struct reply *reply);

/* A rule whose pattern was given up since its words were too hard; each is named once.  Or NULL. */
const struct reply_rule *replies_take_given_up(const struct replies *replies);

/* "address", "address_provider", ...: as the configuration has them. */
const char *accused_text(enum accused accused);
bool accused_parse(const char *text, enum accused *ret_accused);

/* A number for the name, never 0. */
uint32_t reply_rule_number(const char *name);

void replies_clear(struct replies *replies);

#endif
