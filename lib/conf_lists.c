/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_lists.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/addr.h"
#include "lib/conf_site.h"
#include "lib/conf_value.h"
#include "lib/dnslist.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_LENGTH = 32,
    EVERY_MIN_MS = 10 * 1000,
    EVERY_MAX_MS = 24 * 3600 * 1000,
};

/* A list as it is written. */
struct list_input {
    char *zone, *name, *action;
    struct conf_list codes;
    int64_t every_ms;
};

#define AT(member) offsetof(struct list_input, member)

const struct conf_key conf_dnslist_keys[] = {
    {"zone", KEY_TEXT, AT(zone), NULL, 0, 0, "The list's domain, \"zen.example\".", NULL, NULL},
    {"name", KEY_TEXT, AT(name), "", 0, 0,
     "What it is called in the log and by postpool(1); default: its zone.", NULL, NULL},
    {"codes", KEY_LIST, AT(codes), "127.0.0.0/8", 0, 0,
     "Answers that mean listed: addresses and networks in 127.0.0.0/8.", NULL, NULL},
    {"action", KEY_TEXT, AT(action), "report", 0, 0,
     "What follows for an address that is listed: \"report\", or \"suspend\" until it is not.",
     NULL, NULL},
    {"every", KEY_DURATION, AT(every_ms), "1h", EVERY_MIN_MS, EVERY_MAX_MS,
     "How often each address is asked for.", NULL, NULL},
    CONF_KEY_END,
};

static void
check_zone(struct conf_reader *reader, config_setting_t *item, struct dnslist *list)
{
    char ignored[PROVIDER_DOMAIN_SIZE];
    size_t length = strlen(list->zone);

    if (length > 0 && list->zone[length - 1] == '.')
        list->zone[--length] = '\0';
    addr_lower(list->zone);
    if (length > DNSLIST_ZONE_MAX || conf_check_host(list->zone, NULL) < 0 ||
        !provider_domain(list->zone, ignored))
        conf_problem(reader, config_setting_get_member(item, "zone"),
                     "is no domain of up to %d characters, write one such as \"zen.example\"",
                     DNSLIST_ZONE_MAX);
}

static void
check_name(struct conf_reader *reader, config_setting_t *item, const char *name)
{
    if (name[0] != '\0' && !conf_is_name(name, NAME_MAX_LENGTH))
        conf_problem(reader, config_setting_get_member(item, "name"),
                     "\"%s\" is no name of a list, write up to %d lower-case letters, digits and "
                     "\"-\", starting with a letter",
                     name, NAME_MAX_LENGTH);
}

/* What says that the question was refused can never say that an address is listed. */
static bool
is_code(const struct ip_net *net)
{
    return net->ip.family == 4 && net->prefix >= 8 && net->ip.bytes[0] == 127 &&
           !(net->prefix >= 24 && net->ip.bytes[1] == 255 && net->ip.bytes[2] == 255) &&
           !(net->prefix == 32 && net->ip.bytes[1] == 0 && net->ip.bytes[2] == 0 &&
             net->ip.bytes[3] == 1);
}

static void
read_codes(struct conf_reader *reader, config_setting_t *item, const struct conf_list *texts,
           struct dnslist *list)
{
    list->codes = mem_array(texts->count, sizeof(*list->codes));
    for (size_t i = 0; i < texts->count; i++) {
        if (ip_net_parse(texts->items[i], &list->codes[list->code_count]) &&
            is_code(&list->codes[list->code_count]))
            list->code_count++;
        else
            conf_problem(reader, config_setting_get_member(item, "codes"),
                         "\"%s\" is no answer that means listed, write one such as \"127.0.0.2\" "
                         "or \"127.0.0.0/24\"; 127.0.0.1 and 127.255.255.0/24 mean other things",
                         texts->items[i]);
    }
    if (texts->count == 0 && config_setting_get_member(item, "codes") != NULL)
        conf_problem(reader, config_setting_get_member(item, "codes"),
                     "at least one is needed; without the key it is \"127.0.0.0/8\"");
}

static void
read_action(struct conf_reader *reader, config_setting_t *item, const char *text,
            struct dnslist *list)
{
    list->action = strcmp(text, "suspend") == 0 ? DNSLIST_SUSPEND : DNSLIST_REPORT;
    if (list->action == DNSLIST_REPORT && strcmp(text, "report") != 0)
        conf_problem(reader, config_setting_get_member(item, "action"),
                     "\"%s\" is none of \"report\", \"suspend\"", text);
}

static void
read_one(struct conf_reader *reader, config_setting_t *item, struct dnslist *list)
{
    struct list_input input = {0};

    if (!config_setting_is_group(item)) {
        conf_problem(reader, item, "a group is needed, { zone = ...; }");
        return;
    }
    conf_read_defaults(conf_dnslist_keys, &input);
    conf_read_group(reader, item, conf_dnslist_keys, &input);
    if (input.zone != NULL) {
        list->zone = mem_strdup(input.zone);
        check_zone(reader, item, list);
        list->name = mem_strdup(input.name[0] != '\0' ? input.name : list->zone);
    }
    check_name(reader, item, input.name);
    read_codes(reader, item, &input.codes, list);
    read_action(reader, item, input.action, list);
    list->every_ms = input.every_ms;
    conf_clear_group(conf_dnslist_keys, &input);
}

static bool
same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void
check_doubles(struct conf_reader *reader, config_setting_t *setting)
{
    const struct dnslist *lists = reader->conf->lists;

    for (size_t i = 0; i < reader->conf->list_count; i++)
        for (size_t j = 0; j < i; j++)
            if (same(lists[i].name, lists[j].name) || same(lists[i].zone, lists[j].zone))
                conf_problem(reader, config_setting_get_elem(setting, (unsigned)i),
                             "list %zu has the same name or zone; every list may stand once",
                             j + 1);
}

static bool
is_private(const struct ip *ip)
{
    static const char *const nets[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                       "100.64.0.0/10", "fc00::/7"};

    for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++) {
        struct ip_net net;

        if (ip_net_parse(nets[i], &net) && ip_net_has(&net, ip))
            return true;
    }
    return false;
}

static void
warn_of_private(struct conf_reader *reader, config_setting_t *setting)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];

        if (address->public_ip.family == 0 && is_private(&address->ip))
            conf_warning(reader, setting,
                         "address %s is of a private network, which no list knows; say with "
                         "public_ip what others see it as",
                         address->name);
    }
}

void
conf_read_lists(struct conf_reader *reader, config_setting_t *setting)
{
    struct conf *conf = reader->conf;
    size_t count;

    if (setting == NULL || !conf_read_is_list(reader, setting, "groups"))
        return;
    count = (size_t)config_setting_length(setting);
    if (count > DNSLISTS_MAX) {
        conf_problem(reader, setting, "%zu lists are too many, at most %d may be asked", count,
                     DNSLISTS_MAX);
        return;
    }
    conf->lists = mem_array(count, sizeof(*conf->lists));
    conf->list_count = count;
    for (size_t i = 0; i < count; i++)
        read_one(reader, config_setting_get_elem(setting, (unsigned)i), &conf->lists[i]);
    check_doubles(reader, setting);
    if (count > 0)
        warn_of_private(reader, setting);
}
