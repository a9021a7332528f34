/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/outage.h"

#include "lib/log.h"

void
outage_fail(struct outage *outage, int64_t now_ms, const char *why)
{
    if (outage->failures++ == 0)
        outage->since_ms = now_ms;
    if (outage->said || outage->failures <= outage->tolerated)
        return;
    outage->said = true;
    log_warn("%s: %llu failures in a row, the last: %s -- %s", outage->what,
             (unsigned long long)outage->failures, why, outage->consequence);
}

void
outage_end(struct outage *outage, int64_t now_ms)
{
    if (outage->said)
        log_info("%s is back after %lld s, %llu failures", outage->what,
                 (long long)(now_ms - outage->since_ms) / 1000,
                 (unsigned long long)outage->failures);
    outage->failures = 0;
    outage->said = false;
}
