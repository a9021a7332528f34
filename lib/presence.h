/*
 * Which addresses this host has.
 *
 * An address counts when an interface that is up has it, or when it lies in
 * the network of the loopback interface (all of 127.0.0.0/8 is local), unless
 * it is pinned to another node.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_PRESENCE_H
#define LIB_PRESENCE_H

#include <stdbool.h>

struct err;
struct snapshot;

/*
 * Ask the host once.  Fills present, one bool for each address.  Returns 0 or
 * a negative errno; present is then untouched.
 */
int presence_scan(const struct snapshot *snapshot, bool *present, struct err *err);

#endif
