/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_clock.h"

#include <time.h>

enum { DRIFT = 1000 }; /* clocks drift apart by no more than that part */

int64_t
redis_clock_boot_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
redis_clock_boot_ms(void)
{
    return redis_clock_boot_us() / 1000;
}

void
redis_clock_init(struct redis_clock *clock)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    *clock = (struct redis_clock){
        .offset_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 - redis_clock_boot_ms(),
    };
}

/*
 * The script ran somewhere between sent and now: that bounds its clock less
 * ours from both sides.  What earlier calls said holds, too, but for the drift
 * since; unless the two exclude each other, because a clock was stepped.
 */
void
redis_clock_note(struct redis_clock *clock, int64_t there_ms, int64_t sent_ms)
{
    int64_t now_ms = redis_clock_boot_ms();
    int64_t most_ms = there_ms - sent_ms + 2; /* both were cut to milliseconds */
    int64_t least_ms = there_ms - now_ms;
    int64_t drift_ms = (now_ms - clock->measured_ms) / DRIFT;
    int64_t known_most_ms = clock->offset_ms + drift_ms;
    int64_t known_least_ms = clock->offset_ms - clock->rtt_ms - drift_ms;

    if (clock->measured_ms != 0 && known_most_ms >= least_ms && known_least_ms <= most_ms) {
        most_ms = known_most_ms < most_ms ? known_most_ms : most_ms;
        least_ms = known_least_ms > least_ms ? known_least_ms : least_ms;
    }
    if (clock->measured_ms == 0 || drift_ms > 0 || most_ms < known_most_ms)
        clock->measured_ms = now_ms; /* else what it drifted since is still to come */
    clock->offset_ms = most_ms;
    clock->rtt_ms = most_ms - least_ms;
}

int64_t
redis_clock_now_ms(const struct redis_clock *clock)
{
    return redis_clock_boot_ms() + clock->offset_ms;
}

int64_t
redis_clock_earliest_ms(const struct redis_clock *clock)
{
    int64_t since_ms = redis_clock_boot_ms() - clock->measured_ms;

    return clock->measured_ms != 0
               ? redis_clock_now_ms(clock) - clock->rtt_ms - 3 - since_ms / DRIFT
               : 0;
}

int64_t
redis_clock_latest_ms(const struct redis_clock *clock)
{
    int64_t since_ms = redis_clock_boot_ms() - clock->measured_ms;

    return clock->measured_ms != 0 ? redis_clock_now_ms(clock) + since_ms / DRIFT : 0;
}
