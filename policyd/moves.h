/*
 * Where things are after a reload, for state that goes by places.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_MOVES_H
#define POLICYD_MOVES_H

#include <stdint.h>

struct snapshot;

#define MOVES_GONE UINT32_MAX

/*
 * By an address's place in the snapshot before: the place of the address of
 * that name now, or MOVES_GONE.  The caller frees the list.
 */
uint32_t *moves_of_addresses(const struct snapshot *before, const struct snapshot *now);

#endif
