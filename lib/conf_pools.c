/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/hash.h"
#include "lib/conf_caps.h"
#include "lib/conf_site.h"
#include "lib/known.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

const struct conf_key conf_address_keys[] = {
    {"ip", KEY_IP, offsetof(struct address, ip), NULL, 0, 0,
     "The IPv4 or IPv6 address that mail leaves from.", NULL, NULL},
    {"helo", KEY_HOST, offsetof(struct address, helo), NULL, 0, 0,
     "The name it greets with; it and the address's PTR record should agree.", NULL, NULL},
    {"maxproc", KEY_COUNT, offsetof(struct address, maxproc), "20", 1, 10000,
     "Most smtp(8) processes that deliver from it at a time.", NULL, NULL},
    {"public_ip", KEY_IP, offsetof(struct address, public_ip), "", 0, 0,
     "What others see it as, where that is another: behind NAT.", NULL, NULL},
    {"node", KEY_HOST, offsetof(struct address, node), "", 0, 0,
     "The one node that sends from it; default: every node that has it.", NULL, NULL},
    {"caps", KEY_CAPS, offsetof(struct address, caps), "", 0, 0,
     "Most recipients that it sends to.", conf_caps_keys, NULL},
    {"warmup", KEY_GROUP, 0, NULL, 0, 0, "It is new, and what it may send grows day by day.",
     conf_address_warmup_keys, NULL},
    CONF_KEY_END,
};

const struct conf_key conf_pool_keys[] = {
    {"addresses", KEY_OWN, 0, NULL, 0, 0,
     "Its addresses: names, or groups { name = ...; weight = ...; }.", NULL, NULL},
    {"overflow", KEY_OWN, 0, "", 0, 0,
     "The ladder: pools that are asked in order when no address of this one can send.", NULL, NULL},
    {"exhausted", KEY_EXHAUSTED, offsetof(struct pool, exhausted), "defer", 0, 0,
     "What becomes of a recipient when no address of pool and ladder has room: \"defer\" until "
     "there is, or \"exceed\": send and count it.",
     NULL, NULL},
    {"concurrency", KEY_COUNT, offsetof(struct pool, concurrency), "0", 1, 10000,
     "Most deliveries at a time from one of its addresses to one destination "
     "(destination_concurrency_limit).",
     NULL, NULL},
    {"rate_delay", KEY_SECONDS, offsetof(struct pool, rate_delay_s), "", 1000, 3600 * 1000,
     "Pause between deliveries from one of its addresses to one destination "
     "(destination_rate_delay).",
     NULL, NULL},
    {"recipient_limit", KEY_COUNT, offsetof(struct pool, recipient_limit), "0", 1, 10000,
     "Most recipients of one delivery (destination_recipient_limit).", NULL, NULL},
    {"tls", KEY_TLS, offsetof(struct pool, tls), "", 0, 0,
     "smtp_tls_security_level of its addresses.", NULL, NULL},
    CONF_KEY_END,
};

/* A member as it is written. */
struct member_input {
    char *name;
    double weight;
};

const struct conf_key conf_member_keys[] = {
    {"name", KEY_TEXT, offsetof(struct member_input, name), NULL, 0, 0, "Which address.", NULL,
     NULL},
    {"weight", KEY_WEIGHT, offsetof(struct member_input, weight), "1", 0, 0,
     "Its share of the pool's mail, in relation to the others.", NULL, NULL},
    CONF_KEY_END,
};

bool
conf_is_name(const char *text, size_t max)
{
    size_t length = strlen(text);

    return length > 0 && length <= max && text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int
compare_address_names(const void *a, const void *b)
{
    return strcmp((*(const struct address *const *)a)->name,
                  (*(const struct address *const *)b)->name);
}

/* One entry of a list that is sorted to find doubles. */
struct by_ip {
    const struct address *address;
    config_setting_t *setting;
};

static int
compare_ips(const void *a, const void *b)
{
    const struct by_ip *x = a, *y = b;
    int order = ip_compare(&x->address->ip, &y->address->ip);

    if (order != 0)
        return order;
    return x->address->index < y->address->index ? -1 : 1;
}

static void
check_ips(struct conf_reader *reader, struct by_ip *ips, size_t count)
{
    qsort(ips, count, sizeof(*ips), compare_ips);
    for (size_t i = 1; i < count; i++) {
        char text[IP_TEXT_SIZE];

        if (ips[i].address->ip.family == 0 ||
            ip_compare(&ips[i].address->ip, &ips[i - 1].address->ip) != 0)
            continue;
        ip_print(&ips[i].address->ip, text);
        conf_problem(reader, ips[i].setting,
                     "%s is the ip of %s (line %u) already, every address needs its own", text,
                     ips[i - 1].address->name, config_setting_source_line(ips[i - 1].setting));
    }
}

void
conf_read_addresses(struct conf_reader *reader, config_setting_t *setting)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool address";
    struct snapshot *snapshot = reader->conf->snapshot;
    struct by_ip *ips;
    size_t count;

    if (!config_setting_is_group(setting)) {
        conf_problem(reader, setting,
                     "a group of addresses is needed, { a1 = { ip = ...; helo = ...; }; }");
        return;
    }
    count = (size_t)config_setting_length(setting);
    snapshot->addresses = mem_array(count, sizeof(*snapshot->addresses));
    ips = mem_array(count, sizeof(*ips));
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        struct address *address = &snapshot->addresses[i];

        address->index = i;
        address->name = mem_strdup(config_setting_name(item));
        address->seed = hash_sip(key, address->name, strlen(address->name));
        snapshot->address_count++;
        ips[i] = (struct by_ip){address, item};
        conf_read_defaults(conf_address_keys, address);
        if (!conf_is_name(address->name, ADDRESS_NAME_MAX))
            conf_problem(
                reader, item,
                "the name becomes the Postfix service pp-%s, so it must be up to %d lower-case "
                "letters, digits and \"-\", starting with a letter",
                address->name, ADDRESS_NAME_MAX);
        else if (strcmp(address->name, "rewrite") == 0)
            conf_problem(reader, item,
                         "the Postfix service pp-rewrite is our resolver, give it another name");
        if (!config_setting_is_group(item))
            conf_problem(reader, item, "a group is needed, { ip = ...; helo = ...; }");
        else
            conf_read_group(reader, item, conf_address_keys, address);
        address->elsewhere =
            address->node != NULL && strcmp(address->node, reader->conf->node) != 0;
    }
    if (count == 0)
        conf_problem(reader, setting, "is empty, at least one address is needed");
    snapshot->addresses_by_name = mem_array(count, sizeof(*snapshot->addresses_by_name));
    for (size_t i = 0; i < count; i++)
        snapshot->addresses_by_name[i] = &snapshot->addresses[i];
    qsort(snapshot->addresses_by_name, count, sizeof(*snapshot->addresses_by_name),
          compare_address_names);
    check_ips(reader, ips, count);
    free(ips);
}

static bool
read_member(struct conf_reader *reader, config_setting_t *item, struct member_input *input)
{
    const char *text;

    conf_read_defaults(conf_member_keys, input);
    if (config_setting_is_group(item)) {
        conf_read_group(reader, item, conf_member_keys, input);
    } else {
        text = conf_read_text(reader, item);
        input->name = text != NULL ? mem_strdup(text) : NULL;
    }
    return input->name != NULL;
}

static bool
has_member(const struct pool *pool, const struct address *address)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i].address == address)
            return true;
    return false;
}

/* The knobs are parameters of the address's service, so two pools must agree on them. */
static bool
same_knobs(const struct pool *a, const struct pool *b)
{
    return a->concurrency == b->concurrency && a->rate_delay_s == b->rate_delay_s &&
           a->recipient_limit == b->recipient_limit &&
           strcmp(a->tls != NULL ? a->tls : "", b->tls != NULL ? b->tls : "") == 0;
}

static void
add_member(struct conf_reader *reader, config_setting_t *item, struct pool *pool,
           struct address *address, double weight)
{
    /* address->of is set only by pools read before, so a double here is in this one. */
    if (address->of == pool && has_member(pool, address)) {
        conf_problem(reader, item, "%s is in this pool already, give it a weight instead",
                     address->name);
        return;
    }
    if (address->of != NULL && address->of != pool && !same_knobs(address->of, pool))
        conf_problem(
            reader, item,
            "%s is in pool %s, too, with another concurrency, rate_delay, recipient_limit or "
            "tls; these belong to its one Postfix service, so both pools must say the same",
            address->name, address->of->name);
    if (address->of == NULL)
        address->of = pool;
    pool->members[pool->member_count++] = (struct member){address, weight};
}

static void
read_members(struct conf_reader *reader, config_setting_t *setting, struct pool *pool)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count = (size_t)config_setting_length(setting);

    if (!conf_read_is_list(reader, setting, "addresses"))
        return;
    pool->members = mem_array(count, sizeof(*pool->members));
    for (size_t i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        struct member_input input = {0};

        if (read_member(reader, item, &input)) {
            const struct address *found = snapshot_find_address(snapshot, input.name);

            if (found == NULL)
                conf_problem(reader, item, "there is no address %s%s", input.name,
                             known_addresses(snapshot, input.name));
            else
                add_member(reader, item, pool, &snapshot->addresses[found->index], input.weight);
        }
        free(input.name);
    }
    if (count == 0)
        conf_problem(reader, setting, "is empty, a pool needs at least one address");
}

static void
read_pool(struct conf_reader *reader, config_setting_t *item, struct pool *pool)
{
    config_setting_t *members;

    pool->name = mem_strdup(config_setting_name(item));
    conf_read_defaults(conf_pool_keys, pool);
    if (config_setting_is_group(item))
        conf_read_group(reader, item, conf_pool_keys, pool);
    else
        conf_problem(reader, item, "a group is needed, { addresses = ( ... ); }");
    members = config_setting_is_group(item) ? config_setting_get_member(item, "addresses") : NULL;
    if (members != NULL)
        read_members(reader, members, pool);
}

/* The rungs as written: pools by index, *ret_count of them; NULL when there are none. */
struct ladder {
    size_t *pools;
    size_t count;
};

static struct ladder
read_ladder(struct conf_reader *reader, config_setting_t *item)
{
    const struct snapshot *snapshot = reader->conf->snapshot;
    config_setting_t *setting =
        config_setting_is_group(item) ? config_setting_get_member(item, "overflow") : NULL;
    struct ladder ladder = {0};
    size_t count;

    if (setting == NULL || !conf_read_is_list(reader, setting, "pools"))
        return ladder;
    count = (size_t)config_setting_length(setting);
    ladder.pools = mem_array(count, sizeof(*ladder.pools));
    for (size_t i = 0; i < count; i++) {
        config_setting_t *rung = config_setting_get_elem(setting, (unsigned)i);
        const char *name = conf_read_text(reader, rung);
        const struct pool *pool = name != NULL ? snapshot_find_pool(snapshot, name) : NULL;

        if (pool != NULL) {
            ladder.pools[ladder.count++] = pool->index;
        } else if (name != NULL) {
            conf_problem(reader, rung, "there is no pool %s%s", name, known_pools(snapshot, name));
        }
    }
    return ladder;
}

struct climb {
    const struct snapshot *snapshot;
    const struct ladder *ladders;
    bool *on_path;
    bool *met;
    struct pool *of;
    struct buf path; /* "bulk -> spare -> bulk" */
};

/*
 * Add the ladder below pool to climb->of: each rung, and behind it its own
 * ladder.  Returns false, with the way in climb->path, for a circle.
 */
static bool
climb_from(struct climb *climb, size_t pool)
{
    size_t before = climb->path.length;
    bool fine = true;

    buf_printf(&climb->path, "%s%s", before > 0 ? " -> " : "", climb->snapshot->pools[pool].name);
    if (climb->on_path[pool])
        return false;
    climb->on_path[pool] = true;
    for (size_t i = 0; fine && i < climb->ladders[pool].count; i++) {
        size_t rung = climb->ladders[pool].pools[i];

        if (!climb->met[rung]) {
            climb->met[rung] = true;
            climb->of->overflow[climb->of->overflow_count++] = &climb->snapshot->pools[rung];
            fine = climb_from(climb, rung);
        } else if (climb->on_path[rung]) {
            fine = climb_from(climb, rung);
        }
    }
    climb->on_path[pool] = false;
    if (fine)
        climb->path.data[climb->path.length = before] = '\0';
    return fine;
}

static void
make_ladders(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count = snapshot->pool_count;
    struct ladder *ladders = mem_array(count, sizeof(*ladders));

    for (size_t i = 0; i < count; i++)
        ladders[i] = read_ladder(reader, config_setting_get_elem(setting, (unsigned)i));
    for (size_t i = 0; i < count; i++) {
        struct climb climb = {
            .snapshot = snapshot,
            .ladders = ladders,
            .on_path = mem_array(count, sizeof(bool)),
            .met = mem_array(count, sizeof(bool)),
            .of = &snapshot->pools[i],
        };

        climb.of->overflow = mem_array(count, sizeof(*climb.of->overflow));
        if (!climb_from(&climb, i))
            conf_problem(reader, config_setting_get_elem(setting, (unsigned)i),
                         "overflow runs in a circle: %s; a ladder must end", buf_text(&climb.path));
        buf_clear(&climb.path);
        free(climb.on_path);
        free(climb.met);
    }
    for (size_t i = 0; i < count; i++)
        free(ladders[i].pools);
    free(ladders);
}

void
conf_read_pools(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count;

    if (!config_setting_is_group(setting)) {
        conf_problem(reader, setting,
                     "a group of pools is needed, { fast = { addresses = ( ... ); }; }");
        return;
    }
    count = (size_t)config_setting_length(setting);
    snapshot->pools = mem_array(count, sizeof(*snapshot->pools));
    for (size_t i = 0; i < count; i++) {
        snapshot->pools[i].index = i;
        snapshot->pool_count++;
        read_pool(reader, config_setting_get_elem(setting, (unsigned)i), &snapshot->pools[i]);
    }
    if (count == 0)
        conf_problem(reader, setting, "is empty, at least one pool is needed");
    make_ladders(reader, setting);
}

/* A service binds to one address, and so speaks one family. */
static void
warn_of_ipv6(struct conf_reader *reader, const config_setting_t *setting, const struct pool *pool)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i].address->ip.family == 6) {
            conf_warning(reader, setting,
                         "%s is IPv6: what it gets for a domain without IPv6 is deferred until it "
                         "expires, and the pool's other addresses are not tried",
                         pool->members[i].address->name);
            return;
        }
}

/* pool may be NULL. */
static void
note_used(const struct pool *pool, bool *used)
{
    if (pool == NULL)
        return;
    used[pool->index] = true;
    for (size_t i = 0; i < pool->overflow_count; i++)
        used[pool->overflow[i]->index] = true;
}

void
conf_warn_pools(struct conf_reader *reader, config_setting_t *addresses, config_setting_t *pools)
{
    const struct snapshot *snapshot = reader->conf->snapshot;
    bool *used = mem_array(snapshot->pool_count, sizeof(*used));

    for (size_t i = 0; i < snapshot->address_count; i++)
        if (snapshot->addresses[i].of == NULL)
            conf_warning(reader, config_setting_get_elem(addresses, (unsigned)i),
                         "no pool uses this address");
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        note_used(snapshot->streams[i].pool, used);
        for (size_t j = 0; j < GRADES; j++)
            note_used(snapshot->streams[i].by_grade[j], used);
    }
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const config_setting_t *setting = config_setting_get_elem(pools, (unsigned)i);

        if (!used[i])
            conf_warning(reader, setting, "no stream leads to this pool");
        warn_of_ipv6(reader, setting, &snapshot->pools[i]);
    }
    free(used);
}
