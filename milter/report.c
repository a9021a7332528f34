/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/report.h"

#include "lib/header.h"
#include "lib/mem.h"
#include "milter/fields.h"
#include "milter/mime.h"
#include "milter/report_value.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Names the recipient who complained, in the message that comes back, or in front of it. */
#define COMPLAINANT "X-HmXmrOriginalRecipient"

/* What the part is whose lines come in. */
enum role { ROLE_NONE, ROLE_FEEDBACK, ROLE_STATUS, ROLE_RETURNED };

struct report_reader {
    const char *const *names; /* not ours */
    size_t name_count;
    struct mime *mime; /* owned */
    enum role role;
    struct fields fields;
    bool begun; /* the part has a line that is not empty */

    enum role main; /* what the report is in: the first such part */
    bool told;      /* a field stood in it that belongs there */

    char agent[REPORT_TEXT_MAX + 1];
    char subject[REPORT_TEXT_MAX + 1];
    bool complained;
    struct report_recipient complainant;

    struct report_recipient recipient; /* whose fields come in */
    bool has_recipient;
    size_t failed, delayed;

    struct report report;
};

static void
add_recipient(struct report_reader *reader, const struct report_recipient *recipient)
{
    struct report *report = &reader->report;

    if (report->recipient_count < REPORT_RECIPIENTS_MAX)
        report->recipients[report->recipient_count] = *recipient;
    report->recipient_count++;
    reader->failed += recipient->action == REPORT_FAILED;
    reader->delayed += recipient->action == REPORT_DELAYED;
}

static bool
has_tag(const struct report *report, const struct tag *tag)
{
    for (size_t i = 0; i < report->tag_count; i++)
        if (strcmp(report->tags[i].stream, tag->stream) == 0 &&
            strcmp(report->tags[i].id, tag->id) == 0 && strcmp(report->tags[i].mac, tag->mac) == 0)
            return true;
    return false;
}

static void
take_tag(struct report *report, const char *address)
{
    struct tag tag;

    if (report->tag_count < REPORT_TAGS_MAX && tag_find(address, &tag) && !has_tag(report, &tag))
        report->tags[report->tag_count++] = tag;
}

/* The envelope sender of the message, with a tag or not. */
static void
take_sender(struct report *report, const char *value)
{
    char address[ADDR_MAX + 1] = "";

    report_take_address(value, address, sizeof(address));
    take_tag(report, address);
    tag_remove(address);
    if (report->sender[0] == '\0')
        strcpy(report->sender, address);
}

static void
take_complainant(struct report_reader *reader, const char *value)
{
    reader->complained = true;
    report_take_address(value, reader->complainant.original, sizeof(reader->complainant.original));
}

static void
on_feedback(void *arg, const char *name, const char *value)
{
    struct report_reader *reader = arg;
    struct report *report = &reader->report;
    struct report_recipient recipient = {0};

    if (strcasecmp(name, "Feedback-Type") == 0) {
        report_take_word(value, report->type);
        addr_lower(report->type);
    } else if (strcasecmp(name, "Original-Mail-From") == 0) {
        take_sender(report, value);
    } else if (strcasecmp(name, "Original-Rcpt-To") == 0) {
        report_take_address(value, recipient.original, sizeof(recipient.original));
        add_recipient(reader, &recipient);
    } else if (strcasecmp(name, "Source-IP") == 0) {
        report_take_ip(value, &report->source);
    } else if (strcasecmp(name, "Incidents") == 0) {
        report_take_count(value, REPORT_INCIDENTS_MAX, &report->incidents);
    } else if (strcasecmp(name, "Arrival-Date") == 0 || strcasecmp(name, "Received-Date") == 0) {
        report_take_text(value, report->arrival);
    } else if (strcasecmp(name, "Reporting-MTA") == 0) {
        report_take_typed(value, report->reporter);
    } else if (strcasecmp(name, "User-Agent") == 0) {
        report_take_text(value, reader->agent);
    } else {
        return;
    }
    reader->told = true;
}

static void
end_recipient(struct report_reader *reader)
{
    struct report_recipient *recipient = &reader->recipient;

    if (!reader->has_recipient)
        return;
    if (recipient->action == REPORT_UNTOLD && recipient->status[0] == '5')
        recipient->action = REPORT_FAILED;
    else if (recipient->action == REPORT_UNTOLD && recipient->status[0] == '4')
        recipient->action = REPORT_DELAYED;
    add_recipient(reader, recipient);
    *recipient = (struct report_recipient){0};
    reader->has_recipient = false;
    reader->told = true;
}

/* Fields on the message: they come first, but nobody minds where. */
static bool
on_message_status(struct report *report, const char *name, const char *value)
{
    if (strcasecmp(name, "Reporting-MTA") == 0)
        report_take_typed(value, report->reporter);
    else if (strcasecmp(name, "Arrival-Date") == 0)
        report_take_text(value, report->arrival);
    else if (strcasecmp(name, "X-Postfix-Queue-ID") == 0)
        report_take_word(value, report->queue_id);
    else if (strcasecmp(name, "X-Postfix-Sender") == 0)
        take_sender(report, value);
    else
        return false;
    return true;
}

/*
 * An empty line is between recipients; where it is missing, the second address
 * of a kind begins the next one.
 */
static void
on_status(void *arg, const char *name, const char *value)
{
    struct report_reader *reader = arg;
    struct report_recipient *recipient = &reader->recipient;
    bool original = strcasecmp(name, "Original-Recipient") == 0;
    char *address = original ? recipient->original : recipient->final;

    if (on_message_status(&reader->report, name, value))
        return;
    if (original || strcasecmp(name, "Final-Recipient") == 0) {
        if (address[0] != '\0')
            end_recipient(reader);
        report_take_address(value, address, REPORT_ADDRESS_MAX + 1);
    } else if (strcasecmp(name, "Action") == 0) {
        report_take_action(value, &recipient->action);
    } else if (strcasecmp(name, "Status") == 0) {
        report_take_status(value, recipient->status);
    } else if (strcasecmp(name, "Diagnostic-Code") == 0) {
        recipient->said |= recipient->diagnostic[0] == '\0' && report_value_is_of(value, "smtp");
        report_take_typed(value, recipient->diagnostic);
    } else {
        return;
    }
    reader->has_recipient = true;
}

static void
take_hop(struct report *report, const char *value)
{
    if (report->hop_count < REPORT_HOPS_MAX &&
        report_read_received(value, &report->hops[report->hop_count]))
        report->hop_count++;
}

static void
on_returned(void *arg, const char *name, const char *value)
{
    struct report_reader *reader = arg;
    char address[ADDR_MAX + 1] = "";

    if (strcasecmp(name, "Return-Path") == 0) {
        take_sender(&reader->report, value);
    } else if (strcasecmp(name, "Received") == 0) {
        take_hop(&reader->report, value);
    } else if (strcasecmp(name, "Sender") == 0) {
        report_take_address(value, address, sizeof(address));
        take_tag(&reader->report, address);
    }
    if (strcasecmp(name, COMPLAINANT) == 0)
        take_complainant(reader, value);
    for (size_t i = 0; i < reader->name_count; i++)
        if (strcasecmp(name, reader->names[i]) == 0)
            report_take_text(value, reader->report.values[i]);
}

/* The types that a message or its header comes back as: RFC 6522, RFC 6533, and what is met. */
static bool
is_returned(const char *type)
{
    static const char *const types[] = {
        "message/rfc822",         "text/rfc822-headers", "message/rfc822-headers", "text/rfc822",
        "message/global-headers", "message/global",      "text/global-headers",
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool
on_part(void *arg, const char *type)
{
    struct report_reader *reader = arg;

    reader->role = ROLE_NONE;
    if (strcmp(type, "message/feedback-report") == 0)
        reader->role = ROLE_FEEDBACK;
    else if (strcmp(type, "message/delivery-status") == 0 ||
             strcmp(type, "message/global-delivery-status") == 0)
        reader->role = ROLE_STATUS;
    else if (is_returned(type) && !reader->report.returned)
        reader->role = ROLE_RETURNED;
    if (reader->role == ROLE_FEEDBACK || reader->role == ROLE_STATUS) {
        if (reader->main != ROLE_NONE)
            reader->role = ROLE_NONE;
        else
            reader->main = reader->role;
    }
    reader->report.returned |= reader->role == ROLE_RETURNED;
    reader->begun = false;
    return reader->role != ROLE_NONE;
}

static fields_fn *
field_of(enum role role)
{
    return role == ROLE_FEEDBACK ? on_feedback : role == ROLE_STATUS ? on_status : on_returned;
}

/* Empty lines before all else are a slip of whoever made the part. */
static bool
on_line(void *arg, const char *line, size_t length)
{
    struct report_reader *reader = arg;

    if (length == 0 && !reader->begun)
        return true;
    reader->begun = true;
    if (fields_line(&reader->fields, line, length, field_of(reader->role), reader))
        return true;
    if (reader->role == ROLE_STATUS)
        end_recipient(reader);
    return reader->role != ROLE_RETURNED; /* the body of that is nobody's business */
}

static void
on_end(void *arg)
{
    struct report_reader *reader = arg;

    fields_end(&reader->fields, field_of(reader->role), reader);
    if (reader->role == ROLE_STATUS)
        end_recipient(reader);
    reader->role = ROLE_NONE;
}

struct report_reader *
report_reader_new(const char *const *names, size_t count)
{
    struct report_reader *reader = mem_new(sizeof(*reader));
    struct mime_calls calls = {on_part, on_line, on_end, reader};

    reader->names = names;
    reader->name_count = count < REPORT_HEADERS_MAX ? count : REPORT_HEADERS_MAX;
    reader->mime = mime_new(&calls);
    return reader;
}

void
report_reader_free(struct report_reader *reader)
{
    if (reader == NULL)
        return;
    mime_free(reader->mime);
    free(reader);
}

void
report_header(struct report_reader *reader, const char *name, const char *value)
{
    char line[HEADER_VALUE_MAX + 1];

    mime_header(reader->mime, name, value);
    if (strcasecmp(name, "Subject") == 0) {
        header_unfold(value, line);
        report_take_text(line, reader->subject);
    } else if (strcasecmp(name, COMPLAINANT) == 0) {
        header_unfold(value, line);
        take_complainant(reader, line);
    }
}

void
report_body(struct report_reader *reader, const void *data, size_t length)
{
    mime_body(reader->mime, data, length);
}

/* Microsoft's, where the message itself is all there is: the subject names our address. */
static void
end_complaint(struct report_reader *reader)
{
    static const char subject[] = "complaint about message from ";
    struct report *report = &reader->report;

    report->kind = REPORT_FEEDBACK;
    strcpy(report->type, "abuse");
    if (strncasecmp(reader->subject, subject, sizeof(subject) - 1) == 0)
        report_take_ip(reader->subject + sizeof(subject) - 1, &report->source);
}

static enum report_kind
kind_of(const struct report_reader *reader)
{
    if (!reader->told)
        return REPORT_NONE;
    if (reader->main == ROLE_FEEDBACK)
        return REPORT_FEEDBACK;
    return reader->failed > 0 ? REPORT_BOUNCE : reader->delayed > 0 ? REPORT_DELAY : REPORT_RECEIPT;
}

const struct report *
report_end(struct report_reader *reader)
{
    struct report *report = &reader->report;

    mime_end(reader->mime);
    report->kind = kind_of(reader);
    if (report->kind == REPORT_NONE && reader->complained)
        end_complaint(reader);
    if (report->kind != REPORT_FEEDBACK)
        return report;
    if (report->type[strspn(report->type, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0' ||
        report->type[0] == '\0')
        strcpy(report->type, "other"); /* RFC 5965, section 3.1, of what is not known */
    if (report->incidents == 0)
        report->incidents = 1;
    if (report->reporter[0] == '\0')
        strcpy(report->reporter, reader->agent);
    if (report->recipient_count == 0 && reader->complained)
        add_recipient(reader, &reader->complainant);
    return report;
}

bool
report_is_complaint(const struct report *report)
{
    return report->kind == REPORT_FEEDBACK && strcmp(report->type, "not-spam") != 0 &&
           strcmp(report->type, "auth-failure") != 0;
}
