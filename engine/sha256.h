/*
 * SHA-256, where others must come to the same result.
 *
 * Source: FIPS 180-4, sections 4.1.2, 5 and 6.2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_SHA256_H
#define ENGINE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

void sha256(const void *data, size_t length, uint8_t ret_hash[static SHA256_SIZE]);

#endif
