/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/mx.h"

#include "engine/hash.h"
#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/dns.h"
#include "policyd/mx_fact.h"
#include "policyd/outage.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

enum {
    BUCKETS = 1 << 16, /* a power of two */
    STARTS_MAX = 32,   /* lookups begun in one turn of the loop */
    FAILURES_TOLERATED =
        10, /* in a row, before it is called an outage: a domain may be ill alone */
};

/* Where an entry is, and in which list. */
enum place {
    KEPT,   /* has an answer */
    QUEUED, /* waits to be asked for; may have an older answer */
    ASKED,  /* is being asked for; likewise */
};

struct entry {
    TAILQ_ENTRY(entry) order;
    struct entry *chain; /* next in its bucket */
    struct mx *mx;       /* not ours */
    enum place place;
    struct mx_fact fact;
    struct mx_note *notes; /* owned, only while place is not KEPT */
    size_t note_count;
    char domain[];
};

TAILQ_HEAD(entry_list, entry);

struct mx {
    struct event_base *base;         /* not ours */
    const struct snapshot *snapshot; /* not ours */
    unsigned generation;             /* of the snapshot */
    struct dns *dns;                 /* NULL: there is none */
    struct event *pump;              /* begins what is queued */
    struct entry_list kept;          /* the one used longest ago first */
    struct entry_list queued;
    struct entry_list asked;
    struct entry **buckets; /* BUCKETS of them */
    uint8_t key[HASH_KEY_SIZE];
    size_t bytes; /* that all entries take */
    struct mx_figures figures;
    struct outage outage;
    mx_known_fn *known;
    void *arg; /* not ours */
};

static const struct timeval now_at_once = {0, 0};

/* The place of the pointer to the domain's entry, or of the NULL where it would stand. */
static struct entry **
find(struct mx *mx, const char *domain)
{
    uint64_t hash = hash_sip(mx->key, domain, strlen(domain));
    struct entry **at = &mx->buckets[hash & (BUCKETS - 1)];

    while (*at != NULL && strcmp((*at)->domain, domain) != 0)
        at = &(*at)->chain;
    return at;
}

static size_t
entry_bytes(const struct entry *entry)
{
    return sizeof(*entry) + strlen(entry->domain) + 1 + entry->fact.hosts_length;
}

static void
entry_free(struct entry *entry)
{
    struct mx *mx = entry->mx;

    *find(mx, entry->domain) = entry->chain;
    mx->bytes -= entry_bytes(entry);
    mx_fact_clear(&entry->fact);
    free(entry->notes);
    free(entry);
}

static void
evict(struct mx *mx)
{
    while (mx->figures.cached > MX_KEPT_MAX || mx->bytes > MX_KEPT_BYTES_MAX) {
        struct entry *oldest = TAILQ_FIRST(&mx->kept);

        if (oldest == NULL)
            return;
        TAILQ_REMOVE(&mx->kept, oldest, order);
        mx->figures.cached--;
        entry_free(oldest);
    }
}

static bool
take(struct entry *entry, enum dns_result result, const uint8_t *bytes, size_t length,
     int64_t now_ms)
{
    struct mx *mx = entry->mx;
    bool good;

    mx->bytes -= entry_bytes(entry);
    good = mx_fact_take(&entry->fact, entry->domain, result, bytes, length, now_ms);
    mx->bytes += entry_bytes(entry);
    mx_fact_match(&entry->fact, mx->snapshot, mx->generation);
    return good;
}

static void
on_done(void *arg, enum dns_result result, const uint8_t *bytes, size_t length, const char *why)
{
    struct entry *entry = arg;
    struct mx *mx = entry->mx;
    struct mx_note *notes = entry->notes;
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    bool good = take(entry, result, bytes, length, now_ms);

    if (good) {
        outage_end(&mx->outage, now_ms);
    } else {
        mx->figures.failures++;
        outage_fail(&mx->outage, now_ms, why != NULL ? why : "malformed answer");
    }
    entry->notes = NULL;
    entry->place = KEPT;
    TAILQ_REMOVE(&mx->asked, entry, order);
    mx->figures.in_flight--;
    TAILQ_INSERT_TAIL(&mx->kept, entry, order);
    mx->figures.cached++;
    if (notes != NULL && good && entry->fact.provider != PROVIDER_OTHER && mx->known != NULL)
        mx->known(mx->arg, entry->domain, &mx->snapshot->providers[entry->fact.provider], notes,
                  entry->note_count);
    entry->note_count = 0;
    free(notes);
    evict(mx);
    if (!TAILQ_EMPTY(&mx->queued))
        event_add(mx->pump, &now_at_once);
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
    struct mx *mx = arg;
    struct entry *entry;

    (void)fd;
    (void)what;
    for (int i = 0; i < STARTS_MAX && mx->figures.in_flight < MX_IN_FLIGHT_MAX; i++) {
        entry = TAILQ_FIRST(&mx->queued);
        if (entry == NULL)
            return;
        TAILQ_REMOVE(&mx->queued, entry, order);
        mx->figures.queued--;
        entry->place = ASKED;
        TAILQ_INSERT_TAIL(&mx->asked, entry, order);
        mx->figures.in_flight++;
        mx->figures.lookups++;
        if (mx->dns != NULL)
            dns_ask(mx->dns, entry->domain, DNS_MX, on_done, entry);
        else
            on_done(entry, DNS_FAILED, NULL, 0, "no c-ares");
    }
    if (!TAILQ_EMPTY(&mx->queued) && mx->figures.in_flight < MX_IN_FLIGHT_MAX)
        event_add(mx->pump, &now_at_once);
}

/* Returns false when too many wait already. */
static bool
may_queue(struct mx *mx)
{
    if (mx->figures.queued < MX_QUEUED_MAX)
        return true;
    mx->figures.dropped++;
    return false;
}

static void
queue(struct entry *entry)
{
    struct mx *mx = entry->mx;

    entry->place = QUEUED;
    TAILQ_INSERT_TAIL(&mx->queued, entry, order);
    mx->figures.queued++;
    event_add(mx->pump, &now_at_once);
}

static struct entry *
entry_new(struct mx *mx, struct entry **at, const char *domain)
{
    size_t size = strlen(domain) + 1;
    struct entry *entry = mem_new(sizeof(*entry) + size);

    entry->mx = mx;
    memcpy(entry->domain, domain, size);
    mx->bytes += entry_bytes(entry);
    *at = entry;
    return entry;
}

/* The entry of a domain in its own form, made and asked for where that is due; or NULL. */
static struct entry *
look_at(struct mx *mx, const char *domain, int64_t now_ms)
{
    struct entry **at = find(mx, domain), *entry = *at;

    if (entry == NULL) {
        if (!may_queue(mx))
            return NULL;
        entry = entry_new(mx, at, domain);
        queue(entry);
    } else if (entry->place == KEPT) {
        TAILQ_REMOVE(&mx->kept, entry, order);
        if (now_ms >= entry->fact.fresh_ms && may_queue(mx)) {
            mx->figures.cached--;
            queue(entry);
        } else {
            TAILQ_INSERT_TAIL(&mx->kept, entry, order);
        }
    }
    if (entry->fact.known && entry->fact.generation != mx->generation)
        mx_fact_match(&entry->fact, mx->snapshot, mx->generation);
    return entry;
}

static const struct provider *
provider_of(const struct entry *entry, int64_t now_ms)
{
    if (entry == NULL || !entry->fact.known || now_ms >= entry->fact.valid_ms)
        return NULL;
    return &entry->mx->snapshot->providers[entry->fact.provider];
}

const struct provider *
mx_provider(struct mx *mx, const char *domain, int64_t now_ms)
{
    char name[PROVIDER_DOMAIN_SIZE];
    const struct provider *provider = provider_by_domain(mx->snapshot, domain);

    if (provider != NULL)
        return provider;
    if (!provider_domain(domain, name))
        return &mx->snapshot->providers[PROVIDER_OTHER];
    return provider_of(look_at(mx, name, now_ms), now_ms);
}

static void
add_note(struct entry *entry, uint32_t address, unsigned count)
{
    for (size_t i = 0; i < entry->note_count; i++)
        if (entry->notes[i].address == address) {
            entry->notes[i].count += count;
            return;
        }
    if (entry->note_count == MX_NOTES_MAX)
        return;
    entry->notes = mem_resize(entry->notes, entry->note_count + 1, sizeof(*entry->notes));
    entry->notes[entry->note_count++] = (struct mx_note){address, count};
}

void
mx_note(struct mx *mx, const char *domain, uint32_t address, unsigned count)
{
    char name[PROVIDER_DOMAIN_SIZE];
    struct entry *entry = provider_domain(domain, name) ? *find(mx, name) : NULL;

    if (entry != NULL && entry->place != KEPT)
        add_note(entry, address, count);
}

void
mx_describe(struct mx *mx, const char *domain, int64_t now_ms, struct mx_view *ret_view)
{
    char name[PROVIDER_DOMAIN_SIZE];
    const struct entry *entry;

    *ret_view = (struct mx_view){.provider = provider_by_domain(mx->snapshot, domain),
                                 .why = MX_WHY_DOMAINS};
    if (ret_view->provider != NULL)
        return;
    if (!provider_domain(domain, name)) {
        ret_view->provider = &mx->snapshot->providers[PROVIDER_OTHER];
        ret_view->why = MX_WHY_NO_DOMAIN;
        return;
    }
    entry = look_at(mx, name, now_ms);
    ret_view->provider = provider_of(entry, now_ms);
    ret_view->why = ret_view->provider != NULL ? entry->fact.why : MX_WHY_NOT_YET;
    ret_view->asked = entry != NULL && entry->place != KEPT;
    if (ret_view->provider != NULL) {
        ret_view->hosts = entry->fact.hosts;
        ret_view->host_count = entry->fact.host_count;
    }
}

static void
move_notes(struct entry_list *list, const uint32_t *to, size_t count)
{
    struct entry *entry;

    TAILQ_FOREACH(entry, list, order)
    {
        size_t left = 0;

        for (size_t i = 0; i < entry->note_count; i++) {
            struct mx_note note = entry->notes[i];

            if (note.address >= count || to[note.address] == UINT32_MAX)
                continue;
            note.address = to[note.address];
            entry->notes[left++] = note;
        }
        entry->note_count = left;
    }
}

void
mx_set_snapshot(struct mx *mx, const struct snapshot *snapshot)
{
    uint32_t *to = mem_must(snapshot_moves(mx->snapshot, snapshot));

    move_notes(&mx->queued, to, mx->snapshot->address_count);
    move_notes(&mx->asked, to, mx->snapshot->address_count);
    free(to);
    mx->snapshot = snapshot;
    mx->generation++;
}

static struct dns *
open_dns(struct event_base *base, const struct dns_start *start)
{
    struct err err;
    struct dns *dns = dns_new(base, start, &err);

    if (dns == NULL)
        log_error("%s -- domains that no provider names count as \"other\"", err.msg);
    return dns;
}

void
mx_set_dns(struct mx *mx, const struct dns_start *start)
{
    struct entry *entry;

    dns_free(mx->dns);
    mx->dns = open_dns(mx->base, start);
    while ((entry = TAILQ_LAST(&mx->asked, entry_list)) != NULL) {
        TAILQ_REMOVE(&mx->asked, entry, order);
        mx->figures.in_flight--;
        entry->place = QUEUED;
        TAILQ_INSERT_HEAD(&mx->queued, entry, order);
        mx->figures.queued++;
    }
    event_add(mx->pump, &now_at_once);
}

struct mx *
mx_new(struct event_base *base, const struct snapshot *snapshot, const struct dns_start *start,
       mx_known_fn *known, void *arg)
{
    struct mx *mx = mem_new(sizeof(*mx));

    mx->base = base;
    mx->outage = (struct outage){
        .what = "DNS",
        .consequence = "domains that are not known count as \"other\"",
        .tolerated = FAILURES_TOLERATED,
    };
    mx->snapshot = snapshot;
    mx->known = known;
    mx->arg = arg;
    TAILQ_INIT(&mx->kept);
    TAILQ_INIT(&mx->queued);
    TAILQ_INIT(&mx->asked);
    mx->buckets = mem_array(BUCKETS, sizeof(struct entry *));
    if (getrandom(mx->key, sizeof(mx->key), 0) != sizeof(mx->key))
        abort(); /* Linux gives 16 bytes always, once it is up */
    mx->pump = evtimer_new(base, on_pump, mx);
    mx->dns = open_dns(base, start);
    return mx;
}

static void
free_all(struct entry_list *list)
{
    struct entry *entry;

    while ((entry = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, entry, order);
        entry_free(entry);
    }
}

void
mx_free(struct mx *mx)
{
    if (mx == NULL)
        return;
    dns_free(mx->dns);
    event_free(mx->pump);
    free_all(&mx->kept);
    free_all(&mx->queued);
    free_all(&mx->asked);
    free(mx->buckets);
    free(mx);
}

const struct mx_figures *
mx_figures(const struct mx *mx)
{
    return &mx->figures;
}
