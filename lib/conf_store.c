/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include "lib/err.h"
#include "lib/redis_url.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct conf, member)

const struct conf_key conf_store_keys[] = {
    {"type", KEY_STORE, AT(store_type), "sqlite", 0, 0,
     "\"sqlite\": this host alone; \"redis\": shared by all hosts.", NULL, NULL},
    {"path", KEY_PATH, AT(store_path), "/var/lib/postpool/state.db", 0, 0, "SQLite: the file.",
     NULL, NULL},
    {"url", KEY_TEXT, AT(store_url), "", 0, 0,
     "Redis: \"redis://host:port/database\", \"rediss://...\" or \"unix:/path\".", NULL, NULL},
    {"tls_ca", KEY_PATH, AT(store_tls_ca), "", 0, 0,
     "Redis: the file with the CAs that rediss:// trusts; default: the system's.", NULL, NULL},
    {"tls_cert", KEY_PATH, AT(store_tls_cert), "", 0, 0,
     "Redis: the file with this host's own certificate; default: none.", NULL, NULL},
    {"tls_key", KEY_PATH, AT(store_tls_key), "", 0, 0, "Redis: the file with its key.", NULL, NULL},
    {"tls_name", KEY_HOST, AT(store_tls_name), "", 0, 0,
     "Redis: the name in its certificate; default: the host that is connected to.", NULL, NULL},
    {"tls_sentinels", KEY_BOOL, AT(store_tls_sentinels), "false", 0, 0,
     "Redis: the Sentinels are spoken to with TLS, too.", NULL, NULL},
    {"prefix", KEY_TEXT, AT(store_prefix), "postpool", 0, 0, "Redis: what every key begins with.",
     NULL, NULL},
    {"sentinels", KEY_LIST, AT(store_sentinels), "", 0, 0,
     "Redis: Sentinels that know the master, \"host:port\".", NULL, NULL},
    {"master", KEY_TEXT, AT(store_master), "mymaster", 0, 0,
     "Redis: the name that the Sentinels know it by.", NULL, NULL},
    {"durable", KEY_BOOL, AT(store_durable), "false", 0, 0,
     "Redis: a lease counts only when a replica has it, too.", NULL, NULL},
    {"node_timeout", KEY_DURATION, AT(store_node_timeout_ms), "30s", 2000, 3600 * 1000,
     "Redis: a node that is not heard of for so long is away.", NULL, NULL},
    {"share_at_once", KEY_BOOL, AT(store_share_at_once), "false", 0, 0,
     "Redis: a node that it is away for takes its share before that is certain to be free.", NULL,
     NULL},
    CONF_KEY_END,
};

static config_setting_t *
member_of(config_setting_t *store, const char *name)
{
    return store != NULL && config_setting_is_group(store) ? config_setting_get_member(store, name)
                                                           : NULL;
}

static void
check_sentinels(struct conf_reader *reader, const config_setting_t *setting)
{
    const struct conf_list *list = &reader->conf->store_sentinels;

    for (size_t i = 0; i < list->count; i++) {
        char *host = NULL;
        uint16_t port;
        struct err err;

        if (redis_url_host(list->items[i], &host, &port, &err) < 0)
            conf_problem(reader, setting, "\"%s\": %s", list->items[i], err.msg);
        free(host);
    }
}

static void
check_tls(struct conf_reader *reader, config_setting_t *store)
{
    const struct conf *conf = reader->conf;
    bool tls = conf->store_tls_ca != NULL || conf->store_tls_cert != NULL ||
               conf->store_tls_key != NULL || conf->store_tls_name != NULL ||
               conf->store_tls_sentinels;

    if (tls && strncmp(conf->store_url, "rediss://", 9) != 0)
        conf_problem(reader, store, "tls_... is set, but url is not rediss://, so there is no TLS");
    if ((conf->store_tls_cert != NULL) != (conf->store_tls_key != NULL))
        conf_problem(reader, store, "tls_cert and tls_key: one needs the other");
}

/* The first { of a key to the next } decides of its place in a Cluster: all keys shall have the
 * same. */
static void
check_prefix(struct conf_reader *reader, const config_setting_t *setting)
{
    const char *prefix = reader->conf->store_prefix;

    if (prefix[0] == '\0' || prefix[0] == '}')
        conf_problem(reader, setting,
                     "\"%s\" would part the keys in a Cluster, write a word such as "
                     "\"postpool\"",
                     prefix);
}

/* A forgotten type would let each host count for itself. */
static void
check_type(struct conf_reader *reader, config_setting_t *store)
{
    const struct conf *conf = reader->conf;
    const char *name = conf->store_url[0] != '\0'        ? "url"
                       : conf->store_sentinels.count > 0 ? "sentinels"
                                                         : NULL;

    if (conf->store_type != STORE_REDIS && name != NULL)
        conf_problem(reader, member_of(store, name),
                     "is for type = \"redis\" alone; without that this host counts by itself");
}

void
conf_check_store(struct conf_reader *reader, config_setting_t *store)
{
    const struct conf *conf = reader->conf;
    struct redis_url url = {0};
    struct err err;

    check_tls(reader, store);
    check_sentinels(reader, member_of(store, "sentinels"));
    check_prefix(reader, member_of(store, "prefix"));
    if (redis_url_parse(conf->store_url, &url, &err) < 0) {
        conf_problem(reader, member_of(store, "url"), "%s", err.msg);
        return;
    }
#ifndef HAVE_HIREDIS_SSL
    if (url.tls)
        conf_problem(reader, member_of(store, "url"),
                     "rediss:// needs hiredis with TLS, and this postpool was built with one that "
                     "has none");
#endif
    if (conf->store_type == STORE_REDIS && url.path == NULL && url.host == NULL &&
        conf->store_sentinels.count == 0)
        conf_problem(reader, store, "\"redis\" needs a url, or sentinels");
    check_type(reader, store);
    redis_url_clear(&url);
}
