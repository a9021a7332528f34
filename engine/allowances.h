/*
 * What addresses in warm-up may send, as caps: in the place of those that the
 * configuration has, and window by window the lesser of both.
 *
 * A day's allowance is a cap over any 24 hours, so that neither a day of the
 * calendar nor any other may hold more; that of an hour is spread over it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_ALLOWANCES_H
#define ENGINE_ALLOWANCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct allowances;
struct cap;
struct caps;
struct snapshot;
struct warmup;
struct warmup_plan;

enum {
    ALLOWANCES_WINDOWS = 2, /* hour and day: so many others may have caps beside them, ... */
    ALLOWANCES_OTHERS = 2,  /* ... of an address that warms up */
};

/*
 * For the addresses of snapshot, which must outlive it.  Those that warm up have what they had
 * in before (NULL: there was nothing), by their names; new ones, that of their first stage.  NULL
 * only without memory.
 */
struct allowances *allowances_new(const struct snapshot *snapshot, const struct allowances *before);
void allowances_free(struct allowances *allowances); /* takes NULL */

/* As its warm-up says for that day.  True: it changed. */
bool allowances_set(struct allowances *allowances, const struct address *address,
                    const struct warmup *warmup, const struct warmup_plan *plan, int32_t day);

/* By places in the snapshot.  NULL: as the configuration has it.  Takes NULL for allowances. */
const struct caps *allowances_address(const struct allowances *allowances, size_t address);
const struct caps *allowances_provider(const struct allowances *allowances, size_t address,
                                       size_t provider);

/* Where an address stands in its warm-up, from 1; stages 0: it has its full volume, or none. */
struct allowances_stage {
    uint32_t stage, stages;
};
struct allowances_stage allowances_stage(const struct allowances *allowances, size_t address);

/* Is a cap of those that it has, its own or at a provider, part of its allowance? */
bool allowances_has(const struct allowances *allowances, size_t address, const struct cap *cap);

/* Recipients that were active within so many days may leave from it; 0: all.  Likewise. */
uint32_t allowances_engaged(const struct allowances *allowances, size_t address);

/* Would these caps leave room for an allowance? */
bool allowances_fit(const struct caps *caps);

#endif
