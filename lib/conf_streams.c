/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/require.h"
#include "lib/addr.h"
#include "lib/conf_caps.h"
#include "lib/conf_site.h"
#include "lib/conf_value.h"
#include "lib/err.h"
#include "lib/feedback_id.h"
#include "lib/known.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEADLINE_MAX_MS = 21 * 24 * 3600 * 1000 };

/* A stream and a match group as they are written. */
struct stream_input {
    char *name;
    char *pool;
    struct caps caps;
    struct caps account_caps;
    int priority;
    int active;
    char *kind;
    enum unmet unmet;
    char *hours;
    char *time_zone;
    int64_t deadline_ms;
    int64_t slo_ms;
    int slo_share;
    bool mark;
    char *feedback_id;
    struct conf_grades grades;
    struct fault_limits limits;
};

#define POOL_OF(grade) offsetof(struct stream_input, grades.pools[grade])

const struct conf_key conf_grades_keys[] = {
    {"new", KEY_TEXT, POOL_OF(GRADE_NEW), "", 0, 0,
     "The pool for accounts of which not enough is known; default: the stream's.", NULL, NULL},
    {"trusted", KEY_TEXT, POOL_OF(GRADE_TRUSTED), "", 0, 0,
     "The pool for accounts that sent enough, and well; default: the stream's.", NULL, NULL},
    {"attention", KEY_TEXT, POOL_OF(GRADE_ATTENTION), "", 0, 0,
     "The pool for accounts of whose mail too much went wrong; default: the stream's.", NULL, NULL},
    CONF_KEY_END,
};

#define SHARE_OF(fault) offsetof(struct stream_input, limits.shares[fault])

const struct conf_key conf_limits_keys[] = {
    {"bounces", KEY_SHARE, SHARE_OF(FAULT_BOUNCE), "", 0, 0,
     "As standing.bounces, which is its default.", NULL, NULL},
    {"blocks", KEY_SHARE, SHARE_OF(FAULT_BLOCK), "", 0, 0,
     "As standing.blocks, which is its default.", NULL, NULL},
    {"complaints", KEY_SHARE, SHARE_OF(FAULT_COMPLAINT), "", 0, 0,
     "As standing.complaints, which is its default.", NULL, NULL},
    CONF_KEY_END,
};

const struct conf_key conf_stream_keys[] = {
    {"name", KEY_TEXT, offsetof(struct stream_input, name), NULL, 0, 0,
     "Its name, which the tag and the stream header carry.", NULL, NULL},
    {"pool", KEY_TEXT, offsetof(struct stream_input, pool), NULL, 0, 0,
     "The pool that its mail leaves from.", NULL, NULL},
    {"caps", KEY_CAPS, offsetof(struct stream_input, caps), "", 0, 0,
     "Most recipients of its mail.", conf_caps_keys, NULL},
    {"account_caps", KEY_CAPS, offsetof(struct stream_input, account_caps), "", 0, 0,
     "Most recipients of each account's mail in it.", conf_caps_keys, NULL},
    {"priority", KEY_COUNT, offsetof(struct stream_input, priority), "0", -100, 100,
     "Of mail that waits for room, that of the stream with the highest goes first.", NULL, NULL},
    {"active", KEY_COUNT, offsetof(struct stream_input, active), "5000", 0, 1000 * 1000,
     "Most recipients of it in Postfix' active queue, with feedback; 0: any number.", NULL, NULL},
    {"kind", KEY_TEXT, offsetof(struct stream_input, kind), "", 0, 0,
     "Streams of one kind may leave from one address without a warning; default: its name.", NULL,
     NULL},
    {"require", KEY_OWN, 0, "", 0, 0,
     "What its messages must have, as large providers ask it of bulk mail.", NULL, NULL},
    {"unmet", KEY_UNMET, offsetof(struct stream_input, unmet), "warn", 0, 0,
     "What follows when one does not have it: \"warn\", \"tempfail\" or \"reject\".", NULL, NULL},
    {"hours", KEY_TEXT, offsetof(struct stream_input, hours), "", 0, 0,
     "When its mail leaves, such as \"mon-fri 08:00-20:00\"; else it waits.", NULL, NULL},
    {"time_zone", KEY_TEXT, offsetof(struct stream_input, time_zone), "local", 0, 0,
     "The time zone of hours, such as \"Europe/Berlin\"; \"local\": the host's.", NULL, NULL},
    {"deadline", KEY_DURATION, offsetof(struct stream_input, deadline_ms), "0s", 0, DEADLINE_MAX_MS,
     "Mail that is older is returned to its sender; 0s: none is.", NULL, NULL},
    {"slo", KEY_DURATION, offsetof(struct stream_input, slo_ms), "0s", 0, DEADLINE_MAX_MS,
     "Its mail is to be delivered within that; 0s: there is no such aim.", NULL, NULL},
    {"slo_share", KEY_COUNT, offsetof(struct stream_input, slo_share), "99", 1, 100,
     "Percent of what is delivered that is to be within slo.", NULL, NULL},
    {"mark", KEY_BOOL, offsetof(struct stream_input, mark), "false", 0, 0,
     "Its mail leaves with a header, complaints.mark, by which reports on it are known.", NULL,
     NULL},
    {"feedback_id", KEY_TEXT, offsetof(struct stream_input, feedback_id), "", 0, 0,
     "The Feedback-ID of its mail, such as \"{stream}:{account}::example\", where it has none.",
     NULL, NULL},
    {"grades", KEY_GROUP, 0, NULL, 0, 0,
     "The pools for mail of accounts by their grade, in place of pool.", conf_grades_keys, NULL},
    {"limits", KEY_GROUP, 0, NULL, 0, 0, "How much of an account's mail in it may go wrong.",
     conf_limits_keys, NULL},
    {"match", KEY_OWN, 0, NULL, 0, 0,
     "Which messages it takes: groups of conditions; () is the catch-all.", NULL, NULL},
    CONF_KEY_END,
};

static void
add_requirement(struct conf_reader *reader, config_setting_t *item, struct stream *stream)
{
    const char *text = conf_read_text(reader, item), *names[REQUIRE_COUNT];
    enum require require;

    if (text == NULL)
        return;
    if (require_find(text, strlen(text), &require)) {
        stream->require |= REQUIRE_BIT(require);
        return;
    }
    for (int i = 0; i < REQUIRE_COUNT; i++)
        names[i] = require_name((enum require)i);
    conf_problem(reader, item,
                 "\"%s\" is nothing that can be required; there are \"list_unsubscribe\", "
                 "\"one_click\", \"aligned_from\" and \"one_from\"%s",
                 text, conf_nearest(text, names, REQUIRE_COUNT));
}

static void
read_require(struct conf_reader *reader, config_setting_t *setting, struct stream *stream)
{
    if (!conf_read_is_list(reader, setting, "texts"))
        return;
    for (int i = 0; i < config_setting_length(setting); i++)
        add_requirement(reader, config_setting_get_elem(setting, (unsigned)i), stream);
    reader->conf->snapshot->require |= stream->require;
}

static void
check_stream_name(struct conf_reader *reader, config_setting_t *item, const struct stream *stream)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    if (!conf_is_name(stream->name, STREAM_NAME_MAX))
        conf_problem(
            reader, item,
            "the name \"%s\" does not fit the tag in the sender: write up to %d lower-case "
            "letters, digits and \"-\", starting with a letter",
            stream->name, STREAM_NAME_MAX);
    for (size_t i = 0; i < stream->index; i++)
        if (strcmp(snapshot->streams[i].name, stream->name) == 0)
            conf_problem(reader, item, "stream %s is there already, every name may stand once",
                         stream->name);
}

static void
find_pool(struct conf_reader *reader, config_setting_t *item, const char *name,
          struct stream *stream)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    stream->pool = snapshot_find_pool(snapshot, name);
    if (stream->pool == NULL)
        conf_problem(reader, config_setting_get_member(item, "pool"), "there is no pool %s%s", name,
                     known_pools(snapshot, name));
}

static void
check_feedback_id(struct conf_reader *reader, config_setting_t *item, const struct stream *stream)
{
    const char *text = stream->feedback_id;
    struct err err;

    if (text != NULL && text[0] != '\0' && feedback_id_check(text, &err) < 0)
        conf_problem(reader, config_setting_get_member(item, "feedback_id"), "%s", err.msg);
}

static void
read_stream(struct conf_reader *reader, config_setting_t *item, struct stream *stream)
{
    struct stream_input input = {0};
    config_setting_t *match = NULL, *require = NULL, *unmet = NULL;

    if (config_setting_is_group(item)) {
        conf_read_defaults(conf_stream_keys, &input);
        conf_read_group(reader, item, conf_stream_keys, &input);
        match = config_setting_get_member(item, "match");
        require = config_setting_get_member(item, "require");
        unmet = config_setting_get_member(item, "unmet");
    } else {
        conf_problem(reader, item,
                     "a group is needed, { name = ...; pool = ...; match = ( ... ); }");
    }
    stream->caps = input.caps;
    stream->account_caps = input.account_caps;
    stream->priority = input.priority;
    stream->active = input.active;
    stream->kind = input.kind;
    stream->mark = input.mark;
    stream->feedback_id = input.feedback_id;
    check_feedback_id(reader, item, stream);
    stream->unmet = input.unmet;
    stream->deadline_ms = input.deadline_ms;
    stream->slo_ms = input.slo_ms;
    stream->slo_share = input.slo_share;
    stream->zone_name = input.time_zone;
    if (input.hours != NULL && input.hours[0] != '\0')
        conf_read_hours(reader, item, input.hours, stream);
    else if (config_setting_is_group(item) && config_setting_get_member(item, "time_zone") != NULL)
        conf_warning(reader, config_setting_get_member(item, "time_zone"),
                     "says nothing without hours");
    free(input.hours);
    stream->limits = input.limits;
    conf_check_grades(reader, item, &input.grades, stream);
    stream->name = input.name != NULL ? input.name : mem_strdup("?");
    if (input.name != NULL)
        check_stream_name(reader, item, stream);
    if (input.pool != NULL)
        find_pool(reader, item, input.pool, stream);
    free(input.pool);
    if (require != NULL)
        read_require(reader, require, stream);
    else if (unmet != NULL)
        conf_warning(reader, unmet, "has no effect: nothing is required of this stream");
    for (size_t i = 0; i < GRADES; i++)
        free(input.grades.pools[i]);
    if (match != NULL)
        conf_read_matches(reader, match, &stream->matches, &stream->match_count);
}

/* The catch-all must be there, and nothing behind it. */
static void
check_catch_all(struct conf_reader *reader, config_setting_t *setting)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];

        if (stream->match_count > 0)
            continue;
        if (i + 1 < snapshot->stream_count)
            conf_problem(reader, config_setting_get_elem(setting, (unsigned)i + 1),
                         "is never reached: stream %s before it takes every message; the catch-all "
                         "must be the last",
                         stream->name);
        return;
    }
    conf_problem(
        reader, setting,
        "there is no catch-all; end with one such as { name = \"default\"; pool = \"%s\"; match "
        "= (); }",
        snapshot->pool_count > 0 ? snapshot->pools[0].name : "...");
}

static int
compare_streams(const void *a, const void *b)
{
    return strcmp((*(const struct stream *const *)a)->name,
                  (*(const struct stream *const *)b)->name);
}

void
conf_read_streams(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count;

    if (!conf_read_is_list(reader, setting, "streams"))
        return;
    count = (size_t)config_setting_length(setting);
    snapshot->streams = mem_array(count, sizeof(*snapshot->streams));
    snapshot->streams_by_name = mem_array(count, sizeof(*snapshot->streams_by_name));
    for (size_t i = 0; i < count; i++) {
        snapshot->streams[i].index = i;
        read_stream(reader, config_setting_get_elem(setting, (unsigned)i), &snapshot->streams[i]);
        snapshot->streams_by_name[i] = &snapshot->streams[i];
        snapshot->stream_count++;
    }
    qsort(snapshot->streams_by_name, count, sizeof(*snapshot->streams_by_name), compare_streams);
    check_catch_all(reader, setting);
    for (size_t i = 0; i < count; i++)
        conf_note_headers(snapshot, snapshot->streams[i].matches, snapshot->streams[i].match_count);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
conf_read_bypass(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count;

    if (!conf_read_is_list(reader, setting, "domains"))
        return;
    count = (size_t)config_setting_length(setting);
    snapshot->bypass = mem_array(count, sizeof(*snapshot->bypass));
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        const char *text = conf_read_text(reader, item);

        if (text == NULL)
            continue;
        if (text[0] == '\0' || strpbrk(text, "@ *?<>,") != NULL || text[0] == '.' ||
            text[strlen(text) - 1] == '.') {
            conf_problem(reader, item,
                         "\"%s\" is no domain; write one such as \"internal.example.com\", its "
                         "subdomains are meant, too",
                         text);
            continue;
        }
        snapshot->bypass[snapshot->bypass_count] = mem_strdup(text);
        addr_lower(snapshot->bypass[snapshot->bypass_count++]);
    }
    qsort(snapshot->bypass, snapshot->bypass_count, sizeof(*snapshot->bypass), compare_texts);
}
