/*
 * A log, and what left the site by it.
 *
 * Input: lines of a log.  One that begins with "=" is what the admin says of streams, with "#"
 * another file begins.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "ctl/arrivals.h"
#include "ctl/mapping.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <string.h>

struct told {
    uint64_t recipients, messages, unsure;
    int64_t last_ms;
};

static void
on_arrival(void *arg, const struct arrival *arrival)
{
    struct told *told = arg;

    MUST(told->recipients == 0 || arrival->at_ms >= told->last_ms);
    MUST(arrival->stream != NULL && arrival->perhaps != NULL && arrival->provider != NULL);
    MUST(strlen(arrival->account) < ATTEMPT_DOMAIN_SIZE);
    MUST(strlen(arrival->domain) < ATTEMPT_DOMAIN_SIZE);
    MUST(arrival->status != MAILLOG_OTHER_STATUS &&
         (arrival->rule == NULL || arrival->code != 250));
    told->last_ms = arrival->at_ms;
    told->recipients++;
    told->messages += arrival->first;
    told->unsure += arrival->stream != arrival->perhaps;
}

static void
check(const struct arrivals *arrivals, const struct told *told, uint64_t lines)
{
    const struct arrivals_figures *figures = arrivals_figures(arrivals);
    const struct conf *conf = fuzz_installed();
    uint64_t ruled = 0;

    for (size_t i = 0; i < conf->replies.count; i++)
        ruled += arrivals_ruled(arrivals, i);
    MUST(ruled == figures->ruled);
    MUST(figures->lines == lines);
    MUST(figures->postfix + figures->odd + figures->foreign <= lines);
    MUST(figures->recipients == told->recipients && figures->messages == told->messages);
    MUST(figures->recipients == figures->sent + figures->deferred + figures->bounced);
    MUST(figures->recipients <= figures->tries[ATTEMPT_OUT]);
    MUST(figures->unsure == told->unsure && figures->before <= figures->recipients);
    MUST(figures->first_ms <= figures->last_ms && figures->back_ms >= 0);
}

/* Each in memory of its own, so that a byte too far is seen. */
static void
hear(struct arrivals *arrivals, const char *line, size_t length)
{
    char *copy = mem_must(malloc(length > 0 ? length : 1));

    memcpy(copy, line, length);
    arrivals_hear(arrivals, copy, length);
    free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    const struct conf *conf = fuzz_installed();
    struct mapping mapping = {0};
    struct told told = {0};
    uint64_t lines = 0;
    struct arrivals *arrivals = arrivals_new(&(struct arrivals_start){
        .conf = conf, .mapping = &mapping, .each = on_arrival, .arg = &told});

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);

        if (*at == '=') {
            char *text = mem_strndup(at + 1, length - 1);

            mapping_add(&mapping, conf->snapshot, text, NULL);
            free(text);
        } else if (*at == '#') {
            arrivals_file(arrivals, 1793872800000, 1793872800000);
        } else {
            hear(arrivals, at, length);
            lines++;
        }
        at += length + (newline != NULL);
    }
    arrivals_end(arrivals);
    check(arrivals, &told, lines);
    arrivals_free(arrivals);
    mapping_clear(&mapping);
    return 0;
}
