/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/session.h"

#include "engine/glob.h"
#include "lib/conf.h"
#include "lib/header.h"
#include "lib/mem.h"
#include "milter/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FEEDBACK_ID "Feedback-ID"

enum { DAY_S = 24 * 3600 };

struct session *
session_new(void)
{
    return mem_new(sizeof(struct session));
}

void
session_reset(struct session *session)
{
    for (size_t i = 0; i < session->recipient_count && i < SESSION_RECIPIENTS_MAX; i++)
        free(session->recipients[i]);
    for (size_t i = 0; i < session->header_count; i++)
        free(session->header_texts[i]);
    free(session->sasl_user);
    free(session->strip_counts);
    report_reader_free(session->report); /* uses a name of conf */
    conf_unref(session->conf);
    session->conf = NULL;
    session->own = false;
    session->sender[0] = '\0';
    session->sender_usable = false;
    session->sasl_user = NULL;
    session->recipient_count = 0;
    session->remote = false;
    session->header_count = 0;
    session->own_headers = 0;
    session->own_marks = 0;
    session->has_feedback_id = false;
    session->hint_headers = 0;
    session->strip_counts = NULL;
    session->report = NULL;
    session->bulk = (struct bulk){0};
}

void
session_free(struct session *session)
{
    if (session == NULL)
        return;
    session_reset(session);
    free(session->daemon);
    free(session);
}

static bool
is_internal(const struct session *session)
{
    const struct conf *conf = session->conf;

    for (size_t i = 0; i < conf->internal_count; i++)
        if (ip_net_has(&conf->internal[i], &session->client))
            return true;
    return false;
}

/*
 * Will Postfix read the local part as it stands?  Comments, brackets and the
 * like it reads as something else.  RFC 5322, section 3.2.3; RFC 6531.
 */
static bool
is_plain(const char *text, const struct addr *addr)
{
    for (size_t i = 0; !addr->quoted && i < addr->local_length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x80 && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
            (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~.", c) == NULL))
            return false;
    }
    return true;
}

static bool
is_taggable(const char *sender)
{
    struct addr addr;

    return addr_split(sender, &addr) == 0 && addr.domain != NULL && is_plain(sender, &addr);
}

/*
 * The address to tag.  A sender without domain, or with a source route or a
 * comment, is something else once Postfix has read it; then its own form counts.
 */
static void
set_sender(struct session *session, const char *text, const char *canonical)
{
    struct addr addr;

    session->sender_usable = false;
    if (addr_unwrap(text, session->sender) < 0) { /* too long: its start will do to name it */
        snprintf(session->sender, sizeof(session->sender), "%s", text);
        return;
    }
    if (session->sender[0] == '\0')
        return;
    if (!is_taggable(session->sender) && canonical != NULL && canonical[0] != '\0' &&
        addr_unwrap(canonical, session->sender) < 0)
        return; /* as the client wrote it, it names the sender still */
    tag_remove(session->sender);
    session->sender_usable =
        addr_split(session->sender, &addr) == 0 && is_plain(session->sender, &addr);
}

void
session_mail(struct session *session, struct conf *conf, const char *sender, const char *canonical,
             const char *sasl_user)
{
    session_reset(session);
    session->conf = conf;
    session->strip_counts = mem_array(conf->strip.count, sizeof(*session->strip_counts));
    session->own = session->submission || sasl_user != NULL || is_internal(session);
    if (!session->own)
        return;
    session->sasl_user = sasl_user != NULL ? mem_strdup(sasl_user) : NULL;
    set_sender(session, sender, canonical);
}

static bool
list_has(const struct conf_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcasecmp(list->items[i], word) == 0)
            return true;
    return false;
}

/*
 * Where Postfix does not name a transport (sendmail submission), the domain
 * tells.  When in doubt a recipient is remote: a tag too many is untagged, one
 * too few sends mail from another stream's address.
 */
static bool
is_remote(const struct session *session, const char *address, const char *mailer)
{
    const struct conf *conf = session->conf;
    char domain[256];

    if (mailer != NULL && mailer[0] != '\0')
        return !list_has(&conf->local_mailers, mailer);
    addr_domain(address, domain, sizeof(domain));
    return domain[0] != '\0' && strcasecmp(domain, conf->node) != 0 &&
           !list_has(&conf->local_domains, domain);
}

/* Whoever sends it: a report may come by way of a relay of the site's own. */
static void
begin_report(struct session *session, const char *recipient)
{
    const struct conf *conf = session->conf;
    char tagged[ADDR_MAX + 1], address[ADDR_MAX + 1];

    if (session->report != NULL || addr_unwrap(recipient, tagged) < 0)
        return;
    strcpy(address, tagged);
    tag_remove(address);
    for (size_t i = 0; i < conf->complaint_addresses.count; i++) {
        if (!glob_match(conf->complaint_addresses.items[i], address, true))
            continue;
        strcpy(session->report_address, tagged);
        session->report_names[REPORT_LINE_SHOWN] = conf->complaint_header;
        session->report_names[REPORT_LINE_MARK] = conf->mark_header;
        session->report = report_reader_new(session->report_names, REPORT_LINE_HEADERS);
        return;
    }
}

void
session_rcpt(struct session *session, const char *recipient, const char *mailer)
{
    char address[ADDR_MAX + 1];

    if (session->conf == NULL)
        return;
    begin_report(session, recipient);
    if (!session->own)
        return;
    if (addr_unwrap(recipient, address) < 0) {
        session->remote = true;
        return;
    }
    session->remote = session->remote || is_remote(session, address, mailer);
    if (session->recipient_count < SESSION_RECIPIENTS_MAX)
        session->recipients[session->recipient_count++] = mem_strdup(address);
}

static bool
is_asked_for(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->header_count; i++)
        if (strcasecmp(snapshot->headers[i], name) == 0)
            return true;
    return false;
}

/* Of one that is removed. */
static void
count_header(struct session *session, const char *name)
{
    const struct conf *conf = session->conf;

    if (conf->hint.header != NULL && strcasecmp(name, conf->hint.header) == 0) {
        session->hint_headers++;
        return; /* if it is to be stripped, too, that is once enough */
    }
    for (size_t i = 0; i < conf->strip.count; i++)
        if (strcasecmp(name, conf->strip.items[i]) == 0)
            session->strip_counts[i]++;
}

void
session_header(struct session *session, const char *name, const char *value)
{
    char line[HEADER_VALUE_MAX + 1];
    size_t at = session->header_count, length = strlen(name);
    const struct conf *conf = session->conf;
    char *text;

    if (session->report != NULL)
        report_header(session->report, name, value);
    if (conf == NULL || !session->own)
        return;
    if (strcasecmp(name, conf->stream_header) == 0) {
        session->own_headers++;
        return; /* never decides anything: anyone can write it */
    }
    if (strcasecmp(name, conf->mark_header) == 0) {
        session->own_marks++;
        return;
    }
    session->has_feedback_id |= strcasecmp(name, FEEDBACK_ID) == 0;
    if (conf->snapshot->require != 0)
        bulk_header(&session->bulk, name, value);
    count_header(session, name);
    if (at == SESSION_HEADERS_MAX || !is_asked_for(conf->snapshot, name))
        return;
    header_unfold(value, line);
    text = mem_array(length + strlen(line) + 2, 1);
    strcpy(text, name);
    strcpy(text + length + 1, line);
    session->header_texts[at] = text;
    session->headers[at] = (struct header){text, text + length + 1};
    session->header_count++;
}

bool
session_body(struct session *session, const void *data, size_t length)
{
    if (session->report == NULL)
        return false;
    report_body(session->report, data, length);
    return true;
}

char *
session_report(struct session *session)
{
    if (session->report == NULL)
        return NULL;
    return report_line(session->conf, report_end(session->report), session->report_address);
}

/* What reports on the message are to be known by.  Without a tag the log has no id of it. */
static void
add_headers(const struct session *session, struct verdict *verdict)
{
    const struct conf *conf = session->conf;
    const struct stream *stream = verdict->stream;
    bool has_id = session->has_feedback_id && !list_has(&conf->strip, FEEDBACK_ID);
    char account[256];

    addr_domain(session->sender, account, sizeof(account));
    if (stream->mark && verdict->tag)
        mark_print(conf->secret, stream->name, verdict->id, account, verdict->mark);
    if (stream->feedback_id != NULL && !has_id)
        feedback_id_print(stream->feedback_id, stream->name, account, verdict->feedback_id);
}

void
session_verdict(const struct session *session, uint64_t random, int64_t now_s,
                struct verdict *ret_verdict)
{
    const struct conf *conf = session->conf;
    struct facts facts = {
        .sender = session->sender,
        .sasl_user = session->sasl_user,
        .daemon = session->daemon,
        .client = session->client,
        .recipients = (const char *const *)session->recipients,
        .recipient_count = session->recipient_count,
        .headers = session->headers,
        .header_count = session->header_count,
    };

    *ret_verdict = (struct verdict){0};
    if (conf == NULL || !session->own || !session->remote)
        return;
    ret_verdict->stream = classify(conf->snapshot, &facts);
    ret_verdict->unmet = bulk_unmet(&session->bulk, ret_verdict->stream->require, session->sender);
    tag_id(random, now_s, ret_verdict->id);
    if (session->sender[0] == '\0')
        return; /* the null sender is never tagged */
    ret_verdict->hint =
        hint_read(&conf->hint, &facts, (int32_t)(now_s / DAY_S), &ret_verdict->hint_day);
    if (ret_verdict->hint == HINT_DAY)
        tag_add_day(conf->secret, ret_verdict->id, ret_verdict->hint_day);
    if (session->sender_usable && tag_add(conf->secret, session->sender, ret_verdict->stream->name,
                                          ret_verdict->id, ret_verdict->sender) == 0)
        ret_verdict->tag = true;
    else
        ret_verdict->too_odd = true;
    add_headers(session, ret_verdict);
}
