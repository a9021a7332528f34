/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/plan.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/filter.h"
#include "transport-maps/service.h"
#include "transport-maps/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the 100 s that a lookup may take at most, so that qmgr does not ask twice. */
#define QMGR_IPC_TIMEOUT "150s"

const char *const plan_restrictions[] = {
    "smtpd_recipient_restrictions",
    "smtpd_end_of_data_restrictions",
    NULL,
};

static void
add_param(struct plan *plan, char *name, char *value)
{
    plan->params = mem_resize(plan->params, plan->param_count + 1, sizeof(plan->params[0]));
    plan->params[plan->param_count++] = (struct edit_param){name, value};
}

static void
add_extra(struct plan *plan, const struct cf_service *service, char *lines)
{
    plan->extras = mem_resize(plan->extras, plan->extra_count + 1, sizeof(plan->extras[0]));
    plan->extras[plan->extra_count++] = (struct edit_extra){
        .service = mem_strdup(service->fields[CF_NAME]),
        .type = mem_strdup(service->fields[CF_TYPE]),
        .lines = lines,
    };
}

static bool
has_ipv6(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->address_count; i++)
        if (snapshot->addresses[i].ip.family == 6 && !snapshot->addresses[i].elsewhere)
            return true;
    return false;
}

bool
plan_rescues(const struct conf *conf)
{
    return conf->rescue_enabled && strcmp(conf->feedback_log, "none") != 0;
}

static void
make_tables(struct plan *plan, const struct conf *conf, const struct site *site)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        plan->tables[i].name = table_names[i];
    plan->tables[TABLE_UNTAG].text = table_untag();
    if (*site_raw(site, "sender_dependent_default_transport_maps") != '\0' ||
        *site_raw(site, "sender_dependent_relayhost_maps") != '\0')
        plan->tables[TABLE_LAST_SENDER].text = table_last_sender(
            site_expanded(site, "empty_address_default_transport_maps_lookup_key"),
            site_expanded(site, "empty_address_relayhost_maps_lookup_key"));
    if (*site_raw(site, "transport_maps") != '\0')
        plan->tables[TABLE_LAST_RECIPIENT].text = table_last_recipient();
    if (has_ipv6(conf->snapshot))
        plan->tables[TABLE_ONLY_IPV6].text = table_only_ipv6();
    if (plan_rescues(conf))
        plan->tables[TABLE_REFUSED].text = table_refused();
}

static void
make_knobs(struct plan *plan, const struct address *address)
{
    const struct pool *pool = address->of;

    if (pool == NULL)
        return;
    if (pool->concurrency > 0)
        add_param(plan, mem_printf("pp-%s_destination_concurrency_limit", address->name),
                  mem_printf("%d", pool->concurrency));
    if (pool->rate_delay_s > 0)
        add_param(plan, mem_printf("pp-%s_destination_rate_delay", address->name),
                  mem_printf("%ds", pool->rate_delay_s));
    if (pool->recipient_limit > 0)
        add_param(plan, mem_printf("pp-%s_destination_recipient_limit", address->name),
                  mem_printf("%d", pool->recipient_limit));
}

char *
plan_endpoint(const char *endpoint, const struct site *site, bool *ret_chroot_safe)
{
    const char *path = endpoint_path(endpoint);
    const char *queue = site_expanded(site, "queue_directory");
    size_t length = strlen(queue);

    *ret_chroot_safe = true;
    /* Postfix's daemons work in the queue directory, and that is their root in a chroot. */
    if (path != NULL && strncmp(path, queue, length) == 0 && path[length] == '/')
        return mem_printf("unix:%s", path + length + 1);
    *ret_chroot_safe = path == NULL;
    return mem_strdup(endpoint);
}

char *
plan_policy(const struct conf *conf, const struct site *site, bool *ret_chroot_safe)
{
    char *endpoint = plan_endpoint(conf->policy, site, ret_chroot_safe);
    char *text = mem_printf(
        "check_policy_service { %s, timeout=3s, try_limit=1, default_action=DUNNO }", endpoint);

    free(endpoint);
    return text;
}

/* In front, because the site's own mail is let in by the first "permit". */
static void
make_restrictions(struct plan *plan, const struct conf *conf, const struct site *site)
{
    bool chroot_safe;
    char *policy = conf->policy != NULL ? plan_policy(conf, site, &chroot_safe) : NULL;

    for (size_t i = 0; policy != NULL && plan_restrictions[i] != NULL; i++)
        add_param(plan, mem_strdup(plan_restrictions[i]),
                  service_in_front(site, policy, site_raw(site, plan_restrictions[i])));
    free(policy);
}

static void
make_params(struct plan *plan, const struct conf *conf, const struct site *site, const char *untag)
{
    static const char *const untagged[] = {"recipient_canonical_maps", "smtp_generic_maps",
                                           "lmtp_generic_maps"};
    static const char *const milters[] = {"smtpd_milters", "non_smtpd_milters"};
    bool chroot_safe;
    char *endpoint = plan_endpoint(conf->milter_socket, site, &chroot_safe);
    char *milter = mem_printf("{ %s, default_action=tempfail }", endpoint);

    for (size_t i = 0; i < sizeof(untagged) / sizeof(untagged[0]); i++)
        add_param(plan, mem_strdup(untagged[i]),
                  service_in_front(site, untag, site_raw(site, untagged[i])));
    for (size_t i = 0; i < conf->snapshot->address_count; i++)
        if (!conf->snapshot->addresses[i].elsewhere)
            make_knobs(plan, &conf->snapshot->addresses[i]);
    for (size_t i = 0; i < sizeof(milters) / sizeof(milters[0]); i++)
        add_param(plan, mem_strdup(milters[i]),
                  service_in_front(site, milter, site_raw(site, milters[i])));
    make_restrictions(plan, conf, site);
    free(milter);
    free(endpoint);
}

static int
make_switch(struct plan *plan, const struct site *site, struct err *err)
{
    const struct cf_service *qmgr = cf_services_find(&site->services, "qmgr", NULL);
    const char *rewrite = qmgr != NULL ? cf_service_option(qmgr, "rewrite_service_name") : NULL;
    struct buf lines = {0};

    if (qmgr == NULL)
        return err_set(err, -ENOENT, "%s: there is no qmgr service", site->master_path);
    if (!cf_service_runs(qmgr, "qmgr") && !cf_service_runs(qmgr, "oqmgr"))
        return err_set(err, -EEXIST, "%s: the qmgr service runs '%s', not qmgr or oqmgr",
                       site->master_path, qmgr->fields[CF_COMMAND]);
    if (rewrite != NULL)
        return err_set(err, -EEXIST,
                       "%s: the qmgr service has '-o rewrite_service_name=%s' already, and "
                       "postpool needs a resolver of its own there",
                       site->master_path, rewrite);
    service_option(&lines, "rewrite_service_name", SERVICE_RESOLVER);
    service_option(&lines, "qmgr_ipc_timeout", QMGR_IPC_TIMEOUT);
    add_extra(plan, qmgr, buf_take(&lines));
    return 0;
}

/* Mail to a content filter keeps the tag, to have it when it comes back. */
static void
make_filters(struct plan *plan, const struct site *site)
{
    struct filter *filters;
    size_t count = filter_find_all(site, &filters);

    for (size_t i = 0; i < count; i++) {
        const char *param =
            cf_service_runs(filters[i].service, "lmtp") ? "lmtp_generic_maps" : "smtp_generic_maps";
        struct buf lines = {0};
        char *own;

        if (filters[i].shared || cf_service_option(filters[i].service, param) != NULL)
            continue;
        own = site_own_value(site, site_raw(site, param));
        service_option(&lines, param, own);
        add_extra(plan, filters[i].service, buf_take(&lines));
        free(own);
    }
    free(filters);
}

static int
make_services(struct plan *plan, const struct conf *conf, const struct site *site, struct err *err)
{
    struct buf out = {0};
    struct cf_services ours;
    bool chroot_safe;
    char *lookup = plan_rescues(conf) ? plan_endpoint(conf->lookup, site, &chroot_safe) : NULL;
    int r = 0;

    for (size_t i = 0; i < conf->snapshot->address_count; i++)
        if (!conf->snapshot->addresses[i].elsewhere)
            service_address(&out, &conf->snapshot->addresses[i], site, lookup);
    free(lookup);
    service_resolver(&out, conf, site);
    plan->services = buf_take(&out);
    cf_services_parse(plan->services, &ours);
    for (size_t i = 0; r == 0 && i < ours.count; i++) {
        const char *name = ours.items[i].fields[CF_NAME];

        if (cf_services_find(&site->services, name, "unix") != NULL)
            r = err_set(err, -EEXIST, "%s: the site has a service %s of its own", site->master_path,
                        name);
    }
    cf_services_clear(&ours);
    return r;
}

int
plan_make(const struct conf *conf, const struct site *site, struct plan *ret_plan, struct err *err)
{
    struct plan plan = {0};
    char *untag = table_map(site->dir, TABLE_UNTAG);
    int r = make_switch(&plan, site, err);

    if (r == 0)
        r = make_services(&plan, conf, site, err);
    if (r == 0) {
        make_tables(&plan, conf, site);
        make_params(&plan, conf, site, untag);
        make_filters(&plan, site);
        *ret_plan = plan;
        plan = (struct plan){0};
    }
    plan_clear(&plan);
    free(untag);
    return r;
}

void
plan_clear(struct plan *plan)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        free(plan->tables[i].text);
    for (size_t i = 0; i < plan->param_count; i++) {
        free(plan->params[i].name);
        free(plan->params[i].value);
    }
    for (size_t i = 0; i < plan->extra_count; i++) {
        free(plan->extras[i].service);
        free(plan->extras[i].type);
        free(plan->extras[i].lines);
    }
    free(plan->params);
    free(plan->extras);
    free(plan->services);
    *plan = (struct plan){0};
}

enum plan_part
plan_param_part(const struct edit_param *param)
{
    for (size_t i = 0; plan_restrictions[i] != NULL; i++)
        if (strcmp(param->name, plan_restrictions[i]) == 0)
            return PLAN_INTAKE;
    return strcmp(param->name, "smtpd_milters") == 0 ||
                   strcmp(param->name, "non_smtpd_milters") == 0
               ? PLAN_INTAKE
               : PLAN_BASE;
}

enum plan_part
plan_extra_part(const struct edit_extra *extra)
{
    return strstr(extra->lines, "rewrite_service_name") != NULL ? PLAN_SWITCH : PLAN_BASE;
}

char *
plan_main(const struct edit_file *file, const struct edit_param *params, size_t count,
          unsigned parts)
{
    struct edit_param *chosen = mem_array(count, sizeof(chosen[0]));
    size_t n = 0;
    char *text;

    for (size_t i = 0; i < count; i++) {
        if ((plan_param_part(&params[i]) & parts) != 0)
            chosen[n++] = params[i];
    }
    text = edit_main(file, chosen, n);
    free(chosen);
    return text;
}

char *
plan_master(const struct edit_file *file, const struct edit_extra *extras, size_t count,
            const char *services, unsigned parts)
{
    struct edit_extra *chosen = mem_array(count, sizeof(chosen[0]));
    size_t n = 0;
    char *text;

    for (size_t i = 0; i < count; i++) {
        if ((plan_extra_part(&extras[i]) & parts) != 0)
            chosen[n++] = extras[i];
    }
    text = edit_master(file, chosen, n, (parts & PLAN_BASE) != 0 ? services : "");
    free(chosen);
    return text;
}

char *
plan_leftover(const struct plan *plan, const struct edit_file *master)
{
    struct cf_services planned;
    struct cf_services present;
    struct buf lines = {0};

    cf_services_parse(plan->services, &planned);
    cf_services_parse(master->services, &present);
    for (size_t i = 0; i < present.count; i++) {
        const struct cf_service *service = &present.items[i];

        if (cf_services_find(&planned, service->fields[CF_NAME], service->fields[CF_TYPE]) == NULL)
            buf_add(&lines, master->services + service->line.start,
                    service->line.end - service->line.start);
    }
    cf_services_clear(&planned);
    cf_services_clear(&present);
    return buf_take(&lines);
}
