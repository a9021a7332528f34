/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf.h"

#include "engine/hash.h"
#include "engine/schedule.h"
#include "engine/zone.h"
#include "lib/conf_file.h"
#include "lib/conf_lines.h"
#include "lib/conf_lists.h"
#include "lib/conf_replies.h"
#include "lib/conf_site.h"
#include "lib/conf_value.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECRET_MIN = 16, /* bytes in the secret's file */
    SECRET_MAX = 4096,
};

#define AT(member) offsetof(struct conf, member)

static const struct conf_key listen_keys[] = {
    {"lookup", KEY_ENDPOINT, AT(lookup), "unix:/var/spool/postfix/postpool/lookup", 0, 0,
     "Where Postfix asks for transports (socketmap).", NULL, NULL},
    {"policy", KEY_ENDPOINT, AT(policy), "", 0, 0,
     "Where Postfix asks its access policy; default: nowhere.", NULL, NULL},
    {"control", KEY_ENDPOINT, AT(control), "unix:/run/postpool/control", 0, 0,
     "Where postpool(1) asks.", NULL, NULL},
    {"owner", KEY_TEXT, AT(listen_owner), "", 0, 0,
     "Owner of the lookup socket; default: the daemon's user.", NULL, NULL},
    {"group", KEY_TEXT, AT(listen_group), "postfix", 0, 0, "Group of the lookup socket.", NULL,
     NULL},
    {"mode", KEY_MODE, AT(listen_mode), "0660", 0, 0, "Mode of the lookup socket.", NULL, NULL},
    {"clients", KEY_COUNT, AT(clients), "4000", 1, 100000,
     "Most lookup connections at a time; beyond it the one that was idle longest is closed.", NULL,
     NULL},
    CONF_KEY_END,
};

static const struct conf_key milter_keys[] = {
    {"socket", KEY_ENDPOINT, AT(milter_socket), "unix:/var/spool/postfix/postpool/milter", 0, 0,
     "Where Postfix reaches the milter.", NULL, NULL},
    {"pid_file", KEY_PATH, AT(milter_pid_file), "/run/postpool/milter.pid", 0, 0,
     "Where the milter writes its process id.", NULL, NULL},
    {"owner", KEY_TEXT, AT(milter_owner), "", 0, 0,
     "Owner of that socket; default: the daemon's user.", NULL, NULL},
    {"group", KEY_TEXT, AT(milter_group), "postfix", 0, 0, "Group of that socket.", NULL, NULL},
    {"mode", KEY_MODE, AT(milter_mode), "0660", 0, 0, "Mode of that socket.", NULL, NULL},
    {"header", KEY_HEADER, AT(stream_header), "X-Postpool-Stream", 0, 0,
     "The header that tells a message's stream.", NULL, NULL},
    {"strip", KEY_LIST, AT(strip), "", 0, 0,
     "Headers that only serve to select a stream and are removed.", NULL, NULL},
    {"internal", KEY_LIST, AT(internal_text), "127.0.0.0/8 ::1", 0, 0,
     "Clients whose mail is the site's own even without a login: addresses and networks.", NULL,
     NULL},
    {"local_domains", KEY_LIST, AT(local_domains), "localhost", 0, 0,
     "Domains delivered on this host, for mail of sendmail(1), where Postfix does not say; the "
     "node's "
     "name is one, too.",
     NULL, NULL},
    {"local_mailers", KEY_LIST, AT(local_mailers), "local virtual lmtp dovecot maildrop cyrus", 0,
     0, "Transports that deliver on this host; mail with only such recipients is not touched.",
     NULL, NULL},
    CONF_KEY_END,
};

static const struct conf_key feedback_keys[] = {
    {"log", KEY_TEXT, AT(feedback_log), "none", 0, 0,
     "Where Postfix logs to, for the results of deliveries: a file, \"journal\", \"pipe\" for "
     "lines "
     "that postpool feedback hands in; or \"none\".",
     NULL, NULL},
    CONF_KEY_END,
};

static const struct conf_key wake_keys[] = {
    {"rate", KEY_COUNT, AT(wake_rate), "100", 0, 1000,
     "Most deferred messages that are taken up before their time in a second; 0: none.", NULL,
     NULL},
    {"processes", KEY_COUNT, AT(wake_processes), "4", 1, 16,
     "Most postqueue(1) processes for that at a time.", NULL, NULL},
    {"timeout", KEY_DURATION, AT(wake_timeout_ms), "10s", 100, 600 * 1000,
     "One that has not ended by then is killed.", NULL, NULL},
    {"postqueue", KEY_PATH, AT(wake_postqueue), "/usr/sbin/postqueue", 0, 0,
     "Where the command is.", NULL, NULL},
    {"config_directory", KEY_PATH, AT(wake_config_directory), "", 0, 0,
     "Postfix' configuration directory, where it is not the default.", NULL, NULL},
    CONF_KEY_END,
};

static const struct conf_key rescue_keys[] = {
    {"enabled", KEY_BOOL, AT(rescue_enabled), "true", 0, 0,
     "A refusal for good that accuses the address is tried again from another; needs feedback.log.",
     NULL, NULL},
    {"addresses", KEY_COUNT, AT(rescue_addresses), "3", 2, CONF_RESCUE_ADDRESSES_MAX,
     "So many addresses may refuse a message, before it is returned.", NULL, NULL},
    CONF_KEY_END,
};

/* Addresses, pools and streams are read by read_root(), in an order of its own. */
static const struct conf_key keys[] = {
    {"node", KEY_HOST, AT(node), "", 0, 0, "The name of this host; default: its host name.", NULL,
     NULL},
    {"user", KEY_TEXT, AT(user), "postpool", 0, 0,
     "Whom the daemons become when root started them.", NULL, NULL},
    {"group", KEY_TEXT, AT(group), "", 0, 0, "Their group; default: the user's own.", NULL, NULL},
    {"tag_secret_file", KEY_PATH, AT(tag_secret_file), SYSCONFDIR "/postpool/tag.secret", 0, 0,
     "At least 16 secret bytes that make tags genuine; the same on every host.", NULL, NULL},
    {"watchdog", KEY_DURATION, AT(watchdog_ms), "3s", 500, 600 * 1000,
     "A policy daemon that stands still for so long is killed and started again.", NULL, NULL},
    {"over_quota", KEY_OVER_QUOTA, AT(over_quota), "defer", 0, 0,
     "What the policy service says to a client over its quota.", NULL, NULL},
    {"grant_lifetime", KEY_DURATION, AT(grant_lifetime_ms), "4m", 1000, 24 * 3600 * 1000,
     "A message and recipient that is asked for again within it counts once.", NULL, NULL},
    {"store", KEY_GROUP, 0, NULL, 0, 0, "Where caps are counted.", conf_store_keys, NULL},
    {"listen", KEY_GROUP, 0, NULL, 0, 0, "The sockets of postpool-policyd.", listen_keys, NULL},
    {"milter", KEY_GROUP, 0, NULL, 0, 0, "The milter.", milter_keys, NULL},
    {"feedback", KEY_GROUP, 0, NULL, 0, 0, "What became of deliveries.", feedback_keys, NULL},
    {"figures", KEY_GROUP, 0, NULL, 0, 0, "What happened to mail, hour by hour.", conf_figures_keys,
     NULL},
    {"complaints", KEY_GROUP, 0, NULL, 0, 0, "Complaints and bounces that come in by mail.",
     conf_complaints_keys, NULL},
    {"wake", KEY_GROUP, 0, NULL, 0, 0, "Deferred mail is taken up before its time.", wake_keys,
     NULL},
    {"rescue", KEY_GROUP, 0, NULL, 0, 0, "Messages whose address was refused.", rescue_keys, NULL},
    {"suspension", KEY_GROUP, 0, NULL, 0, 0, "How an address that was suspended comes back.",
     conf_suspension_keys, NULL},
    {"warmup", KEY_GROUP, 0, NULL, 0, 0, "How new addresses get to their full volume.",
     conf_warmup_keys, NULL},
    {"standing", KEY_GROUP, 0, NULL, 0, 0, "How accounts are graded by what became of their mail.",
     conf_standing_keys, NULL},
    {"dns", KEY_GROUP, 0, NULL, 0, 0, "Asking for the MX records of domains.", conf_dns_keys, NULL},
    {"providers", KEY_OWN, 0, "", 0, 0, "The mailbox providers, by name.", conf_provider_keys,
     NULL},
    {"addresses", KEY_OWN, 0, NULL, 0, 0, "The pool IPs, by name.", conf_address_keys, NULL},
    {"pools", KEY_OWN, 0, NULL, 0, 0, "The pools, by name.", conf_pool_keys, NULL},
    {"streams", KEY_OWN, 0, NULL, 0, 0, "The streams, in the order they are tried.",
     conf_stream_keys, NULL},
    {"replies", KEY_OWN, 0, "", 0, 0,
     "What the replies of servers mean, in the order they are tried.", conf_reply_keys, NULL},
    {"lists", KEY_OWN, 0, "", 0, 0, "DNS lists that are asked for the pool IPs.", conf_dnslist_keys,
     NULL},
    {"bypass", KEY_OWN, 0, "", 0, 0,
     "Recipient domains that postpool leaves alone, with their subdomains.", NULL,
     conf_read_bypass},
    CONF_KEY_END,
};

static void
set_node(struct conf *conf)
{
    char name[256] = "";

    if (conf->node != NULL)
        return;
    if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
        strcpy(name, "localhost");
    conf->node = mem_strdup(name);
}

/* The file's bytes, of any kind and length, become the key of SipHash. */
static void
read_secret(struct conf_reader *reader)
{
    static const uint8_t zero[HASH_KEY_SIZE], one[HASH_KEY_SIZE] = {1};
    struct conf *conf = reader->conf;
    char bytes[SECRET_MAX], text[600];
    ssize_t length;
    int fd = open(conf->tag_secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint64_t half;

    if (fd < 0) {
        snprintf(text, sizeof(text), "warning: tag_secret_file: %s: %s%s", conf->tag_secret_file,
                 strerror(errno),
                 errno == ENOENT ? "; make one with: head -c 32 /dev/urandom > FILE" : "");
        conf_problems_add(reader->problems, true, reader->file, text);
        return;
    }
    length = read(fd, bytes, sizeof(bytes));
    close(fd);
    if (length < SECRET_MIN) {
        snprintf(text, sizeof(text),
                 "tag_secret_file: %s holds fewer than %d bytes; make one with: head -c 32 "
                 "/dev/urandom > FILE",
                 conf->tag_secret_file, SECRET_MIN);
        conf_problems_add(reader->problems, false, reader->file, text);
        return;
    }
    half = hash_sip(zero, bytes, (size_t)length);
    memcpy(conf->secret, &half, sizeof(half));
    half = hash_sip(one, bytes, (size_t)length);
    memcpy(conf->secret + sizeof(half), &half, sizeof(half));
    explicit_bzero(bytes, sizeof(bytes));
    conf->secret_known = true;
}

static config_setting_t *
member_of(config_setting_t *group, const char *name)
{
    return group != NULL && config_setting_is_group(group) ? config_setting_get_member(group, name)
                                                           : NULL;
}

static void
read_internal(struct conf_reader *reader, config_setting_t *setting)
{
    struct conf *conf = reader->conf;

    conf->internal = mem_array(conf->internal_text.count, sizeof(*conf->internal));
    for (size_t i = 0; i < conf->internal_text.count; i++) {
        if (ip_net_parse(conf->internal_text.items[i], &conf->internal[conf->internal_count]))
            conf->internal_count++;
        else
            conf_problem(
                reader, setting,
                "\"%s\" is no address or network, write one such as \"192.0.2.0/24\" (no bits "
                "behind the prefix)",
                conf->internal_text.items[i]);
    }
}

bool
conf_is_of_the_message(const char *header)
{
    static const char *const names[] = {
        "bcc",      "cc",       "date",   "dkim-signature", "from", "in-reply-to", "message-id",
        "received", "reply-to", "sender", "references",     "to",   "return-path", "subject",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcasecmp(header, names[i]) == 0)
            return true;
    return strncasecmp(header, "content-", 8) == 0 || strncasecmp(header, "mime-", 5) == 0 ||
           strncasecmp(header, "resent-", 7) == 0;
}

static void
check_headers(struct conf_reader *reader, config_setting_t *milter)
{
    const struct conf *conf = reader->conf;
    struct err err;

    if (conf_is_of_the_message(conf->stream_header))
        conf_problem(reader, member_of(milter, "header"),
                     "\"%s\" belongs to the message itself, take a name such as "
                     "\"X-Postpool-Stream\"",
                     conf->stream_header);
    for (size_t i = 0; i < conf->strip.count; i++) {
        if (conf_check_header(conf->strip.items[i], &err) < 0)
            conf_problem(reader, member_of(milter, "strip"), "%s", err.msg);
        else if (conf_is_of_the_message(conf->strip.items[i]))
            conf_problem(reader, member_of(milter, "strip"),
                         "\"%s\" belongs to the message itself and cannot be taken away; only "
                         "headers that did nothing but select",
                         conf->strip.items[i]);
    }
    for (size_t i = 0; i < conf->local_domains.count; i++)
        if (conf_check_host(conf->local_domains.items[i], &err) < 0)
            conf_problem(reader, member_of(milter, "local_domains"),
                         "\"%s\" is no domain, write one such as \"example.com\"",
                         conf->local_domains.items[i]);
}

static void
check_sockets(struct conf_reader *reader, config_setting_t *root)
{
    const struct conf *conf = reader->conf;
    const char *lookup = conf->lookup, *control = conf->control, *milter = conf->milter_socket;

    if (strcmp(lookup, control) == 0)
        conf_problem(reader, root,
                     "listen.lookup and listen.control are both %s, each needs its own", lookup);
    if (strcmp(lookup, milter) == 0 || strcmp(control, milter) == 0)
        conf_problem(reader, root,
                     "milter.socket and one of listen are both %s, each needs its own", milter);
    if (conf->policy != NULL &&
        (strcmp(conf->policy, lookup) == 0 || strcmp(conf->policy, control) == 0 ||
         strcmp(conf->policy, milter) == 0))
        conf_problem(reader, member_of(root, "listen"),
                     "listen.policy is %s, which another socket has, each needs its own",
                     conf->policy);
    if (strcmp(conf->user, "root") == 0)
        conf_problem(reader, member_of(root, "user"),
                     "the daemons give up root's rights, name a user that has none");
}

/* What is counted when it comes in is not held back until its turn: it is let in or not. */
static void
plain_account_caps(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->stream_count; i++)
        for (size_t j = 0; j < snapshot->streams[i].account_caps.count; j++)
            snapshot->streams[i].account_caps.items[j].smooth = false;
}

static void
note_caps(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct schedule *schedule = snapshot->addresses[i].schedule;

        snapshot->has_caps |= snapshot->addresses[i].caps.count > 0 || schedule != NULL;
        snapshot->provider_caps |= schedule != NULL && schedule->share_count > 0;
    }
    for (size_t i = 0; i < snapshot->provider_count; i++)
        snapshot->provider_caps |= snapshot->providers[i].caps.count > 0;
    snapshot->has_caps |= snapshot->provider_caps;
    for (size_t i = 0; i < snapshot->stream_count; i++)
        snapshot->has_caps |=
            snapshot->streams[i].caps.count + snapshot->streams[i].account_caps.count > 0;
}

#ifdef HAVE_LIBSYSTEMD
enum { HAS_JOURNAL = true };
#else
enum { HAS_JOURNAL = false };
#endif

static bool
is_journal(const char *log)
{
    return strcmp(log, "journal") == 0 || strncmp(log, "journal:/", 9) == 0;
}

static void
check_log(struct conf_reader *reader, config_setting_t *feedback)
{
    config_setting_t *setting = member_of(feedback, "log");
    const char *log = reader->conf->feedback_log;
    struct stat st;

    if (is_journal(log) && !HAS_JOURNAL)
        conf_problem(
            reader, setting,
            "this postpool was built without libsystemd and cannot read the journal; write "
            "the path of a log file, or \"pipe\" for what postpool feedback hands in");
    if (is_journal(log) || strcmp(log, "none") == 0 || strcmp(log, "pipe") == 0)
        return;
    if (log[0] != '/')
        conf_problem(reader, setting,
                     "\"%s\" is no log, write an absolute path such as \"/var/log/mail.log\", "
                     "\"journal\", \"pipe\", or \"none\"",
                     log);
    /* what is not there yet may come */
    else if (stat(log, &st) == 0 && !S_ISREG(st.st_mode))
        conf_problem(
            reader, setting,
            "%s is %s, a file is needed that can be read again from a place on; for a pipe "
            "write \"pipe\", and have postpool feedback read it",
            log, S_ISDIR(st.st_mode) ? "a folder" : "no file");
}

static void
read_root(struct conf_reader *reader, config_setting_t *root)
{
    config_setting_t *addresses = config_setting_get_member(root, "addresses");
    config_setting_t *pools = config_setting_get_member(root, "pools");
    config_setting_t *streams = config_setting_get_member(root, "streams");

    conf_read_group(reader, root, keys, reader->conf);
    set_node(reader->conf);
    read_internal(reader, member_of(member_of(root, "milter"), "internal"));
    conf_read_dns(reader, member_of(member_of(root, "dns"), "servers"));
    conf_check_suspension(reader, member_of(member_of(root, "suspension"), "steps"));
    conf_check_store(reader, config_setting_get_member(root, "store"));
    check_headers(reader, member_of(root, "milter"));
    check_sockets(reader, root);
    check_log(reader, member_of(root, "feedback"));
    conf_check_figures(reader, member_of(member_of(root, "figures"), "path"));
    conf_check_complaints(reader, config_setting_get_member(root, "complaints"));
    conf_read_providers(reader, config_setting_get_member(root, "providers"));
    conf_read_replies(reader, config_setting_get_member(root, "replies"));
    conf_read_warmup(reader, config_setting_get_member(root, "warmup"));
    if (addresses != NULL)
        conf_read_addresses(reader, addresses);
    conf_check_warmup(reader, addresses);
    conf_read_lists(reader, config_setting_get_member(root, "lists"));
    if (pools != NULL)
        conf_read_pools(reader, pools);
    if (streams != NULL)
        conf_read_streams(reader, streams);
    conf_check_standing(reader, config_setting_get_member(root, "standing"));
    if (reader->conf->policy != NULL)
        plain_account_caps(reader->conf->snapshot);
    note_caps(reader->conf->snapshot);
    if (addresses != NULL && pools != NULL)
        conf_warn_pools(reader, addresses, pools);
    if (reader->conf->hint.header != NULL)
        conf_warn_hint(reader, member_of(config_setting_get_member(root, "warmup"), "hint"));
    read_secret(reader);
}

static int
load(const char *file, const char *text, struct conf **ret_conf, struct conf_problems *problems)
{
    struct conf *conf = mem_new(sizeof(*conf));
    struct conf_reader reader = {.conf = conf, .problems = problems, .file = file};
    config_t config;

    conf_problems_clear(problems);
    atomic_init(&conf->refs, 1);
    conf->file = mem_strdup(file);
    conf->snapshot = mem_new(sizeof(*conf->snapshot));
    conf_read_defaults(keys, conf);
    config_init(&config);
    if (conf_file_parse(&reader, &config, text)) {
        read_root(&reader, config_root_setting(&config));
        conf_lines(config_root_setting(&config), conf);
    }
    config_destroy(&config);
    if (problems->error_count > 0) {
        conf_unref(conf);
        return -EINVAL;
    }
    *ret_conf = conf;
    return 0;
}

int
conf_load(const char *file, struct conf **ret_conf, struct conf_problems *problems)
{
    return load(file, NULL, ret_conf, problems);
}

int
conf_load_text(const char *text, struct conf **ret_conf, struct conf_problems *problems)
{
    return load("text", text, ret_conf, problems);
}

void
conf_problems_add(struct conf_problems *problems, bool warning, const char *where, const char *text)
{
    problems->items = mem_resize(problems->items, problems->count + 1, sizeof(*problems->items));
    problems->items[problems->count++] = (struct conf_problem){
        .warning = warning,
        .text = mem_printf("%s: %s", where, text),
    };
    if (!warning)
        problems->error_count++;
}

void
conf_problems_clear(struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        free(problems->items[i].text);
    free(problems->items);
    *problems = (struct conf_problems){0};
}

struct conf *
conf_ref(struct conf *conf)
{
    atomic_fetch_add(&conf->refs, 1);
    return conf;
}

void
conf_unref(struct conf *conf)
{
    if (conf == NULL || atomic_fetch_sub(&conf->refs, 1) > 1)
        return;
    conf_clear_group(keys, conf);
    replies_clear(&conf->replies); /* names providers of the snapshot */
    snapshot_free(conf->snapshot);
    zone_free(conf->warmup_zone);
    hint_rules_clear(&conf->hint);
    free(conf->file);
    free(conf->internal);
    free(conf->dns_servers);
    dnslists_free(conf->lists, conf->list_count);
    for (size_t i = 0; i < conf->line_count; i++)
        free(conf->lines[i]);
    free(conf->lines);
    explicit_bzero(conf->secret, sizeof(conf->secret));
    free(conf);
}

static void
each_key(const struct conf_key *table, const char *path,
         void (*visit)(void *arg, const char *path, const char *initial, const char *help),
         void *arg)
{
    static const struct {
        const char *path;
        const struct conf_key *keys;
    } nested[] = {{"pools.NAME.addresses", conf_member_keys},
                  {"streams.match", conf_match_keys},
                  {"warmup.hint.match", conf_match_keys}};

    for (const struct conf_key *key = table; key->name != NULL; key++) {
        bool by_name = key->keys == conf_address_keys || key->keys == conf_pool_keys ||
                       key->keys == conf_provider_keys || key->keys == conf_schedule_keys;
        char *here = mem_printf("%s%s%s", path, path[0] != '\0' ? "." : "", key->name);
        char *below = mem_printf("%s%s", here, by_name ? ".NAME" : "");

        visit(arg, here, key->initial, key->help);
        if (key->keys != NULL)
            each_key(key->keys, below, visit, arg);
        for (size_t i = 0; i < sizeof(nested) / sizeof(*nested); i++)
            if (strcmp(nested[i].path, here) == 0)
                each_key(nested[i].keys, here, visit, arg);
        free(below);
        free(here);
    }
}

void
conf_each_key(void (*visit)(void *arg, const char *path, const char *initial, const char *help),
              void *arg)
{
    each_key(keys, "", visit, arg);
}
