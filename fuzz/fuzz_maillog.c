/*
 * Lines of Postfix' log, why a delivery failed, and which rule that falls under.
 *
 * Input: a line, or what stands behind a line's frame.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/require.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/maillog.h"
#include "lib/reply.h"

#include <string.h>

/* Does the span lie in the text, or is it empty? */
static bool
is_in(struct span span, const char *text, size_t size)
{
    return span.length == 0 || (span.start >= text && span.start + span.length <= text + size);
}

static void
check_reply(const struct maillog *line)
{
    const struct conf *conf = fuzz_installed();
    struct reply reply;

    reply_read(line->dsn.start, line->dsn.length, line->reply.start, line->reply.length, &reply);
    MUST(strlen(reply.text) <= REPLY_TEXT_MAX && strlen(reply.enhanced) <= REPLY_ENHANCED_MAX);
    MUST(reply.code == 0 || (reply.code >= 200 && reply.code < 600));
    MUST(reply.origin != REPLY_LOCAL || reply.phase == REPLY_BEFORE);
    for (const char *c = reply.text; *c != '\0'; c++)
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
    replies_find(&conf->replies, &conf->snapshot->providers[PROVIDER_OTHER], &reply);
}

static void
parse(struct span ident, struct span message, const char *text, size_t size)
{
    struct maillog line;

    maillog_parse(ident, message, &line);
    MUST(is_in(line.queue_id, text, size) && is_in(line.sender, text, size));
    MUST(is_in(line.client, text, size) && is_in(line.login, text, size));
    MUST(is_in(line.recipient, text, size) && is_in(line.relay, text, size));
    MUST(is_in(line.dsn, text, size) && is_in(line.reply, text, size));
    MUST(is_in(line.stream, text, size) && line.unmet < REQUIRE_BIT(REQUIRE_COUNT));
    MUST(is_in(line.id, text, size) && is_in(line.account, text, size));
    MUST(is_in(line.address, text, size) && is_in(line.domain, text, size));
    MUST((line.unmet != 0) == (line.kind == MAILLOG_UNMET));
    MUST(line.queue_id.length <= MAILLOG_QUEUE_ID_MAX || line.kind == MAILLOG_OTHER);
    if (line.kind == MAILLOG_RESULT) {
        MUST(line.recipient.start != NULL && line.relay.length > 0 && line.dsn.length > 0);
        MUST(memchr(line.recipient.start, '\n', line.recipient.length) == NULL ||
             line.recipient.start[0] == '"');
        check_reply(&line);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const idents[] = {"postfix/pp-a1/smtp", "postfix/qmgr", "postpool/milter",
                                         "postfix/submission/smtpd"};
    struct maillog_frame frame;
    char *text = malloc(size + 1); /* of its own, so that a byte too far is seen */

    if (size > 0)
        memcpy(text, data, size);
    if (maillog_cut(text, size, &frame)) {
        int64_t ms = maillog_time_ms(&frame.time, 1700000000000, 3600);

        MUST(ms >= -1 || frame.time.has_offset);
        parse(frame.ident, frame.message, text, size);
    }
    for (size_t i = 0; i < sizeof(idents) / sizeof(*idents); i++)
        parse((struct span){idents[i], strlen(idents[i])}, (struct span){text, size}, text, size);
    free(text);
    return 0;
}
