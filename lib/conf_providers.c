/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/provider.h"
#include "lib/addr.h"
#include "lib/conf_caps.h"
#include "lib/conf_site.h"
#include "lib/conf_value.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static const char other[] = "other"; /* takes what no provider does */

const struct conf_key conf_provider_keys[] = {
    {"domains", KEY_OWN, 0, "", 0, 0, "Recipient domains that are its own.", NULL, NULL},
    {"mx", KEY_OWN, 0, "", 0, 0,
     "Suffixes of its MX hosts; a domain whose MX hosts all match is its, too.", NULL, NULL},
    {"caps", KEY_CAPS, offsetof(struct provider, caps), "", 0, 0,
     "Most recipients at it that each address sends to.", conf_caps_keys, NULL},
    CONF_KEY_END,
};

#define AT(member) offsetof(struct conf, member)

const struct conf_key conf_dns_keys[] = {
    {"servers", KEY_LIST, AT(dns_server_text), "", 0, 0,
     "The DNS servers that are asked for MX records; default: those of the system's resolv.conf.",
     NULL, NULL},
    {"timeout", KEY_DURATION, AT(dns_timeout_ms), "5s", 100, 60 * 1000,
     "Longest wait for one server's answer; each is asked twice, the second time for longer.", NULL,
     NULL},
    CONF_KEY_END,
};

void
conf_read_dns(struct conf_reader *reader, config_setting_t *servers)
{
    struct conf *conf = reader->conf;
    struct err err;

    conf->dns_servers = mem_array(conf->dns_server_text.count, sizeof(*conf->dns_servers));
    for (size_t i = 0; i < conf->dns_server_text.count; i++) {
        if (nameserver_parse(conf->dns_server_text.items[i],
                             &conf->dns_servers[conf->dns_server_count], &err) == 0)
            conf->dns_server_count++;
        else
            conf_problem(reader, servers, "%s", err.msg);
    }
}

/* A domain or a suffix and where it stands, to find doubles. */
struct written {
    const char *name; /* not ours */
    const struct provider *provider;
    config_setting_t *setting;
    size_t place; /* in the order of the file */
};

struct written_list {
    struct written *items;
    size_t count;
};

static void
add_written(struct written_list *list, const char *name, const struct provider *provider,
            config_setting_t *setting)
{
    list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count] = (struct written){name, provider, setting, list->count};
    list->count++;
}

/* Also what the lookup would refuse, such as a label of more than 63 characters, never matches. */
static bool
is_host(const char *text)
{
    char ignored[PROVIDER_DOMAIN_SIZE];

    return conf_check_host(text, NULL) == 0 && provider_domain(text, ignored);
}

/* What is wrong with text as a domain, or as a suffix of MX hosts?  Returns whether it is good. */
static bool
check_domain(struct conf_reader *reader, config_setting_t *item, const char *text)
{
    if (is_host(text))
        return true;
    conf_problem(reader, item, "\"%s\" is no domain, write one such as \"example.com\"", text);
    return false;
}

static bool
check_suffix(struct conf_reader *reader, config_setting_t *item, const char *text)
{
    size_t length = strlen(text);

    if (length > 1 && text[length - 1] == '.') {
        conf_problem(reader, item,
                     "\"%s\" would never match, host names are compared without the dot at their "
                     "end; write \"%s%.*s\"",
                     text, text[0] == '.' ? "" : ".", (int)length - 1, text);
        return false;
    }
    if (text[0] != '.' && is_host(text)) {
        conf_problem(reader, item,
                     "\"%s\" is no suffix, it must start with a dot; write \".%s\", which is also "
                     "the host \"%s\" itself",
                     text, text, text);
        return false;
    }
    if (text[0] == '.' && is_host(text + 1))
        return true;
    conf_problem(reader, item,
                 "\"%s\" is no suffix of host names, write one such as \".google.com\"", text);
    return false;
}

typedef bool check_fn(struct conf_reader *reader, config_setting_t *item, const char *text);

/* Read the texts of the member into a list in lower case; *ret_count of them. */
static char **
read_names(struct conf_reader *reader, config_setting_t *group, const char *member,
           const char *of_what, check_fn *check, const struct provider *provider,
           struct written_list *written, size_t *ret_count)
{
    config_setting_t *setting = config_setting_get_member(group, member);
    size_t count;
    char **names;

    *ret_count = 0;
    if (setting == NULL || !conf_read_is_list(reader, setting, of_what))
        return NULL;
    count = (size_t)config_setting_length(setting);
    names = mem_array(count, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        const char *text = conf_read_text(reader, item);

        if (text == NULL || !check(reader, item, text))
            continue;
        names[*ret_count] = mem_strdup(text);
        addr_lower(names[*ret_count]);
        add_written(written, names[(*ret_count)++], provider, item);
    }
    return names;
}

static int
compare_written(const void *a, const void *b)
{
    const struct written *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order != 0)
        return order;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Sort the list and make the snapshot's index of it, in which every name stands once. */
static struct provider_name *
make_index(struct conf_reader *reader, struct written_list *list, size_t *ret_count)
{
    struct provider_name *index = mem_array(list->count, sizeof(*index));

    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), compare_written);
    for (size_t i = 0; i < list->count; i++) {
        const struct written *written = &list->items[i];
        const struct provider_name *before = *ret_count > 0 ? &index[*ret_count - 1] : NULL;

        if (before != NULL && strcmp(before->name, written->name) == 0)
            conf_problem(reader, written->setting,
                         "\"%s\" stands in provider %s already, every one may stand once",
                         written->name, before->provider->name);
        else
            index[(*ret_count)++] = (struct provider_name){written->name, written->provider};
    }
    free(list->items);
    return index;
}

static void
check_name(struct conf_reader *reader, config_setting_t *item)
{
    const char *name = config_setting_name(item);

    if (!conf_is_name(name, PROVIDER_NAME_MAX))
        conf_problem(reader, item,
                     "\"%s\" is no name of a provider, write up to %d lower-case letters, digits "
                     "and \"-\", starting with a letter",
                     name, PROVIDER_NAME_MAX);
}

/* What is no list is a mistake of its own, told elsewhere. */
static bool
is_empty(config_setting_t *member)
{
    return member == NULL ||
           (config_setting_is_aggregate(member) && config_setting_length(member) == 0);
}

static void
read_provider(struct conf_reader *reader, config_setting_t *item, struct provider *provider,
              struct written_list *domains, struct written_list *suffixes)
{
    config_setting_t *members[2];

    if (!config_setting_is_group(item)) {
        conf_problem(reader, item, "a group is needed, { domains = ( ... ); mx = ( ... ); }");
        return;
    }
    conf_read_group(reader, item, conf_provider_keys, provider);
    members[0] = config_setting_get_member(item, "domains");
    members[1] = config_setting_get_member(item, "mx");
    if (provider->index == PROVIDER_OTHER) {
        for (size_t i = 0; i < 2; i++)
            if (members[i] != NULL)
                conf_problem(reader, members[i],
                             "%s takes what no provider does and names nothing itself; take this "
                             "out",
                             other);
        return;
    }
    provider->domains = read_names(reader, item, "domains", "domains", check_domain, provider,
                                   domains, &provider->domain_count);
    provider->mx = read_names(reader, item, "mx", "host suffixes", check_suffix, provider, suffixes,
                              &provider->mx_count);
    if (is_empty(members[0]) && is_empty(members[1]))
        conf_problem(reader, item, "has neither domains nor mx, so nothing could ever be its");
}

void
conf_read_providers(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    struct written_list domains = {0}, suffixes = {0};
    size_t count = 0;

    if (setting != NULL && config_setting_is_group(setting))
        count = (size_t)config_setting_length(setting);
    else if (setting != NULL)
        conf_problem(
            reader, setting,
            "a group of providers is needed, { google = { domains = ( ... ); mx = ( ... ); "
            "}; }");
    snapshot->providers = mem_array(count + 1, sizeof(*snapshot->providers));
    snapshot->providers[PROVIDER_OTHER].name = mem_strdup(other);
    snapshot->provider_count = 1;
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        struct provider *provider = &snapshot->providers[PROVIDER_OTHER];

        if (strcmp(config_setting_name(item), other) != 0) {
            provider = &snapshot->providers[snapshot->provider_count];
            provider->index = snapshot->provider_count++;
            provider->name = mem_strdup(config_setting_name(item));
            check_name(reader, item);
        }
        read_provider(reader, item, provider, &domains, &suffixes);
    }
    snapshot->provider_domains = make_index(reader, &domains, &snapshot->provider_domain_count);
    snapshot->provider_mx = make_index(reader, &suffixes, &snapshot->provider_mx_count);
}
