/*
 * Hashes: SipHash-2-4 where strangers choose the input and must not choose
 * the result, and a mixer where two hashes meet.
 *
 * SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_HASH_H
#define ENGINE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_KEY_SIZE = 16 };

uint64_t hash_sip(const uint8_t key[static HASH_KEY_SIZE], const void *data, size_t length);

/* Every bit of the result depends on every bit of x (the finalizer of SplitMix64). */
uint64_t hash_mix(uint64_t x);

#endif
