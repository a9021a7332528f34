/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/rescue.h"

#include "engine/curbs.h"
#include "engine/provider.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/maillog.h"
#include "lib/reply.h"

#include <string.h>

bool
rescue_accuses(const struct reply_rule *rule)
{
    return rule != NULL &&
           (rule->accused == ACCUSED_ADDRESS || rule->accused == ACCUSED_ADDRESS_PROVIDER);
}

/* Whose server is it?  NULL: these are no server's words. */
static const struct provider *
provider_of(const struct conf *conf, const char *text, size_t length)
{
    char name[PROVIDER_DOMAIN_SIZE];
    const char *hosts[] = {name};
    struct span host;

    if (!reply_said_by(text, length, &host))
        return NULL;
    if (host.length >= sizeof(name)) /* no host has such a name */
        host.length = 0;
    memcpy(name, host.start, host.length);
    name[host.length] = '\0';
    return provider_by_mx(conf->snapshot, hosts, 1);
}

static const struct reply_rule *
rule_of(const struct conf *conf, const struct provider *provider, const struct reply *reply)
{
    const struct reply_rule *rule = provider != NULL && reply->code >= 500
                                        ? replies_find(&conf->replies, provider, reply)
                                        : NULL;

    return rescue_accuses(rule) ? rule : NULL;
}

/*
 * What the log will have of it: all, but for the end of a very long one, where
 * another rule might fit than here.
 */
static struct span
shorten(struct span told)
{
    if (told.length > RESCUE_WORDS_MAX)
        told.length = RESCUE_WORDS_MAX;
    return told;
}

static const struct reply_rule *
rule_for(const struct conf *conf, const struct provider *provider, struct span dsn,
         struct span told)
{
    struct reply reply;

    if (provider == NULL)
        return NULL;
    told = shorten(told);
    reply_read(dsn.start, dsn.length, told.start, told.length, &reply);
    return rule_of(conf, provider, &reply);
}

const struct reply_rule *
rescue_rule(const struct conf *conf, struct span dsn, struct span told)
{
    return rule_for(conf, provider_of(conf, told.start, told.length), dsn, told);
}

/* --------------------------------------------------------- another address */

/* An address that was refused, and where. */
struct refused {
    const struct rescue_view *view;
    const struct address *address;
    const struct provider *provider;
};

static bool
is_held_back(const struct curb *curb)
{
    return curb->share == 0 || curb->drained;
}

static bool
may_send(const struct refused *refused, const struct address *address)
{
    const struct rescue_view *view = refused->view;

    if (address == refused->address || !view->roster->present[address->index])
        return false;
    return view->curbs == NULL ||
           (!is_held_back(curbs_address(view->curbs, address)) &&
            !is_held_back(curbs_provider(view->curbs, address, refused->provider)));
}

static bool
has_another(const struct refused *refused, const struct pool *pool)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (may_send(refused, pool->members[i].address))
            return true;
    return false;
}

static bool
holds(const struct pool *pool, const struct address *address)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i].address == address)
            return true;
    return false;
}

/* May mail of a stream with this pool leave from the address, and from another? */
static bool
pool_rescues(const struct refused *refused, const struct pool *pool)
{
    bool held = holds(pool, refused->address), another = has_another(refused, pool);

    for (size_t i = 0; i < pool->overflow_count && !(held && another); i++) {
        held = held || holds(pool->overflow[i], refused->address);
        another = another || has_another(refused, pool->overflow[i]);
    }
    return held && another;
}

/* Which stream the mail is of is not known, so that any will do. */
static bool
is_another(const struct refused *refused)
{
    const struct snapshot *snapshot = refused->view->conf->snapshot;

    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (pool_rescues(refused, &snapshot->pools[i]))
            return true;
    return false;
}

/* ------------------------------------------------------------------ answers */

/* "5.7.1 words": the status, and what stands behind the blank. */
static bool
cut(const char *key, struct span *ret_status, struct span *ret_words)
{
    size_t length = strcspn(key, " ");

    if (key[0] != '5' || key[1] != '.' || key[length] == '\0' || key[length + 1] == '\0')
        return false;
    for (const char *c = key; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) /* Postfix makes them printable */
            return false;
    *ret_status = (struct span){key, length};
    *ret_words = (struct span){key + length + 1, strlen(key + length + 1)};
    return true;
}

static bool
is_rescued(const struct rescue_view *view, const char *name, const char *key)
{
    const struct conf *conf = view->conf;
    struct refused refused = {.view = view};
    struct span status, words;

    if (!view->counted || !conf->rescue_enabled || !cut(key, &status, &words) ||
        maillog_is_doubtful(words)) /* nobody would count it */
        return false;
    refused.address = snapshot_find_address(conf->snapshot, name);
    refused.provider = provider_of(conf, words.start, words.length);
    if (refused.address == NULL || refused.provider == NULL)
        return false;
    return rule_for(conf, refused.provider, status, words) != NULL && is_another(&refused);
}

size_t
rescue_answer(const struct rescue_view *view, const char *name, const char *key, char *out)
{
    static const char not_found[] = "NOTFOUND ", found[] = "OK 4";
    size_t length = strlen(found) - 1 + strlen(key);

    _Static_assert((int)RESCUE_ANSWER_SIZE >= (int)sizeof(not_found), "it fits, whatever the key");
    if (!is_rescued(view, name, key)) {
        memcpy(out, not_found, sizeof(not_found));
        return strlen(not_found);
    }
    memcpy(out, found, strlen(found));
    strcpy(out + strlen(found), key + 1); /* behind the 5 */
    return length;
}
