/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/mx_report.h"

#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/mx.h"

#include <string.h>

static const char *
why_text(enum mx_why why)
{
    static const char *const texts[] = {
        [MX_WHY_NOT_YET] = "nothing is known of it yet",
        [MX_WHY_DOMAINS] = "its domains name it",
        [MX_WHY_HOSTS] = "its MX hosts say so",
        [MX_WHY_NO_MX] = "it has no MX records, so it is its own MX host",
        [MX_WHY_NULL_MX] = "it takes no mail (null MX)",
        [MX_WHY_NO_NAME] = "there is no such domain",
        [MX_WHY_TOO_MANY] = "it has too many MX records to look at",
        [MX_WHY_FAILED] = "the lookup failed; it is repeated when asked for after a minute",
        [MX_WHY_NO_DOMAIN] = "it is no domain that has MX records",
    };

    return texts[why];
}

char *
mx_report_json(struct mx *mx, const char *domain, int64_t now_ms)
{
    struct buf text = {0};
    struct json json = {.out = &text};
    struct mx_view view;
    const char *host;

    mx_describe(mx, domain, now_ms, &view);
    host = view.hosts;
    json_open(&json, NULL, '{');
    json_text(&json, "domain", domain);
    json_text(&json, "provider", view.provider != NULL ? view.provider->name : NULL);
    json_text(&json, "why", why_text(view.why));
    json_bool(&json, "asked", view.asked);
    json_open(&json, "mx", '[');
    for (size_t i = 0; i < view.host_count; i++, host += strlen(host) + 1)
        json_text(&json, NULL, host);
    json_close(&json, ']');
    json_close(&json, '}');
    return buf_take(&text);
}

/* The first line is the provider's name, or that it is not known. */
char *
mx_report_text(struct mx *mx, const char *domain, int64_t now_ms)
{
    struct buf text = {0};
    struct mx_view view;
    const char *host;

    mx_describe(mx, domain, now_ms, &view);
    host = view.hosts;
    if (view.provider == NULL)
        return mem_strdup(view.asked ? "not known yet, asked\n"
                                     : "not known yet, and not asked: too many lookups wait\n");
    buf_printf(&text, "%s\n  %s\n", view.provider->name, why_text(view.why));
    for (size_t i = 0; i < view.host_count; i++, host += strlen(host) + 1)
        buf_printf(&text, "  mx %s\n", host[0] != '\0' ? host : ".");
    return buf_take(&text);
}

void
mx_report_status_text(struct buf *text, const struct mx *mx)
{
    const struct mx_figures *figures = mx_figures(mx);

    buf_printf(text,
               "DNS: %llu lookups, %llu failed, %llu not begun; %zu under way, %zu waiting, %zu "
               "domains kept\n",
               (unsigned long long)figures->lookups, (unsigned long long)figures->failures,
               (unsigned long long)figures->dropped, figures->in_flight, figures->queued,
               figures->cached);
}

void
mx_report_status_json(struct json *json, const struct mx *mx)
{
    const struct mx_figures *figures = mx_figures(mx);

    json_open(json, "dns", '{');
    json_number(json, "lookups", (long long)figures->lookups);
    json_number(json, "failures", (long long)figures->failures);
    json_number(json, "dropped", (long long)figures->dropped);
    json_number(json, "in_flight", (long long)figures->in_flight);
    json_number(json, "queued", (long long)figures->queued);
    json_number(json, "cached", (long long)figures->cached);
    json_close(json, '}');
}
