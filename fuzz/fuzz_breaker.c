/*
 * The text that a breaker is kept as: whatever stands in a store is refused, or
 * is a breaker that time can pass for, and is the same when it is printed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/breaker.h"

#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct breaker_policy policy = {
        .probes = 3, .step_ms = 1000, .steps = {10, 50}, .step_count = 2, .forget_ms = 60000};
    static const struct reaction reaction = {
        .after = 2, .within_ms = 1000, .suspend_ms = 500, .suspend_most_ms = 4000};
    char text[BREAKER_TEXT_SIZE], again[BREAKER_TEXT_SIZE];
    struct breaker breaker, parsed;
    size_t length;
    int share;

    if (breaker_parse((const char *)data, size, &breaker) < 0)
        return 0;
    length = breaker_print(&breaker, text);
    if (breaker_parse(text, length, &parsed) < 0 || breaker_print(&parsed, again) != length ||
        memcmp(text, again, length) != 0)
        abort();
    for (int64_t now_ms = 1; now_ms < 10000000000000; now_ms *= 3) {
        breaker_advance(&breaker, &policy, now_ms);
        share = breaker_share(&breaker, &policy, now_ms);
        if (share < 0 || share > 100)
            abort();
        breaker_hit(&breaker, &policy, &reaction, 7, "x", now_ms);
        breaker_accepted(&breaker, &policy, now_ms);
    }
    return 0;
}
