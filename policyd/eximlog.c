/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/eximlog.h"

#include "lib/logtext.h"
#include "lib/reply.h"

#include <string.h>

enum {
    ID_MIN = 16, /* 6-6-2; 6-11-4 from Exim 4.97 on */
    ID_MAX = 23,
    DIGITS_MAX = 9,  /* of a number or a time */
    NOT_TRIED = -51, /* Exim's errors from there down: it is not time for a retry */
    NOT_TRIED_END = -60,
};

/* ---------------------------------------------------------------- the frame */

/* "2026-11-05 10:11:12.345 +0100 [77] ": what is behind the seconds may be missing. */
static bool
take_time(struct cursor *reader, struct maillog_time *time)
{
    int hours, minutes;
    bool minus;
    struct cursor zone;
    struct span process;

    if (!logtext_take_date(reader, time) || !cursor_take(reader, " ") ||
        !logtext_take_clock(reader, time))
        return false;
    logtext_take_fraction(reader, time);
    if (!cursor_take(reader, " "))
        return false;
    zone = *reader;
    minus = cursor_take(&zone, "-");
    if ((minus || cursor_take(&zone, "+")) && logtext_take_number(&zone, 2, &hours) &&
        logtext_take_number(&zone, 2, &minutes) && cursor_take(&zone, " ")) {
        time->has_offset = true;
        time->offset_s = (hours * 60 + minutes) * (minus ? -60 : 60);
        *reader = zone;
    }
    return !cursor_take(reader, "[") || cursor_take_until(reader, "] ", &process);
}

static const char ident[] = "exim";

bool
eximlog_is(const struct maillog_frame *frame)
{
    return frame->ident.length == strlen(ident) &&
           memcmp(frame->ident.start, ident, frame->ident.length) == 0;
}

bool
eximlog_cut(const char *line, size_t length, struct maillog_frame *ret_frame)
{
    struct cursor reader = {line, line + (length < MAILLOG_LINE_MAX ? length : MAILLOG_LINE_MAX)};

    memset(ret_frame, 0, sizeof(*ret_frame));
    if (!take_time(&reader, &ret_frame->time))
        return false;
    ret_frame->ident = (struct span){ident, strlen(ident)};
    ret_frame->message = (struct span){reader.at, cursor_left(&reader)};
    return true;
}

/* ------------------------------------------------------------------- values */

static bool
at_end(const struct cursor *reader)
{
    return cursor_left(reader) == 0;
}

/* Up to the next blank or the end. */
static bool
take_word(struct cursor *reader, struct span *ret_span)
{
    const char *start = reader->at;

    while (!at_end(reader) && *reader->at != ' ')
        reader->at++;
    *ret_span = (struct span){start, (size_t)(reader->at - start)};
    return ret_span->length > 0;
}

/* "<address>" */
static bool
take_in_brackets(struct cursor *reader, struct span *ret_span)
{
    return cursor_take(reader, "<") && logtext_take_address(reader, ret_span) &&
           cursor_take(reader, ">");
}

/* "[192.0.2.9]", "[192.0.2.9]:25", "[192.0.2.9]:25*" */
static bool
take_ip(struct cursor *reader, struct span *ret_span)
{
    if (!cursor_take(reader, "[") || !cursor_take_until(reader, "]", ret_span))
        return false;
    for (size_t i = 0; i < ret_span->length; i++)
        if (!logtext_is_word(ret_span->start[i]) && ret_span->start[i] != '.' &&
            ret_span->start[i] != ':' && ret_span->start[i] != '%')
            return false;
    if (cursor_left(reader) > 1 && *reader->at == ':' && cursor_is_digit(reader->at[1]))
        do {
            reader->at++;
        } while (!at_end(reader) && cursor_is_digit(*reader->at));
    cursor_take(reader, "*");
    return ret_span->length > 0;
}

/* "mx.c.test [192.0.2.9]", "mx.c.test DS [192.0.2.9]:25" */
static bool
take_host(struct cursor *reader, struct eximlog *line)
{
    if (!take_word(reader, &line->host) || !cursor_take(reader, " "))
        return false;
    cursor_take(reader, "DS ");
    return take_ip(reader, &line->host_address);
}

/* "1d2h3m4s", "0.026s" */
static bool
take_span_ms(struct cursor *reader, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    const char *start = reader->at;
    int64_t all_ms = 0;

    while (!at_end(reader) && cursor_is_digit(*reader->at)) {
        struct maillog_time fraction = {0};
        int64_t number = 0, unit_ms = 0;
        int digits = 0;

        for (; !at_end(reader) && cursor_is_digit(*reader->at); reader->at++) {
            if (++digits > DIGITS_MAX)
                return false;
            number = number * 10 + (*reader->at - '0');
        }
        logtext_take_fraction(reader, &fraction);
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && unit_ms == 0; i++)
            if (cursor_take(reader, units[i].unit))
                unit_ms = units[i].ms;
        if (unit_ms == 0)
            return false;
        all_ms += number * unit_ms + fraction.millisecond;
    }
    *ret_ms = all_ms;
    return reader->at > start;
}

/* "\"250 \\\"x\\\" y\"": up to the quote that ends it. */
static bool
take_quoted(struct cursor *reader, struct span *ret_span)
{
    const char *start;

    if (!cursor_take(reader, "\""))
        return false;
    for (start = reader->at; !at_end(reader) && *reader->at != '"'; reader->at++)
        if (*reader->at == '\\' && cursor_left(reader) > 1)
            reader->at++;
    *ret_span = (struct span){start, (size_t)(reader->at - start)};
    return cursor_take(reader, "\"");
}

/* ------------------------------------------------------------------- fields */

enum field {
    FIELD_SENDER,
    FIELD_PATH,
    FIELD_ROUTER,
    FIELD_TRANSPORT,
    FIELD_HOST,
    FIELD_INTERFACE,
    FIELD_WORDS,
    FIELD_DELAY,
    FIELD_TOOK,
    FIELD_NAME,
    FIELD_WORD,
    FIELD_PROXY,
    FIELD_FLAG,
};

static const struct {
    const char *text; /* with what is behind it, up to the value */
    enum field field;
} fields[] = {
    {"F=", FIELD_SENDER},  {"P=", FIELD_PATH},      {"R=", FIELD_ROUTER},  {"T=", FIELD_TRANSPORT},
    {"H=", FIELD_HOST},    {"I=", FIELD_INTERFACE}, {"C=", FIELD_WORDS},   {"QT=", FIELD_DELAY},
    {"DT=", FIELD_TOOK},   {"DN=", FIELD_NAME},     {"Q=", FIELD_WORD},    {"S=", FIELD_WORD},
    {"X=", FIELD_WORD},    {"CV=", FIELD_WORD},     {"A=", FIELD_WORD},    {"PS=", FIELD_WORD},
    {"DKIM=", FIELD_WORD}, {"ST=", FIELD_WORD},     {"PRX=", FIELD_PROXY}, {"PRDR", FIELD_FLAG},
    {"TFO*", FIELD_FLAG},  {"TFO", FIELD_FLAG},     {"L*", FIELD_FLAG},    {"L", FIELD_FLAG},
    {"K", FIELD_FLAG},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static bool
take_value(struct cursor *reader, enum field field, struct eximlog *line)
{
    struct span skipped;

    switch (field) {
    case FIELD_SENDER:
        line->has_sender = true;
        return take_in_brackets(reader, &line->sender);
    case FIELD_PATH:
        return take_in_brackets(reader, &skipped);
    case FIELD_ROUTER:
        return take_word(reader, &line->router);
    case FIELD_TRANSPORT:
        return take_word(reader, &line->transport);
    case FIELD_HOST:
        return take_host(reader, line);
    case FIELD_INTERFACE:
        return take_ip(reader, &line->interface);
    case FIELD_WORDS:
        return take_quoted(reader, &line->words);
    case FIELD_DELAY:
        return take_span_ms(reader, &line->delay_ms);
    case FIELD_TOOK:
        return take_span_ms(reader, &line->took_ms);
    case FIELD_NAME:
        return take_quoted(reader, &skipped);
    case FIELD_WORD:
        return take_word(reader, &skipped);
    case FIELD_PROXY:
        return take_ip(reader, &skipped);
    case FIELD_FLAG:
        break;
    }
    return true;
}

/*
 * All fields that come, each with a blank before it and once.  False for one that
 * cannot be read.  Stops in front of what is none, whatever that is.
 */
static bool
take_fields(struct cursor *reader, struct eximlog *line, bool seen[static FIELDS])
{
    while (!at_end(reader)) {
        struct cursor next = *reader;
        size_t i = 0;

        if (!cursor_take(&next, " "))
            break;
        while (i < FIELDS && !cursor_take(&next, fields[i].text))
            i++;
        if (i == FIELDS)
            break;
        if (fields[i].field == FIELD_FLAG && !at_end(&next) && *next.at != ' ' && *next.at != ':')
            break; /* the beginning of a word */
        if (seen[i] || !take_value(&next, fields[i].field, line))
            return false;
        seen[i] = true;
        *reader = next;
    }
    return true;
}

/* ------------------------------------------------------------------ results */

/* "bob@c.test", "bob@c.test (list@d.test) <x@d.test>": the recipient, and where it came from. */
static bool
take_recipient(struct cursor *reader, struct eximlog *line)
{
    struct span parents, original;

    if (!logtext_take_address(reader, &line->recipient) || line->recipient.length == 0 ||
        line->recipient.start[0] == '"')
        return false;
    if (cursor_take(reader, " (") && !cursor_take_until(reader, ")", &parents))
        return false;
    if (!cursor_take(reader, " <"))
        return true;
    return logtext_take_address(reader, &original) && original.length > 0 &&
           original.start[0] != '"' && cursor_take(reader, ">");
}

/* Do the words look like the rest of a result, whose beginning was then made up? */
static bool
is_forged(struct span words)
{
    struct cursor reader = {words.start, words.start + words.length};
    struct span skipped;

    return cursor_take_until(&reader, " T=", &skipped) ||
           cursor_take_until(&reader, " <\"", &skipped);
}

/* What stands behind the fields, ": words", with " DT=0s" at its end in a line of a failure. */
static bool
take_words(struct cursor *reader, struct eximlog *line)
{
    static const char took[] = " DT=";

    if (at_end(reader))
        return true;
    if (!cursor_take(reader, " : ") && !cursor_take(reader, ": "))
        return false;
    line->words = (struct span){reader->at, cursor_left(reader)};
    if (line->took_ms < 0)
        for (size_t i = line->words.length; i-- > 0;) {
            struct cursor tail = {line->words.start + i, line->words.start + line->words.length};

            if (*tail.at != ' ')
                continue;
            if (cursor_take(&tail, took) && take_span_ms(&tail, &line->took_ms) && at_end(&tail))
                line->words.length = i;
            break;
        }
    return !is_forged(line->words);
}

/* " defer (111): Connection refused", " defer (-44)" */
static bool
take_error(struct cursor *reader, struct eximlog *line)
{
    struct span number, skipped;
    bool minus;

    if (!cursor_take(reader, " defer (") || !cursor_take_until(reader, ")", &number) ||
        number.length == 0 || number.length > DIGITS_MAX)
        return false;
    minus = number.start[0] == '-';
    for (size_t i = minus; i < number.length; i++) {
        if (!cursor_is_digit(number.start[i]))
            return false;
        line->error = line->error * 10 + (number.start[i] - '0');
    }
    if (minus)
        line->error = -line->error;
    if (line->error > 0 && cursor_take(reader, ": ")) { /* the system's text for it */
        const char *start = reader->at;

        while (!at_end(reader) && *reader->at != ':' &&
               !(cursor_left(reader) > 3 &&
                 (memcmp(reader->at, " H=", 3) == 0 || memcmp(reader->at, " DT", 3) == 0)))
            reader->at++;
        skipped = (struct span){start, (size_t)(reader->at - start)};
        line->words = skipped;
    }
    return true;
}

static enum maillog_status
status_of_deferral(int error)
{
    return error <= NOT_TRIED && error > NOT_TRIED_END ? MAILLOG_OTHER_STATUS : MAILLOG_DEFERRED;
}

static enum eximlog_kind
read_result(struct eximlog *line, struct cursor *reader, enum maillog_status status)
{
    bool seen[FIELDS] = {false};

    line->status = status;
    if (!take_recipient(reader, line) || !take_fields(reader, line, seen))
        return EXIMLOG_ODD;
    if (status == MAILLOG_DEFERRED) {
        if (!take_error(reader, line) || !take_fields(reader, line, seen))
            return EXIMLOG_ODD;
        line->status = status_of_deferral(line->error);
    }
    if (status == MAILLOG_SENT ? !at_end(reader) : !take_words(reader, line))
        return EXIMLOG_ODD;
    return EXIMLOG_RESULT;
}

static enum eximlog_kind
read_arrival(struct eximlog *line, struct cursor *reader)
{
    line->has_sender = true;
    if (cursor_take(reader, "<>"))
        line->sender = (struct span){reader->at, 0};
    else if (!logtext_take_address(reader, &line->sender) ||
             memchr(line->sender.start, '@', line->sender.length) == NULL)
        return EXIMLOG_ODD;
    return at_end(reader) || *reader->at == ' ' ? EXIMLOG_NEW : EXIMLOG_ODD;
}

/* --------------------------------------------------------------- the interface */

static bool
take_id(struct cursor *reader, struct span *ret_span)
{
    struct span id;

    if (!take_word(reader, &id) || id.length < ID_MIN || id.length > ID_MAX || id.start[6] != '-')
        return false;
    for (size_t i = 0; i < id.length; i++)
        if (!logtext_is_word(id.start[i]) && id.start[i] != '-')
            return false;
    *ret_span = id;
    return cursor_take(reader, " ");
}

void
eximlog_parse(struct span message, struct eximlog *ret_line)
{
    static const struct {
        const char *flag;
        enum maillog_status status;
    } results[] = {{"=> ", MAILLOG_SENT},
                   {"-> ", MAILLOG_SENT},
                   {">> ", MAILLOG_SENT},
                   {"** ", MAILLOG_BOUNCED},
                   {"== ", MAILLOG_DEFERRED}};
    struct cursor reader = {message.start, message.start + message.length};
    struct cursor behind = reader;
    struct maillog_time time = {0};

    *ret_line = (struct eximlog){.delay_ms = -1, .took_ms = -1};
    if (take_time(&behind, &time))
        reader = behind;
    if (!take_id(&reader, &ret_line->queue_id))
        return;
    if (logtext_is((struct span){reader.at, cursor_left(&reader)}, "Completed") ||
        cursor_take(&reader, "Completed QT="))
        ret_line->kind = EXIMLOG_GONE;
    else if (cursor_take(&reader, "<= "))
        ret_line->kind = read_arrival(ret_line, &reader);
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (ret_line->kind == EXIMLOG_OTHER && cursor_take(&reader, results[i].flag))
            ret_line->kind = read_result(ret_line, &reader, results[i].status);
}

void
eximlog_as_maillog(const struct eximlog *line, struct maillog *ret_line)
{
    static const enum maillog_kind kinds[] = {
        [EXIMLOG_OTHER] = MAILLOG_OTHER,   [EXIMLOG_NEW] = MAILLOG_ACTIVE,
        [EXIMLOG_RESULT] = MAILLOG_RESULT, [EXIMLOG_GONE] = MAILLOG_REMOVED,
        [EXIMLOG_ODD] = MAILLOG_ODD,
    };

    *ret_line = (struct maillog){
        .kind = kinds[line->kind],
        .service = line->transport,
        .queue_id = line->queue_id,
        .sender = line->sender,
        .recipient = line->recipient,
        .relay = line->host,
        .from = line->interface,
        .reply = line->words,
        .status = line->status,
        .delay_ms = line->delay_ms,
        .delays_ms = {-1, -1, -1, -1},
    };
}

void
eximlog_reply(const struct eximlog *line, struct reply *ret_reply)
{
    bool has_words = line->words.length > 0;

    reply_read_exim(has_words ? line->words.start : "", line->words.length, ret_reply);
    if (ret_reply->origin == REPLY_LOCAL && line->error > 0)
        ret_reply->origin = REPLY_CONNECT;
}
