/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_replies.h"

#include "engine/snapshot.h"
#include "lib/conf_site.h"
#include "lib/err.h"
#include "lib/known.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "lib/reply.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_LENGTH = 48,
    DAY_MS = 24 * 3600 * 1000,
    CODE_MAX = 599,
};

/* A rule as it is written. */
struct rule_input {
    char *name, *provider, *class_text, *enhanced, *pattern;
    int code;
    int after, slow_after, slow;
    int64_t within_ms, suspend_ms, suspend_most_ms, slow_for_ms;
    struct conf_list samples, not_samples;
};

#define AT(member) offsetof(struct rule_input, member)

const struct conf_key conf_reply_keys[] = {
    {"name", KEY_TEXT, AT(name), NULL, 0, 0, "The rule's name; every rule its own.", NULL, NULL},
    {"provider", KEY_TEXT, AT(provider), "", 0, 0, "Only replies of this provider; default: all.",
     NULL, NULL},
    {"code", KEY_COUNT, AT(code), "0", 0, CODE_MAX,
     "The reply's code, 421; or 4 or 5 for all that begin with it; default: any.", NULL, NULL},
    {"enhanced", KEY_TEXT, AT(enhanced), "", 0, 0,
     "A pattern with * and ? for the enhanced status code, \"?.7.*\"; default: any.", NULL, NULL},
    {"pattern", KEY_TEXT, AT(pattern), "", 0, 0,
     "A regular expression, as Perl's, that is found in the words; default: any.", NULL, NULL},
    {"class", KEY_TEXT, AT(class_text), NULL, 0, 0,
     "Whom it accuses: \"address\", \"address_provider\", \"account\", \"recipient\", \"content\", "
     "\"provider\", \"greylist\" or \"none\".",
     NULL, NULL},
    {"after", KEY_COUNT, AT(after), "1", 1, BREAKER_AFTER_MAX,
     "So many such replies within the time suspend it.", NULL, NULL},
    {"within", KEY_DURATION, AT(within_ms), "1h", 1000, DAY_MS, "The time they are counted in.",
     NULL, NULL},
    {"suspend", KEY_DURATION, AT(suspend_ms), "", 1000, (int64_t)31 * DAY_MS,
     "How long it is suspended the first time, doubled each time it comes again.", NULL, NULL},
    {"suspend_most", KEY_DURATION, AT(suspend_most_ms), "", 1000, (int64_t)31 * DAY_MS,
     "The longest that it is suspended; default: 16 times suspend.", NULL, NULL},
    {"slow", KEY_COUNT, AT(slow), "0", 1, 99, "Percent of its caps that it is slowed to.", NULL,
     NULL},
    {"slow_after", KEY_COUNT, AT(slow_after), "1", 1, BREAKER_AFTER_MAX,
     "So many such replies within the time slow it.", NULL, NULL},
    {"slow_for", KEY_DURATION, AT(slow_for_ms), "30m", 1000, DAY_MS, "How long it is slowed.", NULL,
     NULL},
    {"samples", KEY_LIST, AT(samples), NULL, 0, 0,
     "Replies that this rule is the first to fit, \"550 5.7.1 blocked\"; at least one.", NULL,
     NULL},
    {"not_samples", KEY_LIST, AT(not_samples), "", 0, 0,
     "Replies that look alike, and that this rule must not be the one to fit.", NULL, NULL},
    CONF_KEY_END,
};

static bool
is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static const struct provider *
find_provider(struct conf_reader *reader, config_setting_t *item, const char *name)
{
    const struct snapshot *snapshot = reader->conf->snapshot;
    const struct provider *provider = snapshot_find_provider(snapshot, name);

    if (provider != NULL)
        return provider;
    conf_problem(reader, config_setting_get_member(item, "provider"),
                 "there is no provider \"%s\", so that the rule would never fit%s", name,
                 known_providers(snapshot, name));
    return NULL;
}

static void
check_reaction(struct conf_reader *reader, config_setting_t *item, const struct reply_rule *rule)
{
    const struct reaction *reaction = &rule->reaction;

    if (rule->accused > ACCUSED_ACCOUNT && (reaction->suspend_ms > 0 || reaction->slow_ms > 0))
        conf_problem(reader, item,
                     "replies that accuse \"%s\" have no consequence for an address or account; "
                     "take suspend and slow out, or name another class",
                     accused_text(rule->accused));
    if (reaction->suspend_ms == 0 && config_setting_get_member(item, "suspend_most") != NULL)
        conf_problem(reader, config_setting_get_member(item, "suspend_most"),
                     "says nothing without suspend; name both, or take it out");
    else if (reaction->suspend_most_ms < reaction->suspend_ms)
        conf_problem(reader, config_setting_get_member(item, "suspend_most"),
                     "is shorter than suspend; it must be as long at least");
    for (size_t i = 0; reaction->slow_ms == 0 && i < 2; i++) {
        config_setting_t *member =
            config_setting_get_member(item, i == 0 ? "slow_for" : "slow_after");

        if (member != NULL)
            conf_problem(reader, member, "says nothing without slow; name both, or take it out");
    }
    if (reaction->suspend_ms > 0 && reaction->slow_ms > 0 &&
        reaction->slow_after >= reaction->after)
        conf_problem(reader, item,
                     "slow_after must be less than after: suspended, it cannot be slowed");
}

static void
read_reaction(const struct rule_input *input, struct reaction *reaction)
{
    reaction->after = input->after;
    reaction->within_ms = input->within_ms;
    reaction->suspend_ms = input->suspend_ms;
    reaction->suspend_most_ms =
        input->suspend_most_ms > 0 ? input->suspend_most_ms : 16 * input->suspend_ms;
    reaction->slow_after = input->slow_after;
    reaction->slow_percent = input->slow;
    reaction->slow_ms = input->slow > 0 ? input->slow_for_ms : 0;
}

static void
read_rule(struct conf_reader *reader, config_setting_t *item, const struct rule_input *input,
          struct reply_rule *rule)
{
    struct err err;

    rule->name = mem_strdup(input->name != NULL ? input->name : "");
    rule->number = reply_rule_number(rule->name);
    if (input->name != NULL && !conf_is_name(input->name, NAME_MAX_LENGTH))
        conf_problem(reader, config_setting_get_member(item, "name"),
                     "\"%s\" is no name of a rule, write up to %d lower-case letters, digits and "
                     "\"-\", starting with a letter",
                     input->name, NAME_MAX_LENGTH);
    if (is_set(input->provider))
        rule->provider = find_provider(reader, item, input->provider);
    rule->code = input->code;
    if (input->code >= 10 ? input->code < 400
                          : input->code != 0 && input->code != 4 && input->code != 5)
        conf_problem(reader, config_setting_get_member(item, "code"),
                     "%d is no reply code, write one such as 421, or 4 or 5 for all that begin so",
                     input->code);
    if (is_set(input->enhanced))
        rule->enhanced = mem_strdup(input->enhanced);
    if (is_set(input->pattern)) {
        rule->pattern_text = mem_strdup(input->pattern);
        if (pattern_compile(input->pattern, &rule->pattern, &err) < 0)
            conf_problem(reader, config_setting_get_member(item, "pattern"),
                         "is no regular expression: %s", err.msg);
    }
    rule->sample = mem_strdup(input->samples.count > 0 ? input->samples.items[0] : "");
    rule->accused = ACCUSED_NONE;
    if (input->class_text != NULL && !accused_parse(input->class_text, &rule->accused))
        conf_problem(reader, config_setting_get_member(item, "class"),
                     "\"%s\" is no class, write \"address\", \"address_provider\", \"account\", "
                     "\"recipient\", \"content\", \"provider\", \"greylist\" or \"none\"",
                     input->class_text);
    read_reaction(input, &rule->reaction);
    check_reaction(reader, item, rule);
}

/* The rule that a sample falls under at a provider of rule, or NULL. */
static const struct reply_rule *
find_for(const struct replies *replies, const struct reply_rule *rule, const char *text)
{
    struct reply reply;

    reply_read_words(text, strlen(text), &reply);
    return replies_find(replies, rule->provider, &reply);
}

/* Is the rule the first that fits each of its samples? */
static void
check_samples(struct conf_reader *reader, config_setting_t *item, const struct reply_rule *rule,
              const struct replies *replies)
{
    config_setting_t *samples = config_setting_get_member(item, "samples");

    if (samples == NULL || !config_setting_is_aggregate(samples))
        return; /* told already */
    if (config_setting_length(samples) == 0)
        conf_problem(reader, samples, "at least one sample is needed: a reply that the rule fits");
    for (int i = 0; i < config_setting_length(samples); i++) {
        config_setting_t *sample = config_setting_get_elem(samples, (unsigned)i);
        const char *text = config_setting_get_string(sample);
        const struct reply_rule *found;

        if (text == NULL)
            continue;
        found = find_for(replies, rule, text);
        if (found == NULL || found > rule)
            conf_problem(reader, sample, "the rule does not fit its sample \"%s\"", text);
        else if (found != rule)
            conf_problem(reader, sample,
                         "rule \"%s\" stands before this one and fits its sample \"%s\"; put the "
                         "narrower rule first",
                         found->name, text);
    }
}

/* Does it leave to others what is said to be theirs? */
static void
check_not_samples(struct conf_reader *reader, config_setting_t *item, const struct reply_rule *rule,
                  const struct replies *replies)
{
    config_setting_t *samples = config_setting_get_member(item, "not_samples");

    if (samples == NULL || !config_setting_is_aggregate(samples))
        return;
    for (int i = 0; i < config_setting_length(samples); i++) {
        config_setting_t *sample = config_setting_get_elem(samples, (unsigned)i);
        const char *text = config_setting_get_string(sample);

        if (text != NULL && find_for(replies, rule, text) == rule)
            conf_problem(reader, sample,
                         "the rule fits \"%s\", which it must not; narrow it, or put the rule that "
                         "is to fit it first",
                         text);
    }
}

static void
check_names(struct conf_reader *reader, config_setting_t *setting, const struct replies *replies)
{
    for (size_t i = 0; i < replies->count; i++)
        for (size_t j = 0; j < i; j++)
            if (replies->rules[i].name[0] != '\0' &&
                strcmp(replies->rules[i].name, replies->rules[j].name) == 0)
                conf_problem(reader, config_setting_get_elem(setting, (unsigned)i),
                             "there is a rule \"%s\" already, every one needs a name of its own",
                             replies->rules[i].name);
}

void
conf_read_replies(struct conf_reader *reader, config_setting_t *setting)
{
    struct replies *replies = &reader->conf->replies;
    size_t count, errors = reader->problems->error_count;

    if (setting == NULL || !conf_read_is_list(reader, setting, "rules"))
        return;
    count = (size_t)config_setting_length(setting);
    replies->rules = mem_array(count, sizeof(*replies->rules));
    replies->count = count;
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        struct rule_input input = {0};

        replies->rules[i].name = mem_strdup("");
        if (!config_setting_is_group(item)) {
            conf_problem(reader, item,
                         "a group is needed, { name = ...; class = ...; samples = ( ... ); }");
            continue;
        }
        free(replies->rules[i].name);
        conf_read_defaults(conf_reply_keys, &input);
        conf_read_group(reader, item, conf_reply_keys, &input);
        read_rule(reader, item, &input, &replies->rules[i]);
        conf_clear_group(conf_reply_keys, &input);
    }
    check_names(reader, setting, replies);
    if (reader->problems->error_count > errors)
        return; /* what a rule without its pattern fits, nobody needs to hear */
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

        check_samples(reader, item, &replies->rules[i], replies);
        check_not_samples(reader, item, &replies->rules[i], replies);
    }
}
