/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/reported.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/conf.h"

#include <string.h>

/* False: it is empty, or does not fit. */
static bool
copy(char *out, size_t size, struct span span)
{
    if (span.length == 0 || span.length >= size)
        return false;
    memcpy(out, span.start, span.length);
    out[span.length] = '\0';
    return true;
}

static const struct provider *
provider_of(const struct outcome_view *view, struct span span)
{
    const struct snapshot *snapshot = view->conf->snapshot;
    const struct provider *provider = NULL;
    char domain[OUTCOME_DOMAIN_SIZE];

    if (copy(domain, sizeof(domain), span))
        provider = view->provider != NULL ? view->provider(view->arg, domain)
                                          : provider_by_domain(snapshot, domain);
    return provider != NULL ? provider : &snapshot->providers[PROVIDER_OTHER];
}

bool
reported_make(const struct outcome_view *view, const struct maillog_time *time,
              const struct maillog *line, struct reported *ret_reported)
{
    const struct snapshot *snapshot = view->conf->snapshot;
    struct reported reported = {.complaint = line->kind == MAILLOG_COMPLAINT};
    char address[ADDRESS_NAME_MAX + 1];

    if (line->stream.length == 0 || (!reported.complaint && !line->by_mark))
        return false;
    reported.stream = snapshot_find_stream(snapshot, line->stream.start, line->stream.length);
    if (reported.stream == NULL || !copy(reported.id, sizeof(reported.id), line->id))
        return false;
    copy(reported.account, sizeof(reported.account), line->account);
    if (copy(address, sizeof(address), line->address))
        reported.address = snapshot_find_address(snapshot, address);
    reported.provider = provider_of(view, line->domain);
    reported.at_ms = maillog_time_ms(time, view->now_ms, view->local_offset_s);
    if (reported.at_ms < 0)
        reported.at_ms = view->now_ms;
    *ret_reported = reported;
    return true;
}
