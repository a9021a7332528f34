/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/finding.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/filter.h"
#include "transport-maps/plan.h"
#include "transport-maps/site.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct findings *findings, enum finding_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(struct findings *findings, enum finding_level level, const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    text = mem_vprintf(format, ap);
    va_end(ap);
    findings->items = mem_resize(findings->items, findings->count + 1, sizeof(findings->items[0]));
    findings->items[findings->count++] = (struct finding){level, text};
    findings->refused += level == FINDING_REFUSE;
}

static bool
is_set(const struct site *site, const char *name)
{
    return *site_raw(site, name) != '\0';
}

static void
find_version(struct findings *findings, const struct site *site)
{
    if (site->version >= 307)
        return;
    add(findings, FINDING_REFUSE,
        "Postfix %s does not know smtp_bind_address_enforce, which came with 3.7: mail whose "
        "address is not on this host would leave from the host's default address instead of "
        "waiting; with --force the option is left out",
        site_expanded(site, "mail_version"));
}

static void
find_routes(struct findings *findings, const struct conf *conf, const struct site *site)
{
    const char *relayhost = site_expanded(site, "relayhost");

    if (*relayhost != '\0')
        add(findings, FINDING_NOTE,
            "relayhost is %s: mail of the pools goes there too, from the pools' addresses",
            relayhost);
    if (is_set(site, "transport_maps"))
        add(findings, FINDING_NOTE,
            "transport_maps is %s: what it has an entry for goes the way it says, in no pool",
            site_raw(site, "transport_maps"));
    if (is_set(site, "sender_dependent_default_transport_maps"))
        add(findings, FINDING_NOTE,
            "sender_dependent_default_transport_maps is %s: senders it has an entry for keep it; "
            "an entry for a whole address must stand there without the tag",
            site_raw(site, "sender_dependent_default_transport_maps"));
    if (is_set(site, "sender_dependent_relayhost_maps"))
        add(findings, FINDING_NOTE,
            "sender_dependent_relayhost_maps is %s: senders it has an entry for use that relay, "
            "from the pool's address%s",
            site_raw(site, "sender_dependent_relayhost_maps"),
            conf->snapshot->bypass_count > 0 ? ", also for recipients under bypass" : "");
    for (size_t i = 0; i < site->catch_all_count; i++)
        add(findings, FINDING_WARN,
            "transport_maps: %s has an answer for every address, so that no mail would go "
            "through a pool",
            site->catch_all_tables[i]);
    for (size_t i = 0; i < site->star_count; i++) {
        bool catch_all = false;

        for (size_t j = 0; j < site->catch_all_count; j++)
            catch_all |= strcmp(site->star_tables[i], site->catch_all_tables[j]) == 0;
        if (!catch_all)
            add(findings, FINDING_REFUSE,
                "transport_maps: the entry for '*' in %s would never be asked again, since the "
                "pools take all mail that has no entry of its own: set relayhost = ... in "
                "main.cf instead, or use --force when the pools shall replace it",
                site->star_tables[i]);
    }
}

static void
find_filters(struct findings *findings, const struct site *site)
{
    struct filter *filters;
    size_t count = filter_find_all(site, &filters);

    for (size_t i = 0; i < count; i++) {
        const char *name = filters[i].service->fields[CF_NAME];

        if (filters[i].shared)
            add(findings, FINDING_WARN,
                "content_filter goes through %s, which delivers mail to the world as well, and so "
                "must take the tag out: what comes back has none, and is only classified when "
                "smtpd for it has our milter; better give the filter a service of its own",
                name);
        else
            add(findings, FINDING_NOTE,
                "content_filter goes through %s: the tag is kept there until the mail comes back",
                name);
    }
    if (count == 0 && *site_expanded(site, "content_filter") != '\0')
        add(findings, FINDING_NOTE,
            "content_filter is %s: it must hand the envelope sender back as it gets it",
            site_expanded(site, "content_filter"));
    free(filters);
}

/* A service that has milters of its own in master.cf does not see main.cf's. */
static void
find_milters(struct findings *findings, const struct conf *conf, const struct site *site)
{
    bool chroot_safe;
    char *milter = plan_endpoint(conf->milter_socket, site, &chroot_safe);

    for (size_t i = 0; i < site->services.count; i++) {
        const struct cf_service *service = &site->services.items[i];
        const char *own = cf_service_option(service, "smtpd_milters");
        const char *chroot = service->fields[CF_CHROOT];

        if (own != NULL && *own != '\0' && strstr(own, "$smtpd_milters") == NULL &&
            strstr(own, milter) == NULL)
            add(findings, FINDING_WARN,
                "%s sets its own smtpd_milters in master.cf: add { %s, default_action=tempfail } "
                "there for its mail to be classified",
                service->fields[CF_NAME], milter);
        else if (own != NULL && *own == '\0')
            add(findings, FINDING_NOTE,
                "%s has smtpd_milters empty in master.cf: mail that comes in there is not "
                "classified again",
                service->fields[CF_NAME]);
        if (!chroot_safe && *chroot == 'y' &&
            (cf_service_runs(service, "smtpd") || cf_service_runs(service, "cleanup")))
            add(findings, FINDING_WARN,
                "%s is chrooted and cannot reach %s: put milter.socket under %s",
                service->fields[CF_NAME], milter, site_expanded(site, "queue_directory"));
    }
    if (is_set(site, "smtpd_milters"))
        add(findings, FINDING_NOTE, "smtpd_milters is %s: these come after ours",
            site_raw(site, "smtpd_milters"));
    if (is_set(site, "non_smtpd_milters"))
        add(findings, FINDING_NOTE, "non_smtpd_milters is %s: these come after ours",
            site_raw(site, "non_smtpd_milters"));
    free(milter);
}

/* Do a service's own restrictions ask us, or take over main.cf's, which do? */
static bool
asks_policy(const char *restrictions, const char *endpoint)
{
    bool asks = strstr(restrictions, endpoint) != NULL;

    for (size_t i = 0; plan_restrictions[i] != NULL; i++)
        asks |=
            strchr(restrictions, '$') != NULL && strstr(restrictions, plan_restrictions[i]) != NULL;
    return asks;
}

static void
find_own_restrictions(struct findings *findings, const struct cf_service *service,
                      const char *endpoint, const char *policy)
{
    for (size_t i = 0; plan_restrictions[i] != NULL; i++) {
        const char *own = cf_service_option(service, plan_restrictions[i]);

        if (own != NULL && !asks_policy(own, endpoint))
            add(findings, FINDING_WARN,
                "%s sets its own %s in master.cf: put '%s' in front there for its mail to be held "
                "against quotas",
                service->fields[CF_NAME], plan_restrictions[i], policy);
    }
}

static void
find_policy(struct findings *findings, const struct conf *conf, const struct site *site)
{
    bool chroot_safe;
    char *endpoint, *policy;

    if (conf->policy == NULL)
        return;
    endpoint = plan_endpoint(conf->policy, site, &chroot_safe);
    policy = plan_policy(conf, site, &chroot_safe);
    for (size_t i = 0; i < site->services.count; i++) {
        const struct cf_service *service = &site->services.items[i];

        if (!cf_service_runs(service, "smtpd"))
            continue;
        find_own_restrictions(findings, service, endpoint, policy);
        if (!chroot_safe && *service->fields[CF_CHROOT] == 'y')
            add(findings, FINDING_WARN,
                "%s is chrooted and cannot reach %s: put listen.policy under %s",
                service->fields[CF_NAME], endpoint, site_expanded(site, "queue_directory"));
    }
    for (size_t i = 0; plan_restrictions[i] != NULL; i++) {
        const char *own = site_raw(site, plan_restrictions[i]);

        if (strstr(own, endpoint) != NULL)
            add(findings, FINDING_NOTE,
                "%s asks our policy service already: what is asked twice counts once, but take it "
                "out there",
                plan_restrictions[i]);
        else if (*own != '\0')
            add(findings, FINDING_NOTE, "%s is %s: these come after ours", plan_restrictions[i],
                own);
    }
    free(policy);
    free(endpoint);
}

/* The services of the addresses are chrooted where smtp is. */
static void
find_rescue(struct findings *findings, const struct conf *conf, const struct site *site)
{
    const struct cf_service *smtp = cf_services_find(&site->services, "smtp", "unix");
    bool chroot_safe;
    char *endpoint = plan_endpoint(conf->lookup, site, &chroot_safe);

    if (plan_rescues(conf) && !chroot_safe && smtp != NULL && *smtp->fields[CF_CHROOT] == 'y')
        add(findings, FINDING_WARN,
            "smtp is chrooted, as the services of the addresses will be, and cannot reach %s: put "
            "listen.lookup under %s, else what is refused is not rescued",
            endpoint, site_expanded(site, "queue_directory"));
    free(endpoint);
}

static void
find_addresses(struct findings *findings, const struct site *site)
{
    static const char *const by_sender[] = {"canonical_maps", "sender_canonical_maps"};

    for (size_t i = 0; i < sizeof(by_sender) / sizeof(by_sender[0]); i++) {
        if (!is_set(site, by_sender[i]))
            continue;
        if (strchr(site_expanded(site, "recipient_delimiter"), '+') == NULL)
            add(findings, FINDING_WARN,
                "%s is set and recipient_delimiter has no '+': Postfix maps the tagged sender "
                "again, and an entry for its domain would take the tag away",
                by_sender[i]);
        else
            add(findings, FINDING_NOTE,
                "%s is set: an '@domain' entry that maps to one address takes the tag away, so "
                "that such mail is not classified",
                by_sender[i]);
    }
    if (is_set(site, "smtp_generic_maps"))
        add(findings, FINDING_WARN,
            "smtp_generic_maps is %s: the first table that answers counts, so its entries do not "
            "apply to a tagged sender; headers are mapped as before",
            site_raw(site, "smtp_generic_maps"));
    if (strstr(site_expanded(site, "recipient_canonical_classes"), "envelope_recipient") == NULL)
        add(findings, FINDING_WARN,
            "recipient_canonical_classes has no envelope_recipient: bounces keep the tag in "
            "their recipient address");
    if (strcmp(site_expanded(site, "smtp_sender_dependent_authentication"), "yes") == 0 &&
        strchr(site_expanded(site, "recipient_delimiter"), '+') == NULL)
        add(findings, FINDING_WARN,
            "smtp_sender_dependent_authentication is on and recipient_delimiter has no '+': "
            "entries for a whole sender address do not match tagged senders");
    if (is_set(site, "sender_bcc_maps") &&
        strchr(site_expanded(site, "recipient_delimiter"), '+') == NULL)
        add(findings, FINDING_WARN,
            "sender_bcc_maps is set and recipient_delimiter has no '+': Postfix asks it for the "
            "tagged sender, too, which entries for a whole address do not match");
}

void
findings_make(const struct conf *conf, const struct site *site, struct findings *findings)
{
    *findings = (struct findings){0};
    find_version(findings, site);
    find_routes(findings, conf, site);
    find_filters(findings, site);
    find_milters(findings, conf, site);
    find_policy(findings, conf, site);
    find_rescue(findings, conf, site);
    find_addresses(findings, site);
}

void
findings_clear(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->items[i].text);
    free(findings->items);
    *findings = (struct findings){0};
}
