/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/outcome.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/replies.h"
#include "lib/tagged.h"
#include "policyd/queued.h"
#include "policyd/rescue.h"

#include <string.h>

#define SERVICE "pp-"

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const struct address *
address_with_ip(const struct snapshot *snapshot, struct span text)
{
    char copied[64];
    struct ip ip;

    span_copy(copied, sizeof(copied), text);
    if (!ip_parse(copied, &ip))
        return NULL;
    for (size_t i = 0; i < snapshot->address_count; i++)
        if (ip_compare(&snapshot->addresses[i].ip, &ip) == 0)
            return &snapshot->addresses[i];
    return NULL;
}

/* By the service, or where that has another name, by where it was sent from. */
static const struct address *
address_of(const struct snapshot *snapshot, const struct maillog *line)
{
    char name[ADDRESS_NAME_MAX + sizeof(SERVICE)];

    span_copy(name, sizeof(name), line->service);
    if (begins(name, SERVICE))
        return snapshot_find_address(snapshot, name + strlen(SERVICE));
    return line->from.length > 0 ? address_with_ip(snapshot, line->from) : NULL;
}

/* By its domain; while DNS has not told of that, by the host that took the mail. */
static const struct provider *
provider_of(const struct outcome_view *view, const char *domain, struct span relay)
{
    const struct snapshot *snapshot = view->conf->snapshot;
    const struct provider *provider = view->provider != NULL ? view->provider(view->arg, domain)
                                                             : provider_by_domain(snapshot, domain);
    char host[OUTCOME_DOMAIN_SIZE];
    const char *hosts[] = {host};

    if (provider != NULL)
        return provider;
    span_copy(host, sizeof(host), relay);
    host[strcspn(host, "[:")] = '\0';
    return provider_by_mx(snapshot, hosts, 1);
}

/*
 * Refused for good, and yet deferred.  policyd/rescue.h, which saw to that, had
 * nothing to tell the provider by but the host: what it took for one counts, too.
 */
static bool
is_rescued(const struct outcome_view *view, const struct maillog *line,
           const struct outcome *outcome)
{
    return outcome->status == MAILLOG_DEFERRED && outcome->reply.code >= 500 &&
           outcome->address != NULL &&
           (rescue_accuses(outcome->rule) ||
            rescue_rule(view->conf, line->dsn, line->reply) != NULL);
}

static void
read_sender(const struct outcome_view *view, const char *sender, struct outcome *outcome)
{
    struct tag tag;

    outcome->stream = tagged_stream(view->conf, sender, outcome->message_id);
    outcome->tagged = tag_find(sender, &tag) && tag_verify(view->conf->secret, &tag);
    tagged_recipient(outcome->message_id, outcome->recipient);
    span_copy(outcome->sender, sizeof(outcome->sender), (struct span){sender, strlen(sender)});
    tag_remove(outcome->sender);
    addr_domain(outcome->sender, outcome->account, sizeof(outcome->account));
}

static void
read_names(const struct outcome_view *view, struct span queue_id, struct span recipient,
           const char *sender, struct outcome *outcome)
{
    span_copy(outcome->queue_id, sizeof(outcome->queue_id), queue_id);
    span_copy(outcome->recipient, sizeof(outcome->recipient), recipient);
    addr_domain(outcome->recipient, outcome->domain, sizeof(outcome->domain));
    read_sender(view, sender, outcome);
}

bool
outcome_make(const struct outcome_view *view, const struct maillog_time *time,
             const struct maillog *line, const struct reply *reply, const char *sender,
             struct outcome *ret_outcome)
{
    struct outcome *outcome = ret_outcome;
    int64_t at_ms;

    if (line->status == MAILLOG_OTHER_STATUS || line->recipient.length > ADDR_MAX)
        return false;
    memset(outcome, 0, sizeof(*outcome));
    read_names(view, line->queue_id, line->recipient, sender, outcome);
    outcome->address = address_of(view->conf->snapshot, line);
    outcome->blamed = outcome->address;
    outcome->provider = provider_of(view, outcome->domain, line->relay);
    outcome->status = line->status;
    outcome->told = line->reply;
    if (reply != NULL)
        outcome->reply = *reply;
    else
        reply_read(line->dsn.start, line->dsn.length, line->reply.start, line->reply.length,
                   &outcome->reply);
    outcome->reached = line->status == MAILLOG_SENT || reply_reached(&outcome->reply);
    outcome->ours = outcome->address == NULL && outcome->reply.origin != REPLY_SAID &&
                    begins(outcome->reply.text, OUTCOME_OWN);
    outcome->own = outcome->ours && line->status == MAILLOG_DEFERRED;
    outcome->late = outcome->ours && line->status == MAILLOG_BOUNCED &&
                    begins(outcome->reply.text, OUTCOME_EXPIRED);
    if (line->status != MAILLOG_SENT && !outcome->own && !outcome->late)
        outcome->rule = replies_find(&view->conf->replies, outcome->provider, &outcome->reply);
    outcome->rescued = is_rescued(view, line, outcome);
    outcome->full = outcome->own && (begins(outcome->reply.text, OUTCOME_FULL) ||
                                     begins(outcome->reply.text, OUTCOME_UNENGAGED) ||
                                     begins(outcome->reply.text, OUTCOME_BUSY));
    at_ms = maillog_time_ms(time, view->now_ms, view->local_offset_s);
    outcome->at_ms = at_ms >= 0 ? at_ms : view->now_ms;
    outcome->delay_ms = line->delay_ms;
    memcpy(outcome->delays_ms, line->delays_ms, sizeof(outcome->delays_ms));
    return true;
}

void
outcome_expire(struct outcome *outcome, int64_t at_ms)
{
    if (outcome->delay_ms >= 0 && at_ms > outcome->at_ms)
        outcome->delay_ms += at_ms - outcome->at_ms;
    outcome->at_ms = at_ms;
    outcome->status = MAILLOG_BOUNCED;
    outcome->expired = true;
    outcome->rescued = outcome->own = outcome->full = false;
}

bool
outcome_of_wait(const struct outcome_view *view, const struct queued_wait *wait,
                struct outcome *ret_outcome)
{
    struct span recipient = {wait->recipient, strlen(wait->recipient)};

    if (recipient.length > ADDR_MAX)
        return false;
    memset(ret_outcome, 0, sizeof(*ret_outcome));
    read_names(view, wait->queue_id, recipient, wait->sender, ret_outcome);
    ret_outcome->provider = provider_of(view, ret_outcome->domain, (struct span){"", 0});
    ret_outcome->status = MAILLOG_DEFERRED;
    ret_outcome->ours = ret_outcome->own = true;
    ret_outcome->at_ms = view->now_ms;
    ret_outcome->delay_ms = view->now_ms - wait->since_ms;
    for (size_t i = 0; i < sizeof(ret_outcome->delays_ms) / sizeof(ret_outcome->delays_ms[0]); i++)
        ret_outcome->delays_ms[i] = -1;
    return true;
}
