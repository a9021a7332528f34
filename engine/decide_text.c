/*
 * What a check says of a candidate, in words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide.h"

#include "engine/snapshot.h"

#include <stdio.h>

const char *
verdict_text(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_TAKEN:
        return "taken";
    case VERDICT_NOT_HERE:
        return "this host does not have the address";
    case VERDICT_ELSEWHERE:
        return "pinned to another node";
    case VERDICT_NOT_ASKED:
        return "not asked: an earlier one was taken";
    case VERDICT_FULL:
        return "no room under a cap";
    case VERDICT_COLD:
        return "taken if its cap has room, which is asked for when mail comes";
    case VERDICT_EXCEEDS:
        return "taken over a cap: the pool's rule is \"exceed\"";
    case VERDICT_SUSPENDED:
        return "suspended";
    case VERDICT_DRAINED:
        return "drained: it takes no new messages";
    case VERDICT_SLOWED:
        return "slowed down: not this message in this minute";
    case VERDICT_PACED:
        return "slowed down: it is not yet time for the next message";
    case VERDICT_REFUSED_IT:
        return "it refused this message";
    case VERDICT_UNENGAGED:
        return "warming up: it takes recipients that were active of late";
    }
    return "?";
}

/* "300", or "150 of 300" while it works with a part of it. */
static void
print_recipients(const struct warming *warming, char *text, size_t size)
{
    if (warming->recipients < warming->of)
        snprintf(text, size, "%u of %u", warming->recipients, warming->of);
    else
        snprintf(text, size, "%u", warming->of);
}

const char *
candidate_text(const struct candidate *candidate, char text[static CANDIDATE_TEXT_SIZE])
{
    const struct warming *warming = &candidate->warming;
    bool exceeds = candidate->verdict == VERDICT_EXCEEDS, pool = candidate->address == NULL;
    char recipients[32];

    if (warming->address == NULL)
        return verdict_text(candidate->verdict);
    print_recipients(warming, recipients, sizeof(recipients));
    snprintf(text, CANDIDATE_TEXT_SIZE,
             "%s%s%s%swarming up: stage %u of %u, %s recipients %s%s are used",
             exceeds || pool ? verdict_text(candidate->verdict) : "", exceeds || pool ? ": " : "",
             pool ? warming->address->name : "", pool ? " is " : "", warming->stage,
             warming->stages, recipients, warming->hour ? "an hour" : "a day",
             warming->at_provider ? " at this provider" : "");
    return text;
}
