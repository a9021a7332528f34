/*
 * A complaint or bounce that comes in by mail, in pieces; the size of the
 * pieces must make no difference.
 *
 * Input: a byte, then the message.  The byte's low bits say how large a piece
 * is, the two on top what is in front of the message: nothing, so that it has
 * a header of its own, or the header of a feedback report (1), of a delivery
 * status (2), of a multipart whose boundary is "x" (3).
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/mem.h"
#include "milter/report.h"

#include <string.h>

static const char *const names[] = {"Feedback-ID", "X-Postpool-ID"};
enum { NAME_COUNT = 2 };

static const char *const types[] = {
    NULL,
    "message/feedback-report",
    "message/delivery-status",
    "multipart/report; boundary=x",
};

/* A text that ends, and is one line. */
static void
check_text(const char *text, size_t max)
{
    size_t length = strnlen(text, max + 1);

    MUST(length <= max);
    for (size_t i = 0; i < length; i++)
        MUST((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void
check_recipient(const struct report_recipient *recipient)
{
    check_text(recipient->original, REPORT_ADDRESS_MAX);
    check_text(recipient->final, REPORT_ADDRESS_MAX);
    check_text(recipient->status, REPORT_STATUS_MAX);
    check_text(recipient->diagnostic, REPORT_TEXT_MAX);
    MUST(recipient->status[0] == '\0' || recipient->status[1] == '.');
}

static void
check_report(const struct report *report)
{
    check_text(report->type, REPORT_WORD_MAX);
    check_text(report->reporter, REPORT_TEXT_MAX);
    check_text(report->arrival, REPORT_TEXT_MAX);
    check_text(report->queue_id, REPORT_WORD_MAX);
    check_text(report->sender, ADDR_MAX);
    MUST(report->tag_count <= REPORT_TAGS_MAX);
    MUST(report->hop_count <= REPORT_HOPS_MAX && (report->hop_count == 0 || report->returned));
    for (size_t i = 0; i < report->hop_count; i++)
        MUST(report->hops[i].family == 4 || report->hops[i].family == 6);
    for (size_t i = 0; i < REPORT_HEADERS_MAX; i++) {
        check_text(report->values[i], REPORT_TEXT_MAX);
        MUST(report->values[i][0] == '\0' || (report->returned && i < NAME_COUNT));
    }
    for (size_t i = 0; i < REPORT_RECIPIENTS_MAX; i++)
        check_recipient(&report->recipients[i]);
    MUST((report->kind == REPORT_FEEDBACK) == (report->type[0] != '\0' && report->incidents > 0));
    for (const char *c = report->type; *c != '\0'; c++)
        MUST((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-');
    MUST(report->incidents <= REPORT_INCIDENTS_MAX);
    MUST(report->kind < REPORT_BOUNCE || report->recipient_count > 0);
    MUST(!report_is_complaint(report) || report->kind == REPORT_FEEDBACK);
}

static void
check_same(const struct report *a, const struct report *b)
{
    MUST(a->kind == b->kind && a->incidents == b->incidents && a->returned == b->returned);
    MUST(ip_compare(&a->source, &b->source) == 0);
    MUST(strcmp(a->type, b->type) == 0 && strcmp(a->reporter, b->reporter) == 0);
    MUST(strcmp(a->arrival, b->arrival) == 0 && strcmp(a->queue_id, b->queue_id) == 0);
    MUST(strcmp(a->sender, b->sender) == 0 && a->tag_count == b->tag_count);
    for (size_t i = 0; i < a->tag_count; i++)
        MUST(strcmp(a->tags[i].id, b->tags[i].id) == 0);
    MUST(a->hop_count == b->hop_count);
    for (size_t i = 0; i < a->hop_count; i++)
        MUST(ip_compare(&a->hops[i], &b->hops[i]) == 0);
    for (size_t i = 0; i < NAME_COUNT; i++)
        MUST(strcmp(a->values[i], b->values[i]) == 0);
    MUST(a->recipient_count == b->recipient_count);
    for (size_t i = 0; i < REPORT_RECIPIENTS_MAX; i++) {
        const struct report_recipient *one = &a->recipients[i], *other = &b->recipients[i];

        MUST(strcmp(one->original, other->original) == 0 && strcmp(one->final, other->final) == 0);
        MUST(one->action == other->action && strcmp(one->status, other->status) == 0);
        MUST(strcmp(one->diagnostic, other->diagnostic) == 0 && one->said == other->said);
    }
}

/* Tell the header that text begins with, as a milter hears it.  Returns where the body is. */
static size_t
tell_header(struct report_reader *reader, const uint8_t *text, size_t size)
{
    size_t at = 0;

    while (at < size && text[at] != '\n') {
        const uint8_t *colon = memchr(text + at, ':', size - at), *end = colon;
        struct fuzz_input name, value;
        char *name_text, *value_text;

        if (colon == NULL)
            return size;
        while ((end = memchr(end + 1, '\n', (size_t)(text + size - end - 1))) != NULL)
            if (end + 1 == text + size || (end[1] != ' ' && end[1] != '\t'))
                break;
        if (end == NULL)
            return size;
        name = (struct fuzz_input){text + at, (size_t)(colon - text) - at};
        value = (struct fuzz_input){colon + 1, (size_t)(end - colon - 1)};
        name_text = fuzz_text(&name);
        value_text = fuzz_text(&value);
        report_header(reader, name_text, value_text);
        free(name_text);
        free(value_text);
        at = (size_t)(end + 1 - text);
    }
    return at < size ? at + 1 : size;
}

static struct report_reader *
read_message(const uint8_t *text, size_t size, const char *type, size_t piece)
{
    struct report_reader *reader = report_reader_new(names, NAME_COUNT);
    size_t at = 0;

    if (type != NULL)
        report_header(reader, "Content-Type", type);
    else
        at = tell_header(reader, text, size);
    while (at < size) {
        size_t length = size - at < piece ? size - at : piece;
        uint8_t *own = mem_array(length, 1); /* a sanitizer watches its end */

        memcpy(own, text + at, length);
        report_body(reader, own, length);
        free(own);
        at += length;
    }
    return reader;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t way = fuzz_byte(&input);
    const char *type = types[way >> 6];
    struct report_reader *whole = read_message(input.data, input.size, type, input.size + 1);
    struct report_reader *cut = read_message(input.data, input.size, type, (way & 0x3f) + 1u);
    const struct report *report = report_end(whole);

    check_report(report);
    check_same(report, report_end(cut));
    report_reader_free(whole);
    report_reader_free(cut);
    return 0;
}
