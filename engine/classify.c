/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/classify.h"

#include "engine/glob.h"
#include "engine/snapshot.h"

#include <strings.h>

static bool
value_holds(const struct condition *condition, const char *value)
{
    if (condition->regex != NULL)
        return regexec(condition->regex, value, 0, NULL, 0) == 0;
    return condition->glob == NULL || glob_match(condition->glob, value, true);
}

static bool
header_holds(const struct condition *condition, const struct facts *facts)
{
    for (size_t i = 0; i < facts->header_count; i++)
        if (strcasecmp(facts->headers[i].name, condition->name) == 0 &&
            value_holds(condition, facts->headers[i].value))
            return true;
    return false;
}

static bool
recipient_holds(const struct condition *condition, const struct facts *facts)
{
    for (size_t i = 0; i < facts->recipient_count; i++)
        if (glob_match(condition->glob, facts->recipients[i], true))
            return true;
    return false;
}

static bool
sender_holds(const struct condition *condition, const struct facts *facts)
{
    const char *sender = facts->sender;

    if (sender == NULL)
        return false;
    return glob_match(condition->glob, *sender != '\0' ? sender : "<>", true);
}

static bool
condition_holds(const struct condition *condition, const struct facts *facts)
{
    if (facts->granted & 1u << condition->type)
        return true;
    switch (condition->type) {
    case CONDITION_HEADER:
        return header_holds(condition, facts);
    case CONDITION_SASL_USER:
        return facts->sasl_user != NULL && glob_match(condition->glob, facts->sasl_user, false);
    case CONDITION_SENDER:
        return sender_holds(condition, facts);
    case CONDITION_CLIENT:
        return ip_net_has(&condition->net, &facts->client);
    case CONDITION_DAEMON:
        return facts->daemon != NULL && glob_match(condition->glob, facts->daemon, false);
    case CONDITION_RECIPIENT:
        return recipient_holds(condition, facts);
    }
    return false;
}

static bool
match_holds(const struct match *match, const struct facts *facts)
{
    for (size_t i = 0; i < match->condition_count; i++)
        if (!condition_holds(&match->conditions[i], facts))
            return false;
    return true;
}

bool
classify_any(const struct match *matches, size_t count, const struct facts *facts)
{
    for (size_t i = 0; i < count; i++)
        if (match_holds(&matches[i], facts))
            return true;
    return count == 0;
}

const struct stream *
classify(const struct snapshot *snapshot, const struct facts *facts)
{
    size_t last = snapshot->stream_count - 1;

    for (size_t i = 0; i < last; i++)
        if (classify_any(snapshot->streams[i].matches, snapshot->streams[i].match_count, facts))
            return &snapshot->streams[i];
    return &snapshot->streams[last];
}
