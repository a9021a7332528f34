/*
 * The inside of a warm-up: warmup.c are its days, warmup_order.c what is done by
 * hand, warmup_forecast.c looks ahead, warmup_text.c is for the store.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WARMUP_INSIDE_H
#define ENGINE_WARMUP_INSIDE_H

#include "engine/warmup.h"

/* Put it at a stage; below the first is the first, behind the last the full volume. */
void warmup_move(struct warmup *warmup, const struct schedule *schedule, int64_t stage);

/* Begin anew at the first stage; the history stays. */
void warmup_restart(struct warmup *warmup, const struct schedule *schedule, int32_t started,
                    int32_t today);

#endif
