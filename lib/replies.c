/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/replies.h"

#include "engine/glob.h"
#include "engine/hash.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_STEPS_MAX = 5000, /* of backtracking, of 0.2 us each at most */
    MATCH_HEAP_KIB = 256,
};

/* ----------------------------------------------------------------- patterns */

struct pattern {
    pcre2_code *code;             /* owned */
    pcre2_match_context *context; /* owned: the limits */
    pcre2_match_data *match;      /* owned: one thread at a time */
    enum { FINE, GIVEN_UP, TOLD } state;
};

int
pattern_compile(const char *text, struct pattern **ret_pattern, struct err *err)
{
    struct pattern *pattern;
    PCRE2_SIZE at;
    int reason;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                     PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C, &reason, &at, NULL);

    if (code == NULL) {
        PCRE2_UCHAR why[128];

        pcre2_get_error_message(reason, why, sizeof(why));
        return err_set(err, -EINVAL, "%s at character %zu", (const char *)why, at + 1);
    }
    pattern = mem_new(sizeof(*pattern));
    pattern->code = code;
    pattern->context = pcre2_match_context_create(NULL);
    pattern->match = pcre2_match_data_create(1, NULL);
    if (pattern->context == NULL || pattern->match == NULL)
        abort(); /* as mem_new() does */
    pcre2_set_match_limit(pattern->context, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(pattern->context, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(pattern->context, MATCH_HEAP_KIB);
    *ret_pattern = pattern;
    return 0;
}

void
pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_data_free(pattern->match);
    pcre2_match_context_free(pattern->context);
    pcre2_code_free(pattern->code);
    free(pattern);
}

enum found { FOUND, NOT_FOUND, TOO_LONG };

static enum found
search(struct pattern *pattern, const char *text)
{
    int r = pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, pattern->match,
                        pattern->context);

    if (r >= 0)
        return FOUND;
    if (r != PCRE2_ERROR_MATCHLIMIT && r != PCRE2_ERROR_DEPTHLIMIT && r != PCRE2_ERROR_HEAPLIMIT)
        return NOT_FOUND;
    if (pattern->state == FINE)
        pattern->state = GIVEN_UP;
    return TOO_LONG;
}

bool
pattern_find(struct pattern *pattern, const char *text)
{
    return search(pattern, text) == FOUND;
}

/* -------------------------------------------------------------------- rules */

static bool
code_fits(int code, int wanted)
{
    return wanted == 0 || code == wanted || (wanted < 10 && code / 100 == wanted);
}

static bool
codes_fit(const struct reply_rule *rule, const struct provider *provider, const struct reply *reply)
{
    return (rule->provider == NULL || rule->provider == provider) &&
           code_fits(reply->code, rule->code) &&
           (rule->enhanced == NULL || glob_match(rule->enhanced, reply->enhanced, false));
}

const struct reply_rule *
replies_find(const struct replies *replies, const struct provider *provider,
             const struct reply *reply)
{
    bool tangled = false; /* so made that one pattern was given up on it: others would be, too */

    for (size_t i = 0; i < replies->count; i++) {
        const struct reply_rule *rule = &replies->rules[i];
        enum found found;

        if (!codes_fit(rule, provider, reply))
            continue;
        if (rule->pattern == NULL)
            return rule;
        found = tangled ? NOT_FOUND : search(rule->pattern, reply->text);
        if (found == FOUND)
            return rule;
        tangled |= found == TOO_LONG;
    }
    return NULL;
}

const struct reply_rule *
replies_take_given_up(const struct replies *replies)
{
    for (size_t i = 0; i < replies->count; i++) {
        struct pattern *pattern = replies->rules[i].pattern;

        if (pattern == NULL || pattern->state != GIVEN_UP)
            continue;
        pattern->state = TOLD;
        return &replies->rules[i];
    }
    return NULL;
}

uint32_t
reply_rule_number(const char *name)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool replies";
    uint32_t number = (uint32_t)hash_sip(key, name, strlen(name));

    return number != 0 ? number : 1;
}

static const char *const accused_texts[ACCUSED_COUNT] = {
    [ACCUSED_ADDRESS] = "address",   [ACCUSED_ADDRESS_PROVIDER] = "address_provider",
    [ACCUSED_ACCOUNT] = "account",   [ACCUSED_RECIPIENT] = "recipient",
    [ACCUSED_CONTENT] = "content",   [ACCUSED_PROVIDER] = "provider",
    [ACCUSED_GREYLIST] = "greylist", [ACCUSED_NONE] = "none",
};

const char *
accused_text(enum accused accused)
{
    return accused_texts[accused];
}

bool
accused_parse(const char *text, enum accused *ret_accused)
{
    for (int i = 0; i < ACCUSED_COUNT; i++)
        if (strcmp(text, accused_texts[i]) == 0) {
            *ret_accused = (enum accused)i;
            return true;
        }
    return false;
}

void
replies_clear(struct replies *replies)
{
    for (size_t i = 0; i < replies->count; i++) {
        free(replies->rules[i].name);
        free(replies->rules[i].enhanced);
        free(replies->rules[i].pattern_text);
        free(replies->rules[i].sample);
        pattern_free(replies->rules[i].pattern);
    }
    free(replies->rules);
    *replies = (struct replies){0};
}
