/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/attempt.h"

#include "ctl/mails.h"
#include "ctl/mapping.h"
#include "engine/classify.h"
#include "engine/decide.h"
#include "engine/provider.h"
#include "lib/conf.h"
#include "lib/logtext.h"
#include "lib/tagged.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Handed to something on this host, which hands it back under another queue id. */
static bool
is_filter(struct span relay)
{
    static const char *const hosts[] = {"[127.0.0.1]:", "[::1]:"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        if (memmem(relay.start, relay.length, hosts[i], strlen(hosts[i])) != NULL)
            return true;
    return false;
}

static bool
is_bypass(const struct conf *conf, const char *domain)
{
    if (snapshot_is_bypass(conf->snapshot, domain))
        return true;
    for (size_t i = 0; i < conf->local_domains.count; i++)
        if (strcasecmp(conf->local_domains.items[i], domain) == 0)
            return true;
    return false;
}

enum attempt_kind
attempt_make(const struct conf *conf, const struct maillog *line, struct mail *mail,
             struct attempt *ret_attempt)
{
    struct attempt *attempt = ret_attempt;

    attempt->line = line;
    attempt->mail = mail;
    span_copy(attempt->recipient, sizeof(attempt->recipient), line->recipient);
    addr_domain(attempt->recipient, attempt->domain, sizeof(attempt->domain));
    if (is_filter(line->relay))
        return ATTEMPT_FILTER;
    if (logtext_is(line->service, "relay"))
        return ATTEMPT_RELAY;
    if (is_bypass(conf, attempt->domain))
        return ATTEMPT_BYPASS;
    if (mail == NULL || !mail->active)
        return ATTEMPT_UNKNOWN;
    snprintf(attempt->sender, sizeof(attempt->sender), "%s",
             mail->sender != NULL ? mail->sender : "");
    tag_remove(attempt->sender);
    addr_domain(attempt->sender, attempt->account, sizeof(attempt->account));
    return ATTEMPT_OUT;
}

struct span
attempt_host(const struct maillog *line)
{
    struct cursor reader = {line->relay.start, line->relay.start + line->relay.length};
    struct span host;

    return cursor_take_until(&reader, "[", &host) ? host : line->relay;
}

/* "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4Zk9bQ4vXzz8Pq" */
struct mail *
attempt_filtered(struct mails *mails, const struct maillog *line)
{
    struct cursor reader = {line->reply.start, line->reply.start + line->reply.length};
    struct span rest, id = {NULL, 0};

    while (cursor_take_until(&reader, "queued as ", &rest))
        id.start = reader.at;
    if (id.start == NULL)
        return NULL;
    while (reader.at < reader.end && logtext_is_word(*reader.at))
        reader.at++;
    id.length = (size_t)(reader.at - id.start);
    return mails_find(mails, id);
}

/* The host that was tried; of several that could not be reached, the last. */
static struct span
host_of(const struct maillog *line)
{
    struct cursor reader = {line->reply.start, line->reply.start + line->reply.length};

    if (logtext_is(line->relay, "none") && cursor_take(&reader, "connect to "))
        return (struct span){reader.at, cursor_left(&reader)};
    return line->relay;
}

const struct provider *
attempt_provider(const struct conf *conf, const struct attempt *attempt)
{
    const struct snapshot *snapshot = conf->snapshot;
    const struct provider *provider = provider_by_domain(snapshot, attempt->domain);
    char host[ATTEMPT_DOMAIN_SIZE];
    const char *hosts[] = {host};

    if (provider != NULL)
        return provider;
    span_copy(host, sizeof(host), host_of(attempt->line));
    host[strcspn(host, "[:")] = '\0';
    return provider_by_mx(snapshot, hosts, 1);
}

/* ------------------------------------------------------------------ streams */

/* What the log does not tell of one that a client brought, and what it does not tell at all. */
enum {
    NOT_TOLD = 1u << CONDITION_HEADER | 1u << CONDITION_DAEMON,
    NOTHING_TOLD = NOT_TOLD | 1u << CONDITION_SASL_USER | 1u << CONDITION_CLIENT,
};

static bool
is_internal(const struct conf *conf, const struct ip *client)
{
    for (size_t i = 0; i < conf->internal_count; i++)
        if (ip_net_has(&conf->internal[i], client))
            return true;
    return false;
}

/* The milter tags it; of other mail the sender alone tells the stream. */
static bool
is_own(const struct conf *conf, const struct mail *mail)
{
    return mail->by_client &&
           (mail->login != NULL || mail->client.family == 0 || is_internal(conf, &mail->client));
}

/* The stream of mail that has no genuine tag and that the admin says nothing of. */
static void
guess_stream(const struct conf *conf, const struct attempt *attempt)
{
    const char *recipient = attempt->recipient;
    struct mail *mail = attempt->mail;
    struct facts facts = {.sender = attempt->sender};

    if (is_own(conf, mail) || !mail->begun) {
        facts.recipients = &recipient;
        facts.recipient_count = 1;
        facts.sasl_user = mail->login;
        facts.client = mail->client;
        if (mail->by_client && mail->client.family == 0) /* as Postfix has it for sendmail(1) */
            ip_parse("127.0.0.1", &facts.client);
    }
    mail->stream = mail->perhaps = classify(conf->snapshot, &facts);
    if (facts.recipient_count == 0)
        return;
    facts.granted = mail->begun ? NOT_TOLD : NOTHING_TOLD;
    mail->perhaps = classify(conf->snapshot, &facts);
}

/* Has its sender a tag of this site's? */
static bool
is_tagged(const struct conf *conf, const struct mail *mail, struct tag *ret_tag)
{
    return mail->sender != NULL && tag_find(mail->sender, ret_tag) &&
           tag_verify(conf->secret, ret_tag);
}

void
attempt_find_stream(const struct conf *conf, const struct mapping *mapping,
                    const struct attempt *attempt)
{
    struct mail *mail = attempt->mail;
    struct mapping_facts facts = {attempt->sender, mail->login, mail->service, mail->client};
    char id[TAG_SENDER_SIZE];
    struct tag tag;

    if (mail->stream != NULL)
        return;
    if (is_tagged(conf, mail, &tag))
        mail->stream = tagged_stream(conf, mail->sender, id);
    else
        mail->stream = mapping_find(mapping, &facts);
    mail->perhaps = mail->stream;
    if (mail->stream == NULL)
        guess_stream(conf, attempt);
}

uint64_t
attempt_key(const struct conf *conf, const struct attempt *attempt)
{
    const struct mail *mail = attempt->mail;
    char message[TAG_SENDER_SIZE];
    struct tag tag;

    if (is_tagged(conf, mail, &tag))
        return decide_key(tag.id, attempt->domain);
    if (is_own(conf, mail) || !mail->begun)
        snprintf(message, sizeof(message), "%.*s %lld", (int)mail->id_length, mail->id,
                 (long long)mail->came_ms);
    else
        snprintf(message, sizeof(message), "%s",
                 attempt->sender[0] != '\0' ? attempt->sender : attempt->recipient);
    addr_lower(message);
    return decide_key(message, attempt->domain);
}
