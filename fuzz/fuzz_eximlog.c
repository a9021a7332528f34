/*
 * Lines of Exim's main log, and why a delivery failed.
 *
 * Input: a line, or what stands behind a line's time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/reply.h"
#include "policyd/eximlog.h"

#include <string.h>

/* Does the span lie in the text, or is it empty? */
static bool
is_in(struct span span, const char *text, size_t size)
{
    return span.length == 0 || (span.start >= text && span.start + span.length <= text + size);
}

static void
check_reply(const struct eximlog *line)
{
    struct reply reply;

    eximlog_reply(line, &reply);
    MUST(strlen(reply.text) <= REPLY_TEXT_MAX && strlen(reply.enhanced) <= REPLY_ENHANCED_MAX);
    MUST(reply.code == 0 || (reply.origin == REPLY_SAID && reply.code >= 200 && reply.code < 600));
    MUST(reply_reached(&reply) ? reply.origin == REPLY_SAID || reply.origin == REPLY_LOST : true);
    for (const char *c = reply.text; *c != '\0'; c++)
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void
parse(struct span message, const char *text, size_t size)
{
    struct eximlog line;

    eximlog_parse(message, &line);
    MUST(is_in(line.queue_id, text, size) && is_in(line.sender, text, size));
    MUST(is_in(line.recipient, text, size) && is_in(line.host, text, size));
    MUST(is_in(line.host_address, text, size) && is_in(line.interface, text, size));
    MUST(is_in(line.router, text, size) && is_in(line.transport, text, size));
    MUST(is_in(line.words, text, size));
    MUST(line.kind == EXIMLOG_OTHER || line.queue_id.length > 0);
    MUST(line.queue_id.length <= MAILLOG_QUEUE_ID_MAX);
    MUST(line.delay_ms >= -1 && line.took_ms >= -1);
    if (line.kind == EXIMLOG_RESULT) {
        MUST(line.recipient.length > 0 &&
             memchr(line.recipient.start, ' ', line.recipient.length) == NULL);
        check_reply(&line);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maillog_frame frame;
    char *text = malloc(size + 1); /* of its own, so that a byte too far is seen */

    if (size > 0)
        memcpy(text, data, size);
    if (eximlog_cut(text, size, &frame)) {
        maillog_time_ms(&frame.time, 1700000000000, 3600);
        parse(frame.message, text, size);
    }
    parse((struct span){text, size}, text, size);
    free(text);
    return 0;
}
