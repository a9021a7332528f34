/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/reply.h"

#include "lib/cursor.h"

#include <string.h>

/* The last text in words, or NULL. */
static const char *
find_last(const struct cursor *words, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = cursor_left(words) + 1; i-- > length;)
        if (memcmp(words->at + i - length, text, length) == 0)
            return words->at + i - length;
    return NULL;
}

/* ------------------------------------------------------------------ phases */

static const struct {
    const char *text; /* of what was being done */
    enum reply_phase phase;
} phases[] = {
    {"RCPT TO", REPLY_RECIPIENT},         {"DATA", REPLY_DATA},
    {"end of DATA", REPLY_END},           {"MAIL FROM", REPLY_MAIL},
    {"sending RCPT TO", REPLY_RECIPIENT}, {"sending DATA", REPLY_DATA},
    {"sending message body", REPLY_DATA}, {"sending end of data", REPLY_END},
    {"sending final", REPLY_END},         {"sending MAIL FROM", REPLY_MAIL},
};

/* Of the words that name what was being done; what is not listed comes before MAIL FROM. */
static enum reply_phase
phase_of(const char *text, const char *end)
{
    struct cursor words = {text, end};

    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
        if (cursor_take(&words, phases[i].text))
            return phases[i].phase;
    return REPLY_GREETING;
}

/* ------------------------------------------------------------------- codes */

/* "550", "550-"; put words behind it. */
static bool
take_code(struct cursor *words, int *ret_code)
{
    const char *at = words->at;

    if (cursor_left(words) < 3 || at[0] < '2' || at[0] > '5' || !cursor_is_digit(at[1]) ||
        !cursor_is_digit(at[2]))
        return false;
    if (cursor_left(words) > 3 && at[3] != ' ' && at[3] != '-')
        return false;
    *ret_code = (at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0');
    words->at += cursor_left(words) > 3 ? 4 : 3;
    return true;
}

/* "5.7.1"; what follows it must end a word.  Returns its length, or 0. */
static size_t
enhanced_length(const char *text, const char *end)
{
    const char *at = text;

    for (int i = 0; i < 3; i++) {
        const char *start = at;

        while (at < end && cursor_is_digit(*at))
            at++;
        if (at == start || at - start > 3)
            return 0;
        if (i < 2 && (at == end || *at++ != '.'))
            return 0;
    }
    if ((*text != '2' && *text != '4' && *text != '5') || text[1] != '.')
        return 0;
    return at == end || *at == ' ' ? (size_t)(at - text) : 0;
}

static void
take_enhanced(struct cursor *words, struct reply *reply)
{
    size_t length = enhanced_length(words->at, words->end);

    if (length == 0)
        return;
    if (reply->enhanced[0] == '\0') {
        memcpy(reply->enhanced, words->at, length);
        reply->enhanced[length] = '\0';
    }
    words->at += length;
}

/*
 * Where the last line of a long reply begins in words, at its code.  Its text may
 * hold the code, too: the last one with the enhanced code that the first line
 * has is taken, else the last of all.  NULL: there is none.
 */
static const char *
last_line(struct cursor words, const struct reply *reply)
{
    const char *last = NULL, *alike = NULL;
    size_t length = strlen(reply->enhanced);

    for (; words.at < words.end; words.at++) {
        struct cursor next = {words.at + 1, words.end};
        int code;

        if ((unsigned char)*words.at > ' ' || !take_code(&next, &code) || code != reply->code ||
            next.at[-1] == '-')
            continue;
        last = words.at + 1;
        if (length > 0 && enhanced_length(next.at, next.end) == length &&
            memcmp(next.at, reply->enhanced, length) == 0)
            alike = last;
    }
    return alike != NULL ? alike : last;
}

/*
 * Copy the words as one line.  Postfix has joined the lines of a long reply, so
 * that its codes stand again in the middle: "550-", and once, at the last line,
 * "550 ".  They are left out.  Control characters and runs of blanks become one
 * blank.
 */
static void
copy_text(struct reply *reply, struct cursor words, bool is_long)
{
    const char *last = is_long ? last_line(words, reply) : NULL;
    size_t length = 0;

    while (words.at < words.end && length < REPLY_TEXT_MAX) {
        bool blank = (unsigned char)*words.at <= ' ' || *words.at == 0x7f;
        struct cursor next = {words.at + 1, words.end};
        int code;

        if (!blank) {
            reply->text[length++] = *words.at++;
            continue;
        }
        if (is_long && take_code(&next, &code) && code == reply->code &&
            (next.at[-1] == '-' || words.at + 1 == last)) {
            is_long = words.at + 1 != last; /* none comes behind it */
            take_enhanced(&next, reply);
        } else {
            next.at = words.at + 1;
        }
        words.at = next.at;
        if (length > 0 && reply->text[length - 1] != ' ')
            reply->text[length++] = ' ';
    }
    if (length > 0 && reply->text[length - 1] == ' ')
        length--;
    reply->text[length] = '\0';
}

static void
read_words(struct reply *reply, struct cursor words)
{
    bool is_long = false;

    if (take_code(&words, &reply->code)) {
        is_long = words.at[-1] == '-';
        take_enhanced(&words, reply);
    }
    copy_text(reply, words, is_long);
}

void
reply_read_words(const char *words, size_t length, struct reply *ret_reply)
{
    *ret_reply = (struct reply){.origin = REPLY_SAID, .phase = REPLY_RECIPIENT};
    read_words(ret_reply, (struct cursor){words, words + length});
}

/* ------------------------------------------------------------ Postfix' words */

/*
 * Cut off what was being done, " (in reply to RCPT TO command)".  Where that is not
 * the end, the log was cut in front of it: then the recipient may have been told,
 * and what a server wrote that looks like it is its words.
 */
static enum reply_phase
cut_phase(struct cursor *words)
{
    static const char in_reply_to[] = " (in reply to ";
    const char *suffix = find_last(words, in_reply_to);
    enum reply_phase phase;

    if (suffix == NULL || memchr(suffix, ')', (size_t)(words->end - suffix)) != words->end - 1)
        return REPLY_RECIPIENT;
    phase = phase_of(suffix + strlen(in_reply_to), words->end);
    words->end = suffix;
    return phase;
}

/* "host name[address] said: ... (in reply to RCPT TO command)" */
static bool
read_said(struct reply *reply, struct cursor words)
{
    struct span skipped;

    if (!cursor_take(&words, "host ") || !cursor_take_until(&words, " ", &skipped))
        return false;
    if (cursor_take(&words, "said: ")) {
        reply->phase = cut_phase(&words);
    } else if (!cursor_take(&words, "refused to talk to me: ")) {
        return false;
    }
    reply->origin = REPLY_SAID;
    if (reply->phase == REPLY_BEFORE)
        reply->phase = REPLY_GREETING;
    read_words(reply, words);
    return true;
}

/* "lost connection with name[address] while sending RCPT TO" */
static bool
read_lost(struct reply *reply, struct cursor words)
{
    struct span skipped;
    struct cursor all = words;

    if (!cursor_take(&words, "lost connection with ") && !cursor_take(&words, "conversation with "))
        return false;
    reply->origin = REPLY_LOST;
    reply->phase = REPLY_GREETING;
    if (cursor_take_until(&words, " while ", &skipped))
        reply->phase = phase_of(words.at, words.end);
    copy_text(reply, all, false);
    return true;
}

void
reply_read(const char *dsn, size_t dsn_length, const char *text, size_t length,
           struct reply *ret_reply)
{
    struct cursor words = {text, text + length};

    *ret_reply = (struct reply){.origin = REPLY_LOCAL, .phase = REPLY_BEFORE};
    if (!read_said(ret_reply, words) && !read_lost(ret_reply, words)) {
        struct cursor connect = words;
        int code;

        if (cursor_take(&connect, "connect to ")) {
            ret_reply->origin = REPLY_CONNECT;
        } else if (take_code(&connect, &code) && code < 300) { /* sent: the server's last words */
            ret_reply->origin = REPLY_SAID;
            ret_reply->phase = REPLY_END;
            read_words(ret_reply, words);
        }
        if (ret_reply->origin != REPLY_SAID)
            copy_text(ret_reply, words, false);
    }
    if (ret_reply->enhanced[0] == '\0' && dsn_length > 0 && dsn_length <= REPLY_ENHANCED_MAX) {
        memcpy(ret_reply->enhanced, dsn, dsn_length);
        ret_reply->enhanced[dsn_length] = '\0';
        if (ret_reply->code >= 400) /* it may have been changed on the way */
            ret_reply->enhanced[0] = (char)('0' + ret_reply->code / 100);
    }
}

bool
reply_said_by(const char *text, size_t length, struct span *ret_host)
{
    struct cursor words = {text, text + length}, host;
    struct span all;

    if (!cursor_take(&words, "host ") || !cursor_take_until(&words, " ", &all) ||
        !cursor_take(&words, "said: "))
        return false;
    host = (struct cursor){all.start, all.start + all.length};
    return cursor_take_until(&host, "[", ret_host);
}

/* --------------------------------------------------------------- Exim's words */

static enum reply_phase
phase_of_command(struct cursor command)
{
    static const struct {
        const char *text;
        enum reply_phase phase;
    } commands[] = {
        {"RCPT TO:", REPLY_RECIPIENT}, {"MAIL FROM:", REPLY_MAIL}, {"end of data", REPLY_END},
        {"DATA", REPLY_DATA},          {"BDAT", REPLY_DATA},       {"sending data", REPLY_DATA},
        {"pipelined", REPLY_MAIL}, /* something behind it that is not known */
    };

    cursor_take(&command, "pipelined ");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (cursor_take(&command, commands[i].text))
            return commands[i].phase;
    return REPLY_GREETING;
}

/* Exim prints what ends the lines of a long reply as "\n". */
static void
read_exim_words(struct reply *reply, struct cursor words)
{
    char plain[2 * REPLY_TEXT_MAX];
    size_t length = 0;

    while (words.at < words.end && length < sizeof(plain)) {
        bool newline = cursor_take(&words, "\\n");

        plain[length++] = newline ? '\n' : *words.at++;
    }
    read_words(reply, (struct cursor){plain, plain + length});
}

/* "RCPT TO:<b@c.test>: 550 no": put words at the code; command is what stands before. */
static bool
take_command(struct cursor *words, struct cursor *ret_command)
{
    struct cursor all = *words;
    struct span span;

    while (cursor_take_until(words, ": ", &span)) {
        struct cursor after = *words;
        int code;

        if (take_code(&after, &code)) {
            *ret_command = (struct cursor){all.at, span.start + span.length};
            return true;
        }
    }
    return false;
}

void
reply_read_exim(const char *text, size_t length, struct reply *ret_reply)
{
    struct cursor words = {text, text + length}, command = words;
    struct cursor code = words;
    int number;

    *ret_reply = (struct reply){.origin = REPLY_LOCAL, .phase = REPLY_BEFORE};
    if (cursor_take(&command, "SMTP error from remote mail server after ")) {
        words = command;
        if (take_command(&words, &command)) {
            ret_reply->origin = REPLY_SAID;
            ret_reply->phase = phase_of_command(command);
            read_exim_words(ret_reply, words);
            return;
        }
        words = (struct cursor){text, text + length};
    } else if (cursor_take(&command, "Remote host closed connection in response to ") ||
               cursor_take(&command, "Malformed SMTP reply in response to ") ||
               cursor_take(&command, "SMTP timeout after ")) {
        ret_reply->origin = REPLY_LOST;
        ret_reply->phase = phase_of_command(command);
    } else if (take_code(&code, &number) && number < 300) {
        ret_reply->origin = REPLY_SAID;
        ret_reply->phase = REPLY_END;
        read_exim_words(ret_reply, words);
        return;
    }
    copy_text(ret_reply, words, false);
}

bool
reply_reached(const struct reply *reply)
{
    return reply->phase >= REPLY_RECIPIENT;
}
