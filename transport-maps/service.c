/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/service.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/table.h"

#include <stdlib.h>
#include <string.h>

void
service_option(struct buf *out, const char *name, const char *value)
{
    if (strpbrk(value, " \t") != NULL || *value == '{')
        buf_printf(out, "    -o { %s = %s }\n", name, value);
    else
        buf_printf(out, "    -o %s=%s\n", name, value);
}

char *
service_in_front(const struct site *site, const char *ours, const char *value)
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
        service_option(out, param, kept.length > 0 ? buf_text(&kept) : when_empty);
    buf_clear(&kept);
    free(list);
}

/* A parameter with our tables in front of what the smtp service or the site has. */
static void
print_in_front(struct buf *out, const struct site *site, const struct cf_service *smtp,
               const char *param, const char *maps)
{
    const char *own = smtp != NULL ? cf_service_option(smtp, param) : NULL;
    char *both;

    if (own == NULL) /* what refers to nothing needs no place */
        own = *site_expanded(site, param) != '\0' ? site_raw(site, param) : "";
    both = service_in_front(site, maps, own);
    service_option(out, param, both);
    free(both);
}

static void
print_family(struct buf *out, const struct address *address, const struct site *site)
{
    bool v6 = address->ip.family == 6;
    char ip[IP_TEXT_SIZE];

    ip_print(&address->ip, ip);
    service_option(out, v6 ? "smtp_bind_address6" : "smtp_bind_address", ip);
    service_option(out, "inet_protocols", v6 ? "ipv6" : "ipv4");
    print_interfaces(out, site, "inet_interfaces", v6, "loopback-only");
    print_interfaces(out, site, "proxy_interfaces", v6, "");
}

/* The filters of what is said of a delivery; the first that knows the words decides. */
static char *
filters_of(const struct address *address, const struct site *site, const char *lookup)
{
    struct buf filters = {0};

    if (address->ip.family == 6) {
        char *map = table_map(site->dir, TABLE_ONLY_IPV6);

        buf_puts(&filters, map);
        free(map);
    }
    if (lookup != NULL) {
        char *map = table_map(site->dir, TABLE_REFUSED);

        buf_printf(&filters, "%spipemap:{%s,socketmap:%s:reply.%s}", filters.length > 0 ? ", " : "",
                   map, lookup, address->name);
        free(map);
    }
    return buf_take(&filters);
}

void
service_address(struct buf *out, const struct address *address, const struct site *site,
                const char *lookup)
{
    char *untag = table_map(site->dir, TABLE_UNTAG), *filters = filters_of(address, site, lookup);
    const char *tls = address->of != NULL ? address->of->tls : NULL;
    const char *const ours[] = {
        "smtp_bind_address",
        "smtp_bind_address6",
        "smtp_bind_address_enforce",
        "inet_protocols",
        "smtp_helo_name",
        "syslog_name",
        "smtp_generic_maps",
        *filters != '\0' ? "smtp_delivery_status_filter" : "inet_protocols",
        tls != NULL ? "smtp_tls_security_level" : NULL,
        NULL,
    };
    const struct cf_service *smtp = cf_services_find(&site->services, "smtp", "unix");

    buf_printf(out, "pp-%s unix - %s %s - %d smtp\n", address->name,
               smtp != NULL ? smtp->fields[CF_UNPRIVILEGED] : "-",
               smtp != NULL ? smtp->fields[CF_CHROOT] : "-", address->maxproc);
    if (smtp != NULL)
        print_site_options(out, smtp, ours);
    print_family(out, address, site);
    if (site->version >= 307)
        service_option(out, "smtp_bind_address_enforce", "yes");
    if (address->helo != NULL && *address->helo != '\0')
        service_option(out, "smtp_helo_name", address->helo);
    service_option(out, "syslog_name", "postfix/$service_name");
    print_in_front(out, site, smtp, "smtp_generic_maps", untag);
    if (*filters != '\0')
        print_in_front(out, site, smtp, "smtp_delivery_status_filter", filters);
    free(filters);
    free(untag);
    if (tls != NULL)
        service_option(out, "smtp_tls_security_level", tls);
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
last_of_all(const struct site *site, enum table last, const char *map)
{
    char *keys = table_map(site->dir, last);
    char *both = mem_printf("pipemap:{unionmap:{inline:{-@-=-},%s},%s}", keys, map);

    free(keys);
    return both;
}

/* sender_dependent_default_transport_maps or transport_maps of the resolver. */
static void
print_maps(struct buf *out, const struct site *site, const char *param, const char *map,
           const char *args, enum table last)
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
    service_option(out, param, value);
    free(value);
}

/* May the site's own tables leave the answer for the sender standing? */
static bool
has_tables(const struct site *site)
{
    return *site_raw(site, "sender_dependent_default_transport_maps") != '\0' ||
           *site_raw(site, "sender_dependent_relayhost_maps") != '\0' ||
           *site_raw(site, "transport_maps") != '\0';
}

void
service_resolver(struct buf *out, const struct conf *conf, const struct site *site)
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
    buf_puts(out, SERVICE_RESOLVER " unix - - n - 1 trivial-rewrite\n");
    if (rewrite != NULL)
        print_site_options(out, rewrite, ours);
    service_option(out, "syslog_name", "postfix/$service_name");
    print_maps(out, site, "sender_dependent_default_transport_maps", sender,
               has_tables(site) ? ";tables" : "", TABLE_LAST_SENDER);
    print_maps(out, site, "transport_maps", recipient, args, TABLE_LAST_RECIPIENT);
    if (*relay != '\0') {
        char *last = mem_printf("socketmap:%s:relay.last", conf->lookup);
        char *lasting = last_of_all(site, TABLE_LAST_SENDER, last);
        char *value = mem_printf("%s, %s", relay, lasting);

        service_option(out, "sender_dependent_relayhost_maps", value);
        free(value);
        free(lasting);
        free(last);
    }
    free(recipient);
    free(sender);
    free(args);
}
