/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/report_line.h"

#include "lib/conf.h"
#include "lib/mark.h"
#include "lib/mem.h"

#include <string.h>

enum { QUOTED_MAX = 260 }; /* bytes of a stranger's text: all of them fit into a line of the log */

static void
add_quoted(struct buf *line, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_printf(line, ", %s=\"", key);
    for (size_t i = 0; text[i] != '\0' && i < QUOTED_MAX; i++) {
        bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;

        if (text[i] == '"' || text[i] == '\\')
            buf_puts(line, "\\");
        buf_add(line, control ? "?" : text + i, 1);
    }
    buf_puts(line, "\"");
}

/* A genuine tag. */
static bool
find_tag(const struct conf *conf, const struct report *report, const char *came_to,
         struct tag *ret_tag)
{
    struct tag tag;

    for (size_t i = 0; i < report->tag_count; i++) {
        *ret_tag = report->tags[i];
        if (tag_verify(conf->secret, ret_tag))
            return true;
    }
    if (tag_find(came_to, &tag) && tag_verify(conf->secret, &tag)) {
        *ret_tag = tag;
        return true;
    }
    return false;
}

static const struct address *
find_address(const struct snapshot *snapshot, const struct ip *ip)
{
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];

        if (ip_compare(&address->ip, ip) == 0 ||
            (address->public_ip.family != 0 && ip_compare(&address->public_ip, ip) == 0))
            return address;
    }
    return NULL;
}

/* The recipient that the report is about: the first of those that fared worst. */
static const struct report_recipient *
find_recipient(const struct report *report)
{
    enum report_action action = report->kind == REPORT_BOUNCE  ? REPORT_FAILED
                                : report->kind == REPORT_DELAY ? REPORT_DELAYED
                                                               : REPORT_UNTOLD;

    for (size_t i = 0; i < report->recipient_count && i < REPORT_RECIPIENTS_MAX; i++)
        if (report->recipients[i].action == action || action == REPORT_UNTOLD)
            return &report->recipients[i];
    return NULL;
}

/* Whose mail it was. */
static void
add_message(struct buf *line, const struct conf *conf, const struct report *report,
            const char *came_to)
{
    struct tag tag;
    struct mark mark;
    bool tagged = find_tag(conf, report, came_to, &tag);
    bool marked = mark_read(conf->secret, report->values[REPORT_LINE_MARK], &mark);

    if (tagged)
        buf_printf(line, ", stream=%s, id=%s, by=tag", tag.stream, tag.id);
    else if (marked)
        buf_printf(line, ", stream=%s, id=%s, by=mark", mark.stream, mark.id);
    if (marked && (!tagged || strcmp(tag.id, mark.id) == 0))
        buf_printf(line, ", account=%s", mark.account);
}

/* By the report, else by the hosts that the message passed: nearest to us, but not behind us. */
static void
add_source(struct buf *line, const struct conf *conf, const struct report *report)
{
    const struct address *address = NULL;
    char source[IP_TEXT_SIZE];

    if (report->source.family != 0)
        address = find_address(conf->snapshot, &report->source);
    for (size_t i = 0; i < report->hop_count && report->source.family == 0 && address == NULL; i++)
        address = find_address(conf->snapshot, &report->hops[i]);
    if (address != NULL) {
        buf_printf(line, ", address=%s", address->name);
    } else if (report->source.family != 0) {
        ip_print(&report->source, source);
        buf_printf(line, ", source=%s", source);
    }
}

static const char *
address_of(const struct report_recipient *recipient)
{
    return recipient->original[0] != '\0' ? recipient->original : recipient->final;
}

/* Of the recipient, where it can be nothing else. */
static void
add_domain(struct buf *line, const struct report_recipient *recipient)
{
    char domain[256];

    if (recipient == NULL)
        return;
    addr_domain(address_of(recipient), domain, sizeof(domain));
    if (domain[0] != '\0' &&
        strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(domain))
        buf_printf(line, ", domain=%s", domain);
}

static void
add_recipient(struct buf *line, const struct report_recipient *recipient)
{
    if (recipient == NULL)
        return;
    add_quoted(line, "to", address_of(recipient));
    add_quoted(line, "reason", recipient->diagnostic);
}

char *
report_line(const struct conf *conf, const struct report *report, const char *came_to)
{
    static const char *const words[] = {
        [REPORT_NONE] = "no report", [REPORT_FEEDBACK] = "feedback", [REPORT_BOUNCE] = "bounce",
        [REPORT_DELAY] = "delay",    [REPORT_RECEIPT] = "receipt",
    };
    const struct report_recipient *recipient = find_recipient(report);
    struct buf line = {0};

    buf_printf(&line, "%s: ", report_is_complaint(report) ? "complaint" : words[report->kind]);
    if (report->kind == REPORT_FEEDBACK)
        buf_printf(&line, "type=%s, incidents=%u", report->type, report->incidents);
    else
        buf_printf(&line, "recipients=%zu", report->recipient_count);
    if (recipient != NULL && recipient->status[0] != '\0')
        buf_printf(&line, ", status=%s", recipient->status);
    add_message(&line, conf, report, came_to);
    add_source(&line, conf, report);
    add_domain(&line, recipient);
    add_quoted(&line, "from", report->sender);
    add_recipient(&line, recipient);
    add_quoted(&line, "header", report->values[REPORT_LINE_SHOWN]);
    add_quoted(&line, "reporter", report->reporter);
    add_quoted(&line, "came_to", came_to);
    return buf_take(&line);
}
