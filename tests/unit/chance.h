/*
 * Chance for tests, the same in every run: who fails says by which seed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_CHANCE_H
#define TESTS_UNIT_CHANCE_H

#include <stdint.h>

struct caps;

void chance_seed(uint64_t seed);

/* A number below, which is not 0. */
uint64_t chance(uint64_t below);

/* One to three caps, mostly small, of windows from 10 s to an hour. */
void chance_caps(struct caps *caps);

#endif
