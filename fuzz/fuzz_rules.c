/*
 * Rules for replies: what is taken into use holds what it promises.
 *
 * Input: a byte for the class and one for the code, then texts with a NUL behind
 * each: pattern, enhanced code and sample of a rule, the pattern of the one before
 * it, a reply, a reply that the rule must not fit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/reply.h"

#include <string.h>

enum { TEXT_MAX = 512 }; /* bytes of each: an admin writes them */

static const int codes[] = {0, 4, 5, 421, 450, 550, 554, 250, 7};

/* As libconfig reads it in quotes. */
static void
add_quoted(struct buf *out, const char *text)
{
    buf_puts(out, "\"");
    for (size_t i = 0; text[i] != '\0' && i < TEXT_MAX; i++)
        buf_printf(out, "\\x%02x", (unsigned char)text[i]);
    buf_puts(out, "\"");
}

static void
add_text(struct buf *out, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_printf(out, "%s = ", key);
    add_quoted(out, text);
    buf_puts(out, "; ");
}

static void
check_rule(const struct conf *conf, const struct reply_rule *rule)
{
    const struct reaction *reaction = &rule->reaction;
    struct reply reply;

    reply_read_words(rule->sample, strlen(rule->sample), &reply);
    MUST(replies_find(&conf->replies, rule->provider, &reply) == rule);
    MUST(rule->number != 0 && rule->name[0] != '\0');
    MUST(rule->accused <= ACCUSED_ACCOUNT || reaction->suspend_ms + reaction->slow_ms == 0);
    MUST(reaction->suspend_most_ms >= reaction->suspend_ms);
}

/* The second rule leaves to others what it must. */
static void
check_not(const struct conf *conf, const char *not_sample)
{
    const struct reply_rule *second = &conf->replies.rules[conf->replies.count - 1];
    struct reply reply;

    reply_read_words(not_sample, strlen(not_sample), &reply);
    MUST(replies_find(&conf->replies, NULL, &reply) != second);
}

static void
check(const char *text, const char *words, const char *not_sample)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    struct reply reply;

    if (conf_load_text(text, &conf, &problems) == 0) {
        for (size_t i = 0; i < conf->replies.count; i++)
            check_rule(conf, &conf->replies.rules[i]);
        if (not_sample[0] != '\0')
            check_not(conf, not_sample);
        reply_read_words(words, strlen(words), &reply);
        replies_find(&conf->replies, &conf->snapshot->providers[PROVIDER_OTHER], &reply);
    } else {
        MUST(problems.error_count > 0 && conf == NULL);
    }
    conf_problems_clear(&problems);
    conf_unref(conf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char site[] =
        "node = \"n\"; addresses: { a = { ip = \"192.0.2.1\"; helo = \"a.test\"; }; };\n"
        "pools: { p = { addresses = ( \"a\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n";
    struct fuzz_input input = {data, size};
    struct buf text = {0};
    enum accused accused = (enum accused)(fuzz_byte(&input) % ACCUSED_COUNT);
    int code = codes[fuzz_byte(&input) % (sizeof(codes) / sizeof(*codes))];
    char *pattern = fuzz_text(&input), *enhanced = fuzz_text(&input), *sample = fuzz_text(&input);
    char *first = fuzz_text(&input), *words = fuzz_text(&input);
    char *not_sample = fuzz_text(&input);

    buf_puts(&text, site);
    buf_puts(&text, "replies: ( ");
    if (first[0] != '\0') {
        buf_puts(&text, "{ name = \"first\"; class = \"none\"; code = 5; ");
        add_text(&text, "pattern", first);
        buf_puts(&text, "samples = ( \"550 one two\" ); }, ");
    }
    buf_printf(&text, "{ name = \"second\"; class = \"%s\"; code = %d; ", accused_text(accused),
               code);
    if (accused <= ACCUSED_ACCOUNT)
        buf_puts(&text, "after = 2; suspend = \"1h\"; slow = 50; ");
    add_text(&text, "pattern", pattern);
    add_text(&text, "enhanced", enhanced);
    buf_puts(&text, "samples = ( ");
    add_quoted(&text, sample);
    buf_puts(&text, " ); ");
    if (not_sample[0] != '\0') {
        buf_puts(&text, "not_samples = ( ");
        add_quoted(&text, not_sample);
        buf_puts(&text, " ); ");
    }
    buf_puts(&text, "} );\n");
    not_sample[strnlen(not_sample, TEXT_MAX)] = '\0'; /* as add_quoted() has it */
    check(buf_text(&text), words, not_sample);
    buf_clear(&text);
    free(pattern);
    free(enhanced);
    free(sample);
    free(first);
    free(words);
    free(not_sample);
    return 0;
}
