/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/maillog.h"

#include "lib/logtext.h"
#include "lib/milterlog.h"

#include <string.h>

enum { DELAY_DIGITS_MAX = 9 }; /* of seconds: more is no delay */

/* ---------------------------------------------------------------- the frame */

/* "Nov  5 10:11:12" */
static bool
take_old_time(struct cursor *reader, struct maillog_time *time)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    if (cursor_left(reader) < 3)
        return false;
    for (int i = 0; i < 12; i++)
        if (memcmp(reader->at, months + (size_t)i * 3, 3) == 0)
            time->month = i + 1;
    if (time->month == 0)
        return false;
    reader->at += 3;
    if (!cursor_take(reader, " "))
        return false;
    if (cursor_take(reader, " ") ? !logtext_take_number(reader, 1, &time->day)
                                 : !logtext_take_number(reader, 2, &time->day))
        return false;
    return cursor_take(reader, " ") && logtext_take_clock(reader, time);
}

/* "2026-11-05T10:11:12.345678+01:00"; journalctl(1) may have "+0100" */
static bool
take_new_time(struct cursor *reader, struct maillog_time *time)
{
    int hours, minutes;
    bool minus;

    if (!logtext_take_date(reader, time) || !cursor_take(reader, "T") ||
        !logtext_take_clock(reader, time))
        return false;
    logtext_take_fraction(reader, time);
    time->has_offset = true;
    if (cursor_take(reader, "Z"))
        return true;
    minus = cursor_take(reader, "-");
    if ((!minus && !cursor_take(reader, "+")) || !logtext_take_number(reader, 2, &hours))
        return false;
    cursor_take(reader, ":");
    if (!logtext_take_number(reader, 2, &minutes))
        return false;
    time->offset_s = (hours * 60 + minutes) * (minus ? -60 : 60);
    return true;
}

bool
maillog_cut(const char *line, size_t length, struct maillog_frame *ret_frame)
{
    struct cursor reader = {line, line + (length < MAILLOG_LINE_MAX ? length : MAILLOG_LINE_MAX)};
    struct span host, process;

    memset(ret_frame, 0, sizeof(*ret_frame));
    if (cursor_left(&reader) == 0)
        return false;
    if (cursor_is_digit(*line) ? !take_new_time(&reader, &ret_frame->time)
                               : !take_old_time(&reader, &ret_frame->time))
        return false;
    if (!cursor_take(&reader, " ") || !cursor_take_until(&reader, " ", &host) ||
        !cursor_take_until(&reader, "[", &ret_frame->ident) ||
        !cursor_take_until(&reader, "]: ", &process))
        return false;
    for (size_t i = 0; i < ret_frame->ident.length; i++) /* another program's, without a number */
        if (ret_frame->ident.start[i] == ' ' || ret_frame->ident.start[i] == ':')
            return false;
    for (size_t i = 0; i < process.length; i++)
        if (!cursor_is_digit(process.start[i]))
            return false;
    ret_frame->message.start = reader.at;
    ret_frame->message.length = cursor_left(&reader);
    return process.length > 0;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar; years begin in March here. */
static int64_t
days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t leaps = y / 4 - y / 100 + y / 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return y * 365 + leaps + in_year - 719468;
}

static int64_t
time_in_year(const struct maillog_time *time, int year, int offset_s)
{
    int64_t s = days_of(year, time->month, time->day) * 86400 + time->hour * 3600 +
                time->minute * 60 + time->second - offset_s;

    return s * 1000 + time->millisecond;
}

int64_t
maillog_time_ms(const struct maillog_time *time, int64_t now_ms, int local_offset_s)
{
    int offset_s = time->has_offset ? time->offset_s : local_offset_s;
    int64_t best_ms = -1, best_far = INT64_MAX;
    int this_year = 1970 + (int)(now_ms / 1000 / 31556952); /* within one of the real one */

    if (time->month < 1 || time->month > 12 || time->day < 1 || time->day > 31 || time->hour > 23 ||
        time->minute > 59 || time->second > 60)
        return -1;
    if (time->year != 0)
        return time->year < 1970 ? -1 : time_in_year(time, time->year, offset_s);
    for (int year = this_year - 1; year <= this_year + 1; year++) {
        int64_t ms = time_in_year(time, year, offset_s);
        int64_t far = ms > now_ms ? ms - now_ms : now_ms - ms;

        if (far < best_far) {
            best_far = far;
            best_ms = ms;
        }
    }
    return best_ms;
}

/* ---------------------------------------------------------------- addresses */

/*
 * "<address>".  A '>' ends it only where no quoted string is open.  Postfix
 * before 3.5 leaves quotes out, so that a local part can hold anything there:
 * such an address is refused.
 */
static bool
take_address(struct cursor *reader, struct span *ret_span)
{
    struct span span;

    if (!cursor_take(reader, "<") || !logtext_take_address(reader, &span) ||
        !cursor_take(reader, ">"))
        return false;
    *ret_span = span;
    return true;
}

/* ------------------------------------------------------------------ results */

/* "12", "0.34": seconds */
static bool
take_delay(struct cursor *reader, int64_t *ret_ms)
{
    const char *start = reader->at;
    int64_t ms = 0;
    int scale = 100;

    for (; cursor_left(reader) > 0 && cursor_is_digit(*reader->at); reader->at++) {
        if (reader->at - start == DELAY_DIGITS_MAX)
            return false;
        ms = ms * 10 + (*reader->at - '0');
    }
    if (reader->at == start)
        return false;
    ms *= 1000;
    if (cursor_take(reader, "."))
        for (; cursor_left(reader) > 0 && cursor_is_digit(*reader->at); reader->at++, scale /= 10)
            ms += (*reader->at - '0') * scale;
    *ret_ms = ms;
    return true;
}

static bool
read_delays(struct span value, int64_t delays_ms[static 4])
{
    struct cursor reader = {value.start, value.start + value.length};

    for (int i = 0; i < 4; i++)
        if ((i > 0 && !cursor_take(&reader, "/")) || !take_delay(&reader, &delays_ms[i]))
            return false;
    return cursor_left(&reader) == 0;
}

static bool
is_dsn(struct span value)
{
    struct cursor reader = {value.start, value.start + value.length};

    for (int i = 0; i < 3; i++) {
        const char *start;

        if (i > 0 && !cursor_take(&reader, "."))
            return false;
        start = reader.at;
        while (cursor_left(&reader) > 0 && cursor_is_digit(*reader.at))
            reader.at++;
        if (reader.at == start || reader.at - start > (i == 0 ? 1 : 3))
            return false;
    }
    return cursor_left(&reader) == 0;
}

/* Take over one field in front of the status.  One that comes twice is not Postfix'. */
static bool
read_field(struct maillog *line, struct span key, struct span value)
{
    if (logtext_is(key, "relay")) {
        if (line->relay.length > 0)
            return false;
        line->relay = value;
    } else if (logtext_is(key, "dsn")) {
        if (line->dsn.length > 0 || !is_dsn(value))
            return false;
        line->dsn = value;
    } else if (logtext_is(key, "delay")) {
        struct cursor reader = {value.start, value.start + value.length};

        return line->delay_ms < 0 && take_delay(&reader, &line->delay_ms) &&
               cursor_left(&reader) == 0;
    } else if (logtext_is(key, "delays")) {
        return line->delays_ms[0] < 0 && read_delays(value, line->delays_ms);
    }
    return true;
}

static enum maillog_status
status_of(struct span word)
{
    if (logtext_is(word, "sent"))
        return MAILLOG_SENT;
    if (logtext_is(word, "deferred") || logtext_is(word, "SOFTBOUNCE"))
        return MAILLOG_DEFERRED;
    if (logtext_is(word, "bounced"))
        return MAILLOG_BOUNCED;
    return MAILLOG_OTHER_STATUS;
}

static bool
has(struct span text, const char *part)
{
    return text.length > 0 && memmem(text.start, text.length, part, strlen(part)) != NULL;
}

/* A forged beginning is a local part without quotes, which Postfix before 3.5 writes. */
bool
maillog_is_doubtful(struct span text)
{
    return has(text, ">, relay="); /* behind orig_to=, too */
}

/* "sent (250 ok)", up to the end of the line; the last ')' is missing where something cut it. */
static bool
read_status(struct maillog *line, struct cursor *reader)
{
    struct span word;

    if (!cursor_take_until(reader, " (", &word) || word.length == 0)
        return false;
    for (size_t i = 0; i < word.length; i++)
        if (!logtext_is_word(word.start[i]) && word.start[i] != '-')
            return false;
    line->status = status_of(word);
    line->reply.start = reader->at;
    line->reply.length = cursor_left(reader);
    if (maillog_is_doubtful(line->reply))
        return false;
    if (line->reply.length > 0 && line->reply.start[line->reply.length - 1] == ')')
        line->reply.length--;
    return true;
}

/* Behind "to=": "<a@b>, orig_to=<c@d>, relay=..., delay=..., dsn=..., status=sent (...)". */
static bool
read_result(struct maillog *line, struct cursor *reader)
{
    struct span original;

    if (!take_address(reader, &line->recipient))
        return false;
    if (cursor_take(reader, ", orig_to=") && !take_address(reader, &original))
        return false;
    while (cursor_take(reader, ", ")) {
        struct span key, value;

        if (cursor_take(reader, "status="))
            return line->relay.length > 0 && line->dsn.length > 0 && read_status(line, reader);
        if (!cursor_take_until(reader, "=", &key) || !cursor_take_until(reader, ", ", &value))
            return false;
        reader->at -= strlen(", ");
        for (size_t i = 0; i < key.length; i++)
            if (!logtext_is_word(key.start[i]) && key.start[i] != '_')
                return false;
        if (value.length > 0 && memchr(value.start, '>', value.length) != NULL)
            return false; /* the true end of an address, whose beginning was taken for all of it */
        if (!read_field(line, key, value))
            return false;
    }
    return false;
}

/* --------------------------------------------------------------- by program */

static enum maillog_kind
of_qmgr(struct maillog *line, struct cursor *reader)
{
    struct span rest = {reader->at, cursor_left(reader)};

    if (logtext_is(rest, "removed"))
        return MAILLOG_REMOVED;
    if (cursor_take(reader, "to=")) /* it defers by itself where a destination is throttled */
        return read_result(line, reader) ? MAILLOG_RESULT : MAILLOG_ODD;
    if (!cursor_take(reader, "from="))
        return MAILLOG_OTHER;
    if (!take_address(reader, &line->sender))
        return MAILLOG_ODD;
    rest = (struct span){reader->at, cursor_left(reader)};
    if (has(rest, ">, size=") || has(rest, ">, status=")) /* as maillog_is_doubtful() has it */
        return MAILLOG_ODD;
    if (cursor_take(reader, ", size="))
        return MAILLOG_ACTIVE;
    if (cursor_take(reader, ", status=expired,") || cursor_take(reader, ", status=force-expired,"))
        return MAILLOG_EXPIRED;
    return MAILLOG_OTHER;
}

static enum maillog_kind
of_cleanup(struct maillog *line, struct cursor *reader)
{
    if (!cursor_take(reader, "message-id="))
        return MAILLOG_OTHER;
    line->message_id.start = reader->at;
    line->message_id.length = cursor_left(reader);
    return MAILLOG_NEW;
}

/*
 * "client=app.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=app".  A login is
 * whatever its owner could make of it: it may reach to the end of the line.
 */
static enum maillog_kind
of_smtpd(struct maillog *line, struct cursor *reader)
{
    struct span host, key, value;

    if (!cursor_take(reader, "client="))
        return MAILLOG_OTHER;
    if (!cursor_take_until(reader, "[", &host) || !cursor_take_until(reader, "]", &line->client))
        return MAILLOG_ODD;
    while (cursor_take_until(reader, ", ", &value) && cursor_take_until(reader, "=", &key)) {
        if (!logtext_is(key, "sasl_username"))
            continue;
        line->login = (struct span){reader->at, cursor_left(reader)};
        if (cursor_take_until(reader, ", sasl_sender=", &value))
            line->login = value;
        break;
    }
    return MAILLOG_CLIENT;
}

/* "uid=1000 from=<app>" */
static enum maillog_kind
of_pickup(struct maillog *line, struct cursor *reader)
{
    (void)line;
    return cursor_take(reader, "uid=") ? MAILLOG_CLIENT : MAILLOG_OTHER;
}

/* "Deleted: 85 messages": with ALL none of them is named. */
static bool
is_sweep(struct cursor *reader, int *ret_count)
{
    static const char *const begins[] = {"Deleted: ", "Placed on hold: ", "Requeued: "};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (cursor_take(reader, begins[i])) {
            int64_t count = 0;

            while (cursor_left(reader) > 0 && cursor_is_digit(*reader->at) && count < 100000000)
                count = count * 10 + (*reader->at++ - '0');
            *ret_count = (int)count;
            return cursor_take(reader, " message");
        }
    return false;
}

static enum maillog_kind
of_postsuper(struct maillog *line, struct cursor *reader)
{
    (void)line;
    if (cursor_take(reader, "removed") || cursor_take(reader, "requeued"))
        return MAILLOG_REMOVED;
    return cursor_take(reader, "placed on hold") ? MAILLOG_HELD : MAILLOG_OTHER;
}

static enum maillog_kind
of_delivery(struct maillog *line, struct cursor *reader)
{
    if (cursor_take(reader, "to="))
        return read_result(line, reader) ? MAILLOG_RESULT : MAILLOG_ODD;
    line->reply.start = reader->at;
    line->reply.length = cursor_left(reader);
    if (cursor_take(reader, "host ") || cursor_take(reader, "lost connection with ") ||
        cursor_take(reader, "conversation with ") || cursor_take(reader, "connect to "))
        return MAILLOG_SAID;
    line->reply.length = 0;
    return MAILLOG_OTHER;
}

static void
read_ident(struct span ident, struct maillog *line)
{
    const char *last = memrchr(ident.start, '/', ident.length), *before;

    if (last == NULL)
        return;
    line->daemon.start = last + 1;
    line->daemon.length = ident.length - (size_t)(last + 1 - ident.start);
    before = memrchr(ident.start, '/', (size_t)(last - ident.start));
    if (before != NULL) {
        line->service.start = before + 1;
        line->service.length = (size_t)(last - before) - 1;
    }
}

static bool
take_queue_id(struct cursor *reader, struct span *ret_span)
{
    const char *start = reader->at;

    while (cursor_left(reader) > 0 && logtext_is_word(*reader->at))
        reader->at++;
    ret_span->start = start;
    ret_span->length = (size_t)(reader->at - start);
    return ret_span->length > 0 && ret_span->length <= MAILLOG_QUEUE_ID_MAX &&
           cursor_take(reader, ": ");
}

void
maillog_parse(struct span ident, struct span message, struct maillog *ret_line)
{
    static const struct {
        const char *daemon;
        enum maillog_kind (*read)(struct maillog *line, struct cursor *reader);
    } programs[] = {
        {"qmgr", of_qmgr},           {"smtp", of_delivery},   {"error", of_delivery},
        {"cleanup", of_cleanup},     {"bounce", of_delivery}, {"lmtp", of_delivery},
        {"postsuper", of_postsuper}, {"smtpd", of_smtpd},     {"pickup", of_pickup},
    };
    struct cursor reader = {message.start, message.start + message.length};

    *ret_line = (struct maillog){.delay_ms = -1, .delays_ms = {-1, -1, -1, -1}};
    read_ident(ident, ret_line);
    if (logtext_is(ret_line->daemon, "postsuper") && is_sweep(&reader, &ret_line->count)) {
        ret_line->kind = MAILLOG_SWEPT;
        return;
    }
    if (!take_queue_id(&reader, &ret_line->queue_id))
        return;
    if (logtext_is(ident, "postpool/milter"))
        ret_line->kind = milterlog_read(ret_line, &reader);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (logtext_is(ret_line->daemon, programs[i].daemon))
            ret_line->kind = programs[i].read(ret_line, &reader);
}
