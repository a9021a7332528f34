/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/sample.h"

struct grant_key
sample_key(uint32_t i)
{
    return (struct grant_key){hash_mix(i), hash_mix(~(uint64_t)i)};
}

struct grant_key
sample_crowded_key(uint32_t i)
{
    return (struct grant_key){hash_mix(i), i % 3 * 0x5555};
}

struct grant
sample_grant(uint32_t i, int64_t at_ms)
{
    return (struct grant){i, {i + 1, GRANT_NO_METER, i + 2, i + 3}, 0, at_ms};
}

void
sample_expect(const struct grant *grant, const struct grant *expected)
{
    assert_non_null(grant);
    assert_int_equal(grant->address, expected->address);
    assert_int_equal(grant->at_ms, expected->at_ms);
    for (size_t i = 0; i < GRANT_METERS; i++)
        assert_int_equal(grant->meters[i], expected->meters[i]);
}

void
sample_expect_figures(const struct grants *grants, const struct grants_figures *expected)
{
    struct grants_figures figures;

    grants_figures(grants, &figures);
    assert_int_equal(figures.open, expected->open);
    assert_int_equal(figures.expired, expected->expired);
    assert_int_equal(figures.dropped, expected->dropped);
    assert_int_equal(figures.homeless, expected->homeless);
    assert_int_equal(figures.spent, expected->spent);
    assert_int_equal(figures.given_back, expected->given_back);
}
