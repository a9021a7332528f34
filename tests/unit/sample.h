/*
 * Grants to try the table of grants with.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_SAMPLE_H
#define TESTS_UNIT_SAMPLE_H

#include "tests/unit/unit.h"

#include "engine/grants.h"

/* Key number i, as it comes out of SipHash. */
struct grant_key sample_key(uint32_t i);

/* Key number i, of which there are only three in all that the index looks at. */
struct grant_key sample_crowded_key(uint32_t i);

/* A grant that can be told from that of another number. */
struct grant sample_grant(uint32_t i, int64_t at_ms);

void sample_expect(const struct grant *grant, const struct grant *expected);
void sample_expect_figures(const struct grants *grants, const struct grants_figures *expected);

#endif
