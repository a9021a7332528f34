/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/curbs.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADS = 16384, /* of chains by hash */
    ROOM_FIRST = 64,
    MARK_ADDRESS = 1,     /* the address has a curb of its own */
    MARK_PAIRS = 2,       /* or at some provider */
    MARK_DOMAINS = 4,     /* or had one at some domain */
    LATE_US = 250 * 1000, /* whoever looks a little late makes up for it */
};

#define NO_ENTRY UINT32_MAX

/* An address at a provider, or an account. */
struct entry {
    struct curb curb;
    char *account; /* owned; NULL: of a pair, or spare */
    uint64_t hash;
    uint32_t address, provider; /* places in the snapshot */
    uint32_t next;              /* in its chain, or among those that are spare */
};

struct curbs {
    const struct snapshot *snapshot; /* not ours */
    struct curb *by_address;         /* NULL: none has any; good where marks says so */
    uint8_t *marks;                  /* by address */
    struct entry *entries;
    size_t entry_count; /* with those that are spare */
    size_t entry_room;
    uint32_t spare;
    uint32_t *heads; /* NULL: there was never an entry */
    size_t addresses, pairs, accounts;
    uint64_t changes;
};

/* An address at a domain is kept as an account of both; a line's end is in no sender's domain. */
#define DOMAIN_MARK '\n'

static const struct curb nothing = {.share = CURB_WHOLE, .until_ms = CURB_NOT_KNOWN};

struct curbs *
curbs_new(const struct snapshot *snapshot)
{
    struct curbs *curbs = calloc(1, sizeof(*curbs));

    if (curbs == NULL)
        return NULL;
    curbs->snapshot = snapshot;
    curbs->spare = NO_ENTRY;
    curbs->marks = calloc(snapshot->address_count + 1, sizeof(*curbs->marks));
    if (curbs->marks == NULL) {
        free(curbs);
        return NULL;
    }
    return curbs;
}

void
curbs_free(struct curbs *curbs)
{
    if (curbs == NULL)
        return;
    for (size_t i = 0; i < curbs->entry_count; i++)
        free(curbs->entries[i].account);
    free(curbs->entries);
    free(curbs->heads);
    free(curbs->by_address);
    free(curbs->marks);
    free(curbs);
}

static bool
is_nothing(const struct curb *curb)
{
    return curb->share >= CURB_WHOLE && !curb->drained;
}

static bool
is_same(const struct curb *a, const struct curb *b)
{
    return a->share == b->share && a->drained == b->drained && a->probing == b->probing &&
           a->probes == b->probes && a->until_ms == b->until_ms;
}

static uint64_t
pair_hash(size_t address, size_t provider)
{
    return hash_mix((uint64_t)address << 32 | provider);
}

static uint64_t
account_hash(const char *account)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool curb";

    return hash_sip(key, account, strnlen(account, CURBS_ACCOUNT_MAX));
}

static uint32_t *
chain_of(const struct curbs *curbs, uint64_t hash)
{
    return &curbs->heads[hash % HEADS];
}

static bool
is_pair(const struct entry *entry, size_t address, size_t provider)
{
    return entry->account == NULL && entry->address == address && entry->provider == provider;
}

/* The link to the entry, at the end of its chain when there is none; NULL: there are no chains. */
static uint32_t *
find_pair(const struct curbs *curbs, size_t address, size_t provider)
{
    uint32_t *link = curbs->heads != NULL ? chain_of(curbs, pair_hash(address, provider)) : NULL;

    while (link != NULL && *link != NO_ENTRY && !is_pair(&curbs->entries[*link], address, provider))
        link = &curbs->entries[*link].next;
    return link;
}

static bool
is_account(const struct entry *entry, uint64_t hash, const char *account)
{
    return entry->account != NULL && entry->hash == hash &&
           strncmp(entry->account, account, CURBS_ACCOUNT_MAX) == 0;
}

static uint32_t *
find_account(const struct curbs *curbs, const char *account)
{
    uint64_t hash = account_hash(account);
    uint32_t *link = curbs->heads != NULL ? chain_of(curbs, hash) : NULL;

    while (link != NULL && *link != NO_ENTRY && !is_account(&curbs->entries[*link], hash, account))
        link = &curbs->entries[*link].next;
    return link;
}

static bool
make_heads(struct curbs *curbs)
{
    if (curbs->heads != NULL)
        return true;
    curbs->heads = malloc(HEADS * sizeof(*curbs->heads));
    for (size_t i = 0; curbs->heads != NULL && i < HEADS; i++)
        curbs->heads[i] = NO_ENTRY;
    return curbs->heads != NULL;
}

/* A place for one more; NO_ENTRY: there is no memory. */
static uint32_t
new_entry(struct curbs *curbs)
{
    uint32_t place = curbs->spare;

    if (!make_heads(curbs))
        return NO_ENTRY;
    if (place != NO_ENTRY) {
        curbs->spare = curbs->entries[place].next;
        return place;
    }
    if (curbs->entry_count == curbs->entry_room) {
        size_t room = curbs->entry_room > 0 ? 2 * curbs->entry_room : ROOM_FIRST;
        struct entry *entries = realloc(curbs->entries, room * sizeof(*entries));

        if (entries == NULL)
            return NO_ENTRY;
        curbs->entries = entries;
        curbs->entry_room = room;
    }
    return (uint32_t)curbs->entry_count++;
}

static void
make_spare(struct curbs *curbs, uint32_t place)
{
    struct entry *entry = &curbs->entries[place];

    free(entry->account);
    *entry = (struct entry){.next = curbs->spare};
    curbs->spare = place;
}

/* Put entry, whose account is ours from now on, into its chain.  False: there is no memory. */
static bool
add_entry(struct curbs *curbs, const struct entry *entry)
{
    uint32_t place = new_entry(curbs), *head;

    if (place == NO_ENTRY)
        return false;
    head = chain_of(curbs, entry->hash);
    curbs->entries[place] = *entry;
    curbs->entries[place].next = *head;
    *head = place;
    return true;
}

static void
remove_entry(struct curbs *curbs, uint32_t *link)
{
    uint32_t place = *link;

    *link = curbs->entries[place].next;
    make_spare(curbs, place);
}

/* The address has curbs at a provider, or none any more: look for another. */
static void
mark_pairs(struct curbs *curbs, size_t address)
{
    curbs->marks[address] &= (uint8_t)~MARK_PAIRS;
    for (size_t i = 0; i < curbs->snapshot->provider_count && curbs->pairs > 0; i++)
        if (*find_pair(curbs, address, i) != NO_ENTRY) {
            curbs->marks[address] |= MARK_PAIRS;
            return;
        }
}

/* Set what an entry has.  False: it has that already. */
static bool
change(struct curbs *curbs, struct curb *place, const struct curb *curb)
{
    int64_t paced_us = place->paced_us;

    if (is_same(place, curb))
        return false;
    *place = *curb;
    place->paced_us = paced_us;
    curbs->changes++;
    return true;
}

bool
curbs_set_address(struct curbs *curbs, const struct address *address, const struct curb *curb)
{
    uint8_t *mark = &curbs->marks[address->index];
    bool known = (*mark & MARK_ADDRESS) != 0;

    if (is_nothing(curb)) {
        *mark &= (uint8_t)~MARK_ADDRESS;
        curbs->addresses -= known;
        curbs->changes += known;
        return true;
    }
    if (curbs->by_address == NULL)
        curbs->by_address = calloc(curbs->snapshot->address_count + 1, sizeof(struct curb));
    if (curbs->by_address == NULL)
        return false;
    if (!known) {
        curbs->by_address[address->index] = nothing;
        curbs->addresses++;
        *mark |= MARK_ADDRESS;
    }
    change(curbs, &curbs->by_address[address->index], curb);
    return true;
}

bool
curbs_set_provider(struct curbs *curbs, const struct address *address,
                   const struct provider *provider, const struct curb *curb)
{
    uint32_t *link = find_pair(curbs, address->index, provider->index);
    struct entry entry = {.curb = *curb,
                          .address = (uint32_t)address->index,
                          .provider = (uint32_t)provider->index,
                          .hash = pair_hash(address->index, provider->index)};
    bool known = link != NULL && *link != NO_ENTRY;

    if (known && !is_nothing(curb)) {
        change(curbs, &curbs->entries[*link].curb, curb);
        return true;
    }
    if (known) {
        remove_entry(curbs, link);
        curbs->pairs--;
        mark_pairs(curbs, address->index);
    } else if (is_nothing(curb)) {
        return true;
    } else if (curbs->pairs == CURBS_PAIRS_MAX || !add_entry(curbs, &entry)) {
        return false;
    } else {
        curbs->pairs++;
        curbs->marks[address->index] |= MARK_PAIRS;
    }
    curbs->changes++;
    return true;
}

bool
curbs_set_account(struct curbs *curbs, const char *account, const struct curb *curb)
{
    uint32_t *link = find_account(curbs, account);
    struct entry entry = {.curb = *curb, .hash = account_hash(account)};
    bool known = link != NULL && *link != NO_ENTRY;

    if (known && !is_nothing(curb)) {
        change(curbs, &curbs->entries[*link].curb, curb);
        return true;
    }
    if (known) {
        remove_entry(curbs, link);
        curbs->accounts--;
        curbs->changes++;
        return true;
    }
    if (is_nothing(curb))
        return true;
    entry.account =
        curbs->accounts < CURBS_ACCOUNTS_MAX ? strndup(account, CURBS_ACCOUNT_MAX) : NULL;
    if (entry.account == NULL || !add_entry(curbs, &entry)) {
        free(entry.account);
        return false;
    }
    curbs->accounts++;
    curbs->changes++;
    return true;
}

static void
domain_name(const struct address *address, const char *domain,
            char name[static CURBS_ACCOUNT_MAX + 1])
{
    snprintf(name, CURBS_ACCOUNT_MAX + 1, "%s%c%s", address->name, DOMAIN_MARK, domain);
}

bool
curbs_set_domain(struct curbs *curbs, const struct address *address, const char *domain,
                 const struct curb *curb)
{
    char name[CURBS_ACCOUNT_MAX + 1];

    domain_name(address, domain, name);
    if (!curbs_set_account(curbs, name, curb))
        return false;
    curbs->marks[address->index] |= MARK_DOMAINS;
    return true;
}

static struct curb *
address_place(const struct curbs *curbs, const struct address *address)
{
    return curbs->marks[address->index] & MARK_ADDRESS ? &curbs->by_address[address->index] : NULL;
}

static struct curb *
provider_place(const struct curbs *curbs, const struct address *address,
               const struct provider *provider)
{
    uint32_t *link = curbs->marks[address->index] & MARK_PAIRS
                         ? find_pair(curbs, address->index, provider->index)
                         : NULL;

    return link != NULL && *link != NO_ENTRY ? &curbs->entries[*link].curb : NULL;
}

static struct curb *
account_place(const struct curbs *curbs, const char *account)
{
    uint32_t *link = curbs->accounts > 0 && account != NULL ? find_account(curbs, account) : NULL;

    return link != NULL && *link != NO_ENTRY ? &curbs->entries[*link].curb : NULL;
}

static struct curb *
domain_place(const struct curbs *curbs, const struct address *address, const char *domain)
{
    char name[CURBS_ACCOUNT_MAX + 1];

    if (domain == NULL || !(curbs->marks[address->index] & MARK_DOMAINS))
        return NULL;
    domain_name(address, domain, name);
    return account_place(curbs, name);
}

const struct curb *
curbs_address(const struct curbs *curbs, const struct address *address)
{
    const struct curb *curb = address_place(curbs, address);

    return curb != NULL ? curb : &nothing;
}

const struct curb *
curbs_provider(const struct curbs *curbs, const struct address *address,
               const struct provider *provider)
{
    const struct curb *curb = provider_place(curbs, address, provider);

    return curb != NULL ? curb : &nothing;
}

const struct curb *
curbs_domain(const struct curbs *curbs, const struct address *address, const char *domain)
{
    const struct curb *curb = domain_place(curbs, address, domain);

    return curb != NULL ? curb : &nothing;
}

const struct curb *
curbs_account(const struct curbs *curbs, const char *account)
{
    const struct curb *curb = account_place(curbs, account);

    return curb != NULL ? curb : &nothing;
}

void
curbs_probe(struct curbs *curbs, const struct address *address, const struct provider *provider,
            const char *domain, const char *account)
{
    struct curb *list[] = {address_place(curbs, address), provider_place(curbs, address, provider),
                           domain_place(curbs, address, domain), account_place(curbs, account)};

    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
        if (list[i] != NULL && list[i]->share == 0 && list[i]->probes > 0)
            list[i]->probes--;
}

int64_t
curb_gap_us(const struct curb *curb, int64_t whole_us)
{
    return whole_us * CURB_WHOLE / curb->share;
}

void
curbs_pace(struct curbs *curbs, const struct address *address, const struct provider *provider,
           const char *domain, int64_t whole_us, int64_t now_us)
{
    struct curb *list[] = {provider != NULL ? provider_place(curbs, address, provider) : NULL,
                           domain_place(curbs, address, domain)};

    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        struct curb *curb = list[i];

        if (curb == NULL || curb->share == 0 || curb->share >= CURB_WHOLE)
            continue;
        if (curb->paced_us < now_us - LATE_US)
            curb->paced_us = now_us - LATE_US;
        if (curb->paced_us > now_us) /* the clock went back */
            curb->paced_us = now_us;
        curb->paced_us += curb_gap_us(curb, whole_us);
    }
}

bool
curbs_is_empty(const struct curbs *curbs)
{
    return curbs->addresses + curbs->pairs + curbs->accounts == 0;
}

uint64_t
curbs_changes(const struct curbs *curbs)
{
    return curbs->changes;
}

/* An account, or an address at a domain, if there is still such an address. */
static bool
carry_account(struct curbs *curbs, const struct entry *entry)
{
    const char *mark = strchr(entry->account, DOMAIN_MARK);
    const struct address *address;
    char name[ADDRESS_NAME_MAX + 1];

    if (mark == NULL)
        return curbs_set_account(curbs, entry->account, &entry->curb);
    snprintf(name, sizeof(name), "%.*s", (int)(mark - entry->account), entry->account);
    address = snapshot_find_address(curbs->snapshot, name);
    return address == NULL || curbs_set_domain(curbs, address, mark + 1, &entry->curb);
}

/* Everything of before that is there still, into curbs, which is new.  False: there is no memory.
 */
static bool
carry(struct curbs *curbs, const struct curbs *before, const uint32_t *moves)
{
    const struct snapshot *then = before->snapshot, *now = curbs->snapshot;

    for (size_t i = 0; i < then->address_count; i++)
        if (moves[i] != UINT32_MAX && (before->marks[i] & MARK_ADDRESS) &&
            !curbs_set_address(curbs, &now->addresses[moves[i]], &before->by_address[i]))
            return false;
    for (size_t i = 0; i < HEADS && before->heads != NULL; i++)
        for (uint32_t at = before->heads[i]; at != NO_ENTRY; at = before->entries[at].next) {
            const struct entry *entry = &before->entries[at];
            const struct provider *provider;

            if (entry->account != NULL) {
                if (!carry_account(curbs, entry))
                    return false;
                continue;
            }
            provider = snapshot_find_provider(now, then->providers[entry->provider].name);
            if (provider != NULL && moves[entry->address] != UINT32_MAX &&
                !curbs_set_provider(curbs, &now->addresses[moves[entry->address]], provider,
                                    &entry->curb))
                return false;
        }
    return true;
}

bool
curbs_set_snapshot(struct curbs *curbs, const struct snapshot *snapshot)
{
    struct curbs *after = curbs_new(snapshot), before = *curbs;
    uint32_t *moves = snapshot_moves(curbs->snapshot, snapshot);
    bool done = after != NULL && moves != NULL && carry(after, curbs, moves);

    if (done) {
        after->changes = before.changes + 1;
        *curbs = *after;
        *after = before;
    }
    free(moves);
    curbs_free(after);
    return done;
}
