/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/hint.h"

#include "engine/classify.h"
#include "engine/date.h"
#include "engine/decide.h"
#include "engine/snapshot.h"
#include "lib/engagement.h"

#include <stdlib.h>
#include <strings.h>

_Static_assert((int)HINT_TEXT_SIZE >= (int)DATE_SIZE, "a date fits");

static const char *
value_of(const struct hint_rules *rules, const struct facts *facts)
{
    for (size_t i = 0; i < facts->header_count; i++)
        if (strcasecmp(facts->headers[i].name, rules->header) == 0)
            return facts->headers[i].value;
    return NULL;
}

/* So many days before today, and never so many that it would be another thing. */
static int32_t
day_before(int32_t today, int32_t days)
{
    if (days < 0)
        return HINT_NEVER;
    return today - days > HINT_NEVER ? today - days : HINT_NEVER + 1;
}

enum hint
hint_read(const struct hint_rules *rules, const struct facts *facts, int32_t today,
          int32_t *ret_day)
{
    const char *value = rules->header != NULL ? value_of(rules, facts) : NULL;

    if (value == NULL)
        return HINT_NONE;
    if (!classify_any(rules->matches, rules->match_count, facts))
        return HINT_REFUSED;
    for (size_t i = 0; i < rules->word_count; i++)
        if (strcasecmp(rules->words[i].text, value) == 0) {
            *ret_day = day_before(today, rules->words[i].days);
            return HINT_DAY;
        }
    return engagement_parse_day(value, today, ret_day) == 0 ? HINT_DAY : HINT_ODD;
}

const char *
hint_print(enum hint hint, int32_t day, char out[static HINT_TEXT_SIZE])
{
    static const char *const texts[] = {
        [HINT_NONE] = "", [HINT_REFUSED] = "refused", [HINT_ODD] = "odd", [HINT_DAY] = "never"};

    if (hint != HINT_DAY || day == HINT_NEVER)
        return texts[hint];
    date_print(day, out);
    return out;
}

int32_t
hint_quiet(int32_t day, int32_t today)
{
    if (day == HINT_NEVER)
        return DECIDE_NEVER_ACTIVE;
    return day < today ? today - day : 0;
}

void
hint_rules_clear(struct hint_rules *rules)
{
    for (size_t i = 0; i < rules->word_count; i++)
        free(rules->words[i].text);
    free(rules->words);
    matches_free(rules->matches, rules->match_count);
}
