/*
 * What a mail client makes the milter gather, in any order.
 *
 * Input: events, cut by NUL; the first byte says which:
 *
 *   C 192.0.2.1   the client's address        S   sendmail(1) submits
 *   L user        the login of the next MAIL  D   the daemon's name
 *   P address     Postfix' form of its sender
 *   M <sender>    MAIL                        T   transport of the next RCPT
 *   R <recipient> RCPT                        r   the same, many times
 *   H name:value  a header field              h   the same, many times
 *   B bytes       some of the body            b   the same, many times
 *   E             end of message              A   abort
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/conf.h"
#include "lib/mem.h"
#include "milter/session.h"

#include <string.h>

/* libmilter's side: what was said for the next step, and how many messages there were. */
struct client {
    struct session *session;
    char *login, *canonical, *mailer; /* owned, or NULL */
    uint64_t messages;
};

static void
set(char **text, const char *value)
{
    free(*text);
    *text = mem_strdup(value);
}

static void
check_tag(const struct session *session, const struct verdict *verdict)
{
    char *sender = mem_strdup(verdict->sender);
    struct tag tag;

    MUST(tag_find(sender, &tag));
    MUST(tag_verify(session->conf->secret, &tag));
    MUST(strcmp(tag.stream, verdict->stream->name) == 0 && strcmp(tag.id, verdict->id) == 0);
    MUST((tag_day(session->conf->secret, tag.id) != TAG_NO_DAY) == (verdict->hint == HINT_DAY));
    if (verdict->hint == HINT_DAY)
        MUST(tag_day(session->conf->secret, tag.id) == verdict->hint_day);
    MUST(tag_remove(sender) == 1 && strcmp(sender, session->sender) == 0);
    free(sender);
}

/* One line, in which what strangers wrote stands in quotes. */
static void
check_report(struct session *session)
{
    char *line = session->report != NULL ? session_report(session) : NULL;
    bool quoted = false;

    MUST((line != NULL) == (session->report != NULL));
    for (const char *c = line; c != NULL && *c != '\0'; c++) {
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
        if (quoted && *c == '\\')
            MUST(*++c == '"' || *c == '\\');
        else if (*c == '"')
            quoted = !quoted;
        else
            MUST(quoted || (unsigned char)*c < 0x7f);
    }
    MUST(!quoted);
    free(line);
}

static void
end_of_message(struct client *client)
{
    const struct session *session = client->session;
    struct verdict verdict;
    struct mark mark;

    check_report(client->session);
    session_verdict(session, ++client->messages * 0x9e3779b97f4a7c15u, 1795000000, &verdict);
    MUST(session->recipient_count <= SESSION_RECIPIENTS_MAX);
    MUST(session->header_count <= SESSION_HEADERS_MAX);
    if (verdict.stream == NULL) {
        MUST(session->conf == NULL || !session->own || !session->remote);
        MUST(!verdict.tag && !verdict.too_odd && verdict.unmet == 0);
    } else {
        MUST(session->own && session->remote);
        MUST(snapshot_find_stream(session->conf->snapshot, verdict.stream->name,
                                  strlen(verdict.stream->name)) == verdict.stream);
        MUST((verdict.unmet & ~verdict.stream->require) == 0);
        /* The null sender is left alone; any other is tagged, or said to be too odd. */
        MUST(verdict.tag + verdict.too_odd == (session->sender[0] != '\0'));
    }
    MUST(verdict.hint == HINT_NONE || session->hint_headers > 0);
    if (verdict.tag)
        check_tag(session, &verdict);
    if (verdict.mark[0] != '\0')
        MUST(verdict.tag && mark_read(session->conf->secret, verdict.mark, &mark) &&
             strcmp(mark.id, verdict.id) == 0);
    MUST(strlen(verdict.feedback_id) < FEEDBACK_ID_SIZE);
    session_reset(client->session);
    MUST(session->conf == NULL && session->sender[0] == '\0');
}

static void
header(struct client *client, char *line, int times)
{
    char *colon = strchr(line, ':');

    if (colon != NULL)
        *colon = '\0';
    for (int i = 0; i < times; i++)
        session_header(client->session, line, colon != NULL ? colon + 1 : "");
}

static void
body(struct client *client, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        MUST(session_body(client->session, text, strlen(text)) ==
             (client->session->report != NULL));
}

static void
recipient(struct client *client, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        session_rcpt(client->session, text, client->mailer);
    free(client->mailer);
    client->mailer = NULL;
}

static void
mail(struct client *client, const char *sender)
{
    session_mail(client->session, conf_ref(fuzz_conf()), sender, client->canonical, client->login);
    free(client->canonical);
    free(client->login);
    client->canonical = client->login = NULL;
}

static void
event(struct client *client, char what, char *text)
{
    switch (what) {
    case 'C':
        ip_parse(text, &client->session->client);
        break;
    case 'S':
        client->session->submission = true;
        break;
    case 'D':
        set(&client->session->daemon, text);
        break;
    case 'L':
        set(&client->login, text);
        break;
    case 'P':
        set(&client->canonical, text);
        break;
    case 'T':
        set(&client->mailer, text);
        break;
    case 'M':
        mail(client, text);
        break;
    case 'R':
        recipient(client, text, 1);
        break;
    case 'r':
        recipient(client, text, SESSION_RECIPIENTS_MAX / 2 + 1);
        break;
    case 'H':
        header(client, text, 1);
        break;
    case 'h':
        header(client, text, SESSION_HEADERS_MAX / 2 + 1);
        break;
    case 'B':
        body(client, text, 1);
        break;
    case 'b':
        body(client, text, 100);
        break;
    case 'E':
        end_of_message(client);
        break;
    case 'A':
        session_reset(client->session);
        break;
    default:
        break;
    }
}

enum { EVENTS_MAX = 200 }; /* of one input: the time of a run is bounded */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct client client = {.session = session_new()};

    for (int i = 0; i < EVENTS_MAX && input.size > 0; i++) {
        char what = (char)fuzz_byte(&input);
        char *text;

        if (what == '\0')
            continue;
        text = fuzz_text(&input);
        event(&client, what, text);
        free(text);
    }
    end_of_message(&client);
    session_free(client.session);
    free(client.login);
    free(client.canonical);
    free(client.mailer);
    return 0;
}
