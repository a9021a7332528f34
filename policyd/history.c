/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/history.h"

#include "engine/grants.h"
#include "engine/snapshot.h"
#include "lib/mem.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 1 << 16 };

_Static_assert((int)HISTORY_REFUSED_MAX == (int)LOOKUP_AVOID_MAX, "a lookup avoids all of them");

typedef char address_name[ADDRESS_NAME_MAX + 1]; /* "": none */

/* history owns its entries. */
struct entry {
    TAILQ_ENTRY(entry) order; /* in history->all, the one heard of longest ago first */
    LIST_ENTRY(entry) by_key, by_queue_id;
    struct grant_key key;
    char queue_id[MAILLOG_QUEUE_ID_MAX + 1];
    int64_t heard_ms;
    int64_t greylisted_ms;
    address_name greylisted;
    address_name refused[HISTORY_REFUSED_MAX]; /* names first */
    size_t size;                               /* of all this, with words */
    char *words;                               /* owned; NULL: none */
};

TAILQ_HEAD(entry_order, entry);
LIST_HEAD(entry_list, entry);

struct history {
    uint8_t secret[HASH_KEY_SIZE];
    struct entry_order all;
    struct entry_list by_key[BUCKETS];
    struct entry_list by_queue_id[BUCKETS];
    size_t count;
    size_t bytes;
};

static struct entry_list *
queue_id_bucket(struct history *history, const char *queue_id)
{
    return &history->by_queue_id[hash_sip(history->secret, queue_id, strlen(queue_id)) % BUCKETS];
}

static struct entry *
find(struct history *history, const struct grant_key *key)
{
    struct entry *entry;

    LIST_FOREACH(entry, &history->by_key[key->low % BUCKETS], by_key)
    if (entry->key.low == key->low && entry->key.high == key->high)
        return entry;
    return NULL;
}

static void
drop(struct history *history, struct entry *entry)
{
    TAILQ_REMOVE(&history->all, entry, order);
    LIST_REMOVE(entry, by_key);
    LIST_REMOVE(entry, by_queue_id);
    history->count--;
    history->bytes -= entry->size;
    free(entry->words);
    free(entry);
}

struct history *
history_new(const uint8_t secret[static HASH_KEY_SIZE])
{
    struct history *history = mem_new(sizeof(*history));

    memcpy(history->secret, secret, HASH_KEY_SIZE);
    TAILQ_INIT(&history->all);
    return history;
}

void
history_free(struct history *history)
{
    struct entry *entry;

    if (history == NULL)
        return;
    while ((entry = TAILQ_FIRST(&history->all)) != NULL)
        drop(history, entry);
    free(history);
}

/* --------------------------------------------------------------- what comes */

static struct entry *
add(struct history *history, const struct grant_key *key, const char *queue_id)
{
    struct entry *entry = mem_new(sizeof(*entry));

    entry->key = *key;
    entry->size = sizeof(*entry);
    snprintf(entry->queue_id, sizeof(entry->queue_id), "%s", queue_id);
    TAILQ_INSERT_TAIL(&history->all, entry, order);
    LIST_INSERT_HEAD(&history->by_key[key->low % BUCKETS], entry, by_key);
    LIST_INSERT_HEAD(queue_id_bucket(history, queue_id), entry, by_queue_id);
    history->count++;
    history->bytes += entry->size;
    return entry;
}

/* Something was heard of it just now, under this queue id. */
static void
touch(struct history *history, struct entry *entry, const char *queue_id, int64_t now_ms)
{
    entry->heard_ms = now_ms;
    TAILQ_REMOVE(&history->all, entry, order);
    TAILQ_INSERT_TAIL(&history->all, entry, order);
    if (strcmp(entry->queue_id, queue_id) == 0)
        return;
    LIST_REMOVE(entry, by_queue_id);
    snprintf(entry->queue_id, sizeof(entry->queue_id), "%s", queue_id);
    LIST_INSERT_HEAD(queue_id_bucket(history, queue_id), entry, by_queue_id);
}

/* Those that nothing was heard of for longest go, when they are too old or too many. */
static void
make_room(struct history *history, int64_t now_ms)
{
    struct entry *oldest;

    while ((oldest = TAILQ_FIRST(&history->all)) != NULL &&
           (history->count > HISTORY_MAX || history->bytes > HISTORY_BYTES_MAX ||
            now_ms - oldest->heard_ms > HISTORY_MS))
        drop(history, oldest);
}

/*
 * What the server said, as Postfix told it: "5.7.1 host mx.example.net[192.0.2.9]
 * said: 550 ...".  It will be the text of a transport, and so is made printable.
 */
static void
set_words(struct history *history, struct entry *entry, const struct outcome *outcome)
{
    const char *enhanced = outcome->reply.enhanced;
    struct buf words = {0};

    if (enhanced[0] != '\0') /* of what was deferred it may begin with 4 */
        buf_printf(&words, "5%s ", enhanced + 1);
    else
        buf_puts(&words, "5.0.0 ");
    for (size_t i = 0; i < outcome->told.length && words.length < LOOKUP_WORDS_MAX; i++) {
        char c = outcome->told.start[i];

        buf_add(&words, c >= ' ' && c <= '~' ? &c : "?", 1);
    }
    history->bytes -= entry->size;
    free(entry->words);
    entry->size = sizeof(*entry) + words.room;
    history->bytes += entry->size;
    entry->words = buf_take(&words);
}

static void
set_name(address_name place, const struct address *address)
{
    snprintf(place, sizeof(address_name), "%s", address->name);
}

static void
note_refused(struct history *history, struct entry *entry, const struct outcome *outcome)
{
    const char *name = outcome->address->name;
    struct span host;

    if (strcmp(entry->greylisted, name) == 0)
        entry->greylisted[0] = '\0';
    if (reply_said_by(outcome->told.start, outcome->told.length, &host))
        set_words(history, entry, outcome);
    for (size_t i = 0; i < HISTORY_REFUSED_MAX; i++) {
        if (entry->refused[i][0] == '\0')
            set_name(entry->refused[i], outcome->address);
        if (strcmp(entry->refused[i], name) == 0)
            break;
    }
}

static bool
is_greylisting(const struct outcome *outcome)
{
    return outcome->status == MAILLOG_DEFERRED && outcome->rule != NULL &&
           outcome->rule->accused == ACCUSED_GREYLIST;
}

void
history_outcome(struct history *history, const struct outcome *outcome, int64_t now_ms)
{
    bool is_news = outcome->address != NULL && (outcome->rescued || is_greylisting(outcome));
    struct grant_key key;
    struct entry *entry;

    if (history->count == 0 && !is_news)
        return;
    grant_key(history->secret, outcome->message_id, outcome->recipient, &key);
    entry = find(history, &key);
    if (outcome->status != MAILLOG_DEFERRED) {
        if (entry != NULL)
            drop(history, entry);
        return;
    }
    if (entry == NULL && is_news)
        entry = add(history, &key, outcome->queue_id);
    if (entry == NULL)
        return;
    touch(history, entry, outcome->queue_id, now_ms);
    if (is_news && outcome->rescued) {
        note_refused(history, entry, outcome);
    } else if (is_news) {
        set_name(entry->greylisted, outcome->address);
        entry->greylisted_ms = now_ms;
    }
    make_room(history, now_ms);
}

void
history_gone(struct history *history, const char *queue_id)
{
    struct entry *entry, *next;

    for (entry = LIST_FIRST(queue_id_bucket(history, queue_id)); entry != NULL; entry = next) {
        next = LIST_NEXT(entry, by_queue_id);
        if (strcmp(entry->queue_id, queue_id) == 0)
            drop(history, entry);
    }
}

/* ------------------------------------------------------------ what it says */

void
history_find(struct history *history, const struct conf *conf, const char *message_id,
             const char *recipient, int64_t now_ms, struct lookup_history *ret_history)
{
    const struct snapshot *snapshot = conf->snapshot;
    struct grant_key key;
    struct entry *entry;
    int refused = 0, avoided = 0;

    if (history->count == 0)
        return;
    grant_key(history->secret, message_id, recipient, &key);
    entry = find(history, &key);
    if (entry == NULL || now_ms - entry->heard_ms > HISTORY_MS)
        return;
    if (entry->greylisted[0] != '\0' && now_ms - entry->greylisted_ms <= HISTORY_GREYLIST_MS)
        ret_history->prefer = snapshot_find_address(snapshot, entry->greylisted);
    while (refused < HISTORY_REFUSED_MAX && entry->refused[refused][0] != '\0') {
        const struct address *address = snapshot_find_address(snapshot, entry->refused[refused++]);

        if (address != NULL) /* else a reload took it away */
            ret_history->avoid[avoided++] = address;
    }
    ret_history->words = entry->words;
    ret_history->ended = refused >= conf->rescue_addresses && entry->words != NULL;
}

size_t
history_count(const struct history *history)
{
    return history->count;
}
