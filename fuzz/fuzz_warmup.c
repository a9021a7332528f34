/*
 * The text that a warm-up is kept as: whatever stands in a store is refused, or is
 * one that days can pass for, is never above its schedule, and is the same when it
 * is printed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/schedule.h"
#include "engine/warmup.h"

#include <stdlib.h>
#include <string.h>

enum { DAYS = 40 };

static void
check_text(const struct warmup *warmup)
{
    char text[WARMUP_TEXT_SIZE], again[WARMUP_TEXT_SIZE];
    struct warmup parsed;
    size_t length = warmup_print(warmup, text);

    if (warmup_parse(text, length, &parsed) < 0 || warmup_print(&parsed, again) != length ||
        memcmp(text, again, length) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct warmup_plan plan = {
        &schedule_presets[0],
        {.used_percent = 70, .accepted_percent = 90, .back_stages = 1, .idle_days = 3, 7}};
    const uint32_t most = schedule_presets[0].stages[schedule_presets[0].stage_count - 1];
    struct warmup warmup;

    if (warmup_parse((const char *)data, size, &warmup) < 0)
        return 0;
    check_text(&warmup);
    warmup_forecast(&warmup, &plan, size % 2 == 0 ? most : 1000, NULL, NULL);
    for (uint32_t i = 0; i < DAYS; i++) {
        const struct warmup_figures figures = {i * 200, i * 190, i, i % 7 == 0 ? i % 8 : 0};
        struct warmup_allowance allowance =
            warmup_allowance(&warmup, &plan, i % 2 == 0 ? "yahoo" : NULL, warmup.day);

        if (allowance.day == 0 || allowance.hour > allowance.day ||
            (warmup.phase != WARMUP_FULL && allowance.day > most))
            abort();
        if (i % 5 == 4)
            warmup_order(&warmup, &plan, (enum warmup_order)(i % 4), warmup.day, "x", "y");
        warmup_note(&warmup, warmup.day - (int32_t)(i % 3), "mta1", &figures);
        warmup_turn(&warmup, &plan);
        check_text(&warmup);
    }
    return 0;
}
