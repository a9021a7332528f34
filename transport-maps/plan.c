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
#include "transport-maps/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the 100 s that a lookup may take at most, so that qmgr does not ask twice. */
#define QMGR_IPC_TIMEOUT "150s"

const char *const plan_table_names[PLAN_TABLES] = {"untag", "last-sender", "last-recipient"};

enum { TABLE_UNTAG, TABLE_LAST_SENDER, TABLE_LAST_RECIPIENT };

/* "-o name=value" as a line of master.cf. */
static void
print_option(struct buf *out, const char *name, const char *value)
{
    if (strpbrk(value, " \t") != NULL || *value == '{')
        buf_printf(out, "    -o { %s = %s }\n", name, value);
    else
        buf_printf(out, "    -o %s=%s\n", name, value);
}

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

/* Ours, and behind it what the site has there. */
static char *
in_front(const struct site *site, const char *ours, const char *value)
{
    char *own = site_own_value(site, value);
    char *both = *own != '\0' ? mem_printf("%s, %s", ours, own) : mem_strdup(ours);

    free(own);
    return both;
}

static bool
is_among(const char *name, const char *const names[])
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* The arguments of a service of the site's own, save the options that we set. */
static void
print_site_options(struct buf *out, const struct cf_service *service, const char *const ours[])
{
    size_t next = 0; /* option */

    for (size_t i = 0; i < service->arg_count;) {
        const struct cf_option *option =
            next < service->option_count && service->options[next].first == i
                ? &service->options[next]
                : NULL;
        size_t count = option != NULL ? option->count : 1;

        if (option == NULL || !is_among(option->name, ours)) {
            buf_puts(out, "   ");
            for (size_t j = i; j < i + count; j++)
                buf_printf(out, " %s", service->args[j]);
            buf_puts(out, "\n");
        }
        next += option != NULL;
        i += count;
    }
}

/*
 * A service that speaks one family ends with a fatal error over an address of
 * the other in inet_interfaces or proxy_interfaces.  Where the site has lists
 * of addresses there, the service gets those that it can read; it only looks
 * there for itself among a destination's MX hosts.
 */
static void
print_interfaces(struct buf *out, const struct site *site, const char *param, bool v6,
                 const char *when_empty)
{
    char *list = mem_strdup(site_expanded(site, param)), *save = NULL;
    struct buf kept = {0};
    bool dropped = false;

    for (char *word = strtok_r(list, ", \t", &save); word != NULL;
         word = strtok_r(NULL, ", \t", &save)) {
        char *bare = mem_strndup(word + (*word == '['), strcspn(word + (*word == '['), "]"));
        struct ip ip;

        if (ip_parse(bare, &ip) && (ip.family == 6) != v6)
            dropped = true;
        else
            buf_printf(&kept, "%s%s", kept.length > 0 ? ", " : "", word);
        free(bare);
    }
    if (dropped)
        print_option(out, param, kept.length > 0 ? buf_text(&kept) : when_empty);
    buf_clear(&kept);
    free(list);
}

/* One smtp(8) service, bound to the address. */
static void
print_address(struct buf *out, const struct address *address, const struct site *site,
              const char *untag)
{
    bool tls = address->of != NULL && address->of->tls != NULL;
    const char *const ours[] = {
        "smtp_bind_address",
        "smtp_bind_address6",
        "smtp_bind_address_enforce",
        "inet_protocols",
        "smtp_helo_name",
        "syslog_name",
        "smtp_generic_maps",
        tls ? "smtp_tls_security_level" : NULL,
        NULL,
    };
    const struct cf_service *smtp = cf_services_find(&site->services, "smtp", "unix");
    const char *generic = smtp != NULL ? cf_service_option(smtp, "smtp_generic_maps") : NULL;
    bool v6 = address->ip.family == 6;
    char ip[IP_TEXT_SIZE];
    char *maps =
        in_front(site, untag, generic != NULL ? generic : site_raw(site, "smtp_generic_maps"));

    ip_print(&address->ip, ip);
    buf_printf(out, "pp-%s unix - %s %s - %d smtp\n", address->name,
               smtp != NULL ? smtp->fields[CF_UNPRIVILEGED] : "-",
               smtp != NULL ? smtp->fields[CF_CHROOT] : "-", address->maxproc);
    if (smtp != NULL)
        print_site_options(out, smtp, ours);
    print_option(out, v6 ? "smtp_bind_address6" : "smtp_bind_address", ip);
    print_option(out, "inet_protocols", v6 ? "ipv6" : "ipv4");
    print_interfaces(out, site, "inet_interfaces", v6, "loopback-only");
    print_interfaces(out, site, "proxy_interfaces", v6, "");
    if (site->version >= 307)
        print_option(out, "smtp_bind_address_enforce", "yes");
    if (address->helo != NULL && *address->helo != '\0')
        print_option(out, "smtp_helo_name", address->helo);
    print_option(out, "syslog_name", "postfix/$service_name");
    print_option(out, "smtp_generic_maps", maps);
    if (tls)
        print_option(out, "smtp_tls_security_level", address->of->tls);
    free(maps);
}

/* The part of a map name that says where mail goes without a pool. */
static char *
lookup_arguments(const struct site *site)
{
    struct buf args = {0};
    const char *relayhost = site_expanded(site, "relayhost");
    const char *transport = site_expanded(site, "default_transport");
    const char *colon = strchr(transport, ':');
    struct buf target = {0};

    buf_puts(&target, *transport != '\0' ? transport : "smtp");
    if (colon == NULL)
        buf_puts(&target, ":");
    if (colon == NULL || colon[1] == '\0')
        buf_puts(&target, relayhost);
    buf_puts(&args, ";default=");
    table_encode(&args, buf_text(&target));
    if (*relayhost != '\0') {
        buf_puts(&args, ";nexthop=");
        table_encode(&args, relayhost);
    }
    if (*site_raw(site, "sender_dependent_relayhost_maps") != '\0')
        buf_puts(&args, ";relay");
    buf_clear(&target);
    return buf_take(&args);
}

/*
 * A pattern table such as socketmap is only ever asked for the whole address,
 * and so before the site's domain entries had their turn.  The first table of
 * a unionmap decides what kind the whole is; inline, which never answers
 * ("-@-" is no address), makes it one that is asked for every key, and the
 * "last" table lets only the last of them through.
 */
static char *
last_of_all(const struct site *site, const char *last, const char *map)
{
    return mem_printf("pipemap:{unionmap:{inline:{-@-=-},regexp:%s/postpool/%s},%s}", site->dir,
                      last, map);
}

/* sender_dependent_default_transport_maps or transport_maps of the resolver. */
static void
print_maps(struct buf *out, const struct site *site, const char *param, const char *map,
           const char *args, const char *last)
{
    const char *own = site_raw(site, param);
    char *value;

    if (*own == '\0') {
        value = mem_printf("%s%s", map, args);
    } else {
        char *ours = mem_printf("%s.last%s", map, args);
        char *lasting = last_of_all(site, last, ours);

        value = mem_printf("%s.note, %s, %s", map, own, lasting);
        free(lasting);
        free(ours);
    }
    print_option(out, param, value);
    free(value);
}

static void
print_resolver(struct buf *out, const struct conf *conf, const struct site *site)
{
    static const char *const ours[] = {
        "syslog_name",
        "sender_dependent_default_transport_maps",
        "transport_maps",
        "sender_dependent_relayhost_maps",
        NULL,
    };
    const struct cf_service *rewrite = cf_services_find(&site->services, "rewrite", "unix");
    char *args = lookup_arguments(site);
    char *sender = mem_printf("socketmap:%s:sender", conf->lookup);
    char *recipient = mem_printf("socketmap:%s:rcpt", conf->lookup);
    const char *relay = site_raw(site, "sender_dependent_relayhost_maps");

    /* One process, so that both lookups of a recipient come over one connection. */
    buf_puts(out, PLAN_RESOLVER " unix - - n - 1 trivial-rewrite\n");
    if (rewrite != NULL)
        print_site_options(out, rewrite, ours);
    print_option(out, "syslog_name", "postfix/$service_name");
    print_maps(out, site, "sender_dependent_default_transport_maps", sender, "",
               plan_table_names[TABLE_LAST_SENDER]);
    print_maps(out, site, "transport_maps", recipient, args,
               plan_table_names[TABLE_LAST_RECIPIENT]);
    if (*relay != '\0') {
        char *last = mem_printf("socketmap:%s:relay.last", conf->lookup);
        char *lasting = last_of_all(site, plan_table_names[TABLE_LAST_SENDER], last);
        char *value = mem_printf("%s, %s", relay, lasting);

        print_option(out, "sender_dependent_relayhost_maps", value);
        free(value);
        free(lasting);
        free(last);
    }
    free(recipient);
    free(sender);
    free(args);
}

static void
make_tables(struct plan *plan, const struct site *site)
{
    for (size_t i = 0; i < PLAN_TABLES; i++)
        plan->tables[i].name = plan_table_names[i];
    plan->tables[TABLE_UNTAG].text = table_untag();
    if (*site_raw(site, "sender_dependent_default_transport_maps") != '\0' ||
        *site_raw(site, "sender_dependent_relayhost_maps") != '\0')
        plan->tables[TABLE_LAST_SENDER].text = table_last_sender(
            site_expanded(site, "empty_address_default_transport_maps_lookup_key"),
            site_expanded(site, "empty_address_relayhost_maps_lookup_key"));
    if (*site_raw(site, "transport_maps") != '\0')
        plan->tables[TABLE_LAST_RECIPIENT].text = table_last_recipient();
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
plan_milter(const struct conf *conf, const struct site *site, bool *ret_chroot_safe)
{
    const char *path = endpoint_path(conf->milter_socket);
    const char *queue = site_expanded(site, "queue_directory");
    size_t length = strlen(queue);

    *ret_chroot_safe = true;
    /* Postfix's daemons work in the queue directory, and that is their root in a chroot. */
    if (path != NULL && strncmp(path, queue, length) == 0 && path[length] == '/')
        return mem_printf("unix:%s", path + length + 1);
    *ret_chroot_safe = path == NULL;
    return mem_strdup(conf->milter_socket);
}

static void
make_params(struct plan *plan, const struct conf *conf, const struct site *site, const char *untag)
{
    static const char *const untagged[] = {"recipient_canonical_maps", "smtp_generic_maps",
                                           "lmtp_generic_maps"};
    static const char *const milters[] = {"smtpd_milters", "non_smtpd_milters"};
    bool chroot_safe;
    char *endpoint = plan_milter(conf, site, &chroot_safe);
    char *milter = mem_printf("{ %s, default_action=tempfail }", endpoint);

    for (size_t i = 0; i < sizeof(untagged) / sizeof(untagged[0]); i++)
        add_param(plan, mem_strdup(untagged[i]),
                  in_front(site, untag, site_raw(site, untagged[i])));
    for (size_t i = 0; i < conf->snapshot->address_count; i++)
        make_knobs(plan, &conf->snapshot->addresses[i]);
    for (size_t i = 0; i < sizeof(milters) / sizeof(milters[0]); i++)
        add_param(plan, mem_strdup(milters[i]), in_front(site, milter, site_raw(site, milters[i])));
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
    print_option(&lines, "rewrite_service_name", PLAN_RESOLVER);
    print_option(&lines, "qmgr_ipc_timeout", QMGR_IPC_TIMEOUT);
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
        print_option(&lines, param, own);
        add_extra(plan, filters[i].service, buf_take(&lines));
        free(own);
    }
    free(filters);
}

static int
make_services(struct plan *plan, const struct conf *conf, const struct site *site,
              const char *untag, struct err *err)
{
    struct buf out = {0};
    struct cf_services ours;
    int r = 0;

    for (size_t i = 0; i < conf->snapshot->address_count; i++)
        print_address(&out, &conf->snapshot->addresses[i], site, untag);
    print_resolver(&out, conf, site);
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
    char *untag = mem_printf("regexp:%s/postpool/%s", site->dir, plan_table_names[TABLE_UNTAG]);
    int r = make_switch(&plan, site, err);

    if (r == 0)
        r = make_services(&plan, conf, site, untag, err);
    if (r == 0) {
        make_tables(&plan, site);
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
    for (size_t i = 0; i < PLAN_TABLES; i++)
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
    return strcmp(param->name, "smtpd_milters") == 0 ||
                   strcmp(param->name, "non_smtpd_milters") == 0
               ? PLAN_MILTERS
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
