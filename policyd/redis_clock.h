/*
 * The clock of the Redis, as far as this node knows it.
 *
 * It is told by the answers of the script, and goes on with this host's boot
 * clock between them; steps of this host's time of day do not move it.  It is
 * never behind the real one, and ahead by no more than a call took.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_CLOCK_H
#define POLICYD_REDIS_CLOCK_H

#include <stdint.h>

struct redis_clock {
    int64_t offset_ms;   /* that clock less the boot clock */
    int64_t rtt_ms;      /* it may be less by so much */
    int64_t measured_ms; /* when that was told last, by the boot clock; 0: it was not told yet */
};

/* Of this host, in milliseconds and microseconds; it goes on while the host sleeps. */
int64_t redis_clock_boot_ms(void);
int64_t redis_clock_boot_us(void);

/* As long as nobody told, this host's time of day is as good as any. */
void redis_clock_init(struct redis_clock *clock);

/* A call that was sent at sent_ms (boot clock) and is answered now found there_ms there. */
void redis_clock_note(struct redis_clock *clock, int64_t there_ms, int64_t sent_ms);

/* The time there, as far as is known, and never behind it. */
int64_t redis_clock_now_ms(const struct redis_clock *clock);

/* Between these it is now, unless a clock was stepped; 0, both: it was not told yet. */
int64_t redis_clock_earliest_ms(const struct redis_clock *clock);
int64_t redis_clock_latest_ms(const struct redis_clock *clock);

#endif
