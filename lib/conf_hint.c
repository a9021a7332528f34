/*
 * Hints on when a recipient was active: their header, what its words mean, and who may give one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <string.h>
#include <strings.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define NEVER "never"

const struct conf_key conf_hint_keys[] = {
    {"header", KEY_HEADER, offsetof(struct conf, hint.header), "", 0, 0,
     "The header of the hint, which the milter removes; default: none.", NULL, NULL},
    {"values", KEY_OWN, 0, "", 0, 0,
     "Words that it may have, and how long ago the recipient was active then, or \"never\".", NULL,
     NULL},
    {"match", KEY_OWN, 0, "", 0, 0,
     "Whose hints count: groups of conditions, as in streams; (): of all of the site's own mail.",
     NULL, NULL},
    CONF_KEY_END,
};

static config_setting_t *
member_of(config_setting_t *group, const char *name)
{
    return group != NULL && config_setting_is_group(group) ? config_setting_get_member(group, name)
                                                           : NULL;
}

static void
read_word(struct conf_reader *reader, config_setting_t *item, struct hint_rules *rules)
{
    const char *name = config_setting_name(item), *text = conf_read_text(reader, item);
    int64_t ms = -DAY_MS;

    if (text == NULL)
        return;
    for (size_t i = 0; i < rules->word_count; i++)
        if (strcasecmp(rules->words[i].text, name) == 0)
            conf_problem(reader, item, "is there already as %s, letter case means nothing",
                         rules->words[i].text);
    if (strcmp(text, NEVER) != 0 && (units_parse_duration(text, &ms, NULL) < 0 ||
                                     ms % DAY_MS != 0 || ms > HINT_DAYS_MAX * DAY_MS)) {
        conf_problem(reader, item,
                     "\"%s\" is no time, write whole days up to \"%dd\", such as \"7d\", or "
                     "\"" NEVER "\"",
                     text, HINT_DAYS_MAX);
        return;
    }
    rules->words[rules->word_count++] = (struct hint_word){
        .text = mem_strdup(name),
        .days = (int32_t)(ms / DAY_MS),
    };
}

static void
read_words(struct conf_reader *reader, config_setting_t *values, struct hint_rules *rules)
{
    int count = config_setting_length(values);

    if (!config_setting_is_group(values)) {
        conf_problem(reader, values,
                     "a group of words is needed, { high = \"7d\"; low = \"" NEVER "\"; }");
        return;
    }
    if (count > HINT_WORDS_MAX) {
        conf_problem(reader, values, "%d words are too many, write at most %d", count,
                     HINT_WORDS_MAX);
        return;
    }
    rules->words = mem_array((size_t)count, sizeof(*rules->words));
    for (int i = 0; i < count; i++)
        read_word(reader, config_setting_get_elem(values, (unsigned)i), rules);
}

static void
check_header(struct conf_reader *reader, config_setting_t *setting)
{
    const struct conf *conf = reader->conf;
    const char *header = conf->hint.header;

    if (strcasecmp(header, conf->stream_header) == 0 || strcasecmp(header, conf->mark_header) == 0)
        conf_problem(reader, setting,
                     "\"%s\" has a meaning already, take a name of its own such as "
                     "\"X-Engagement\"",
                     header);
    else if (conf_is_of_the_message(header))
        conf_problem(reader, setting,
                     "\"%s\" belongs to the message itself and cannot be taken away; take a name "
                     "such as \"X-Engagement\"",
                     header);
}

void
conf_read_hint(struct conf_reader *reader, config_setting_t *hint)
{
    struct conf *conf = reader->conf;
    struct hint_rules *rules = &conf->hint;
    config_setting_t *values = member_of(hint, "values"), *match = member_of(hint, "match");

    if (values != NULL)
        read_words(reader, values, rules);
    if (match != NULL)
        conf_read_matches(reader, match, &rules->matches, &rules->match_count);
    if (hint == NULL)
        return;
    if (rules->header == NULL) {
        if (values != NULL || match != NULL)
            conf_problem(reader, hint, "values and match need the header that they are about");
        return;
    }
    check_header(reader, member_of(hint, "header"));
    if (match == NULL)
        conf_problem(reader, hint,
                     "match is missing: whose hints count, such as ( { sasl_user = \"app\"; } ); "
                     "() for all of the site's own mail");
    conf_note_header(conf->snapshot, rules->header);
    conf_note_headers(conf->snapshot, rules->matches, rules->match_count);
}

void
conf_warn_hint(struct conf_reader *reader, config_setting_t *hint)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    for (size_t i = 0; i < snapshot->stream_count && snapshot->engaged_weeks > 0; i++) {
        const struct stream *stream = &snapshot->streams[i];

        if (stream->pool != NULL && !stream_has_warm(stream))
            conf_warning(reader, hint,
                         "stream %s: all addresses of pool %s warm up, and its overflow has no "
                         "other -- mail without a hint waits, unless the file knows its recipient "
                         "as active",
                         stream->name, stream->pool->name);
    }
}
