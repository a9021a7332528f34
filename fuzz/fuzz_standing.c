/*
 * The text that a standing is kept as: whatever stands in a store is refused, or is one that
 * days can pass for, and is the same when it is printed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/date.h"
#include "engine/standing.h"

#include <stdlib.h>
#include <string.h>

enum { DAYS = 30 };

static void
check_text(const struct standing *standing)
{
    char text[STANDING_TEXT_SIZE], again[STANDING_TEXT_SIZE];
    struct standing parsed;
    size_t length = standing_print(standing, text);

    if (standing_parse(text, length, &parsed) < 0 || standing_print(&parsed, again) != length ||
        memcmp(text, again, length) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct standing_rules rules = {.volume = 1000,
                                                .days = 7,
                                                .day_volume = 10,
                                                .samples = 200,
                                                .better = 50,
                                                .good_days = 7,
                                                .idle_days = 60};
    struct standing standing;

    if (standing_parse((const char *)data, size, &standing) < 0)
        return 0;
    check_text(&standing);
    for (uint32_t i = 0; i < DAYS && standing.day < DATE_MAX; i++) {
        struct standing_figures figures = {
            i * 100, {i % 7, i % 5, i % 3}, {i * 50000, i * 20000, i * 1000}};
        const struct standing_hand hand = {i % 2 == 0, GRADE_TRUSTED, i, "who", "why"};
        char missing[STANDING_WHY_SIZE];

        standing_note(&standing, standing.day - (int32_t)(i % 3), "mta1", i, &figures);
        if (standing_judge(&standing, &rules) && standing.grade != GRADE_ATTENTION)
            abort();
        if (standing_judge(&standing, &rules))
            abort(); /* once a day */
        if (i % 9 == 8)
            standing_order(&standing, &hand);
        standing_missing(&standing, &rules, missing);
        standing_turn_to(&standing, &rules, standing.day + 1 + (int32_t)(size % 3));
        check_text(&standing);
    }
    return 0;
}
