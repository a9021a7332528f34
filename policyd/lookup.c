/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/lookup.h"

#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/provider.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/due.h"
#include "lib/tagged.h"
#include "lib/units.h"
#include "policyd/choice.h"
#include "policyd/outcome.h"
#include "policyd/rescue.h"

#include <string.h>

enum { MAP_NAME_MAX = 16, ARG_MAX_LENGTH = 512 };

_Static_assert((int)LOOKUP_REPLY_SIZE > (int)ARG_MAX_LENGTH + (int)ADDRESS_NAME_MAX + 16,
               "every answer fits");

#define REPLY "reply."

_Static_assert((int)LOOKUP_REPLY_SIZE >=
                   (int)LOOKUP_REQUEST_MAX - (int)sizeof(REPLY) + (int)RESCUE_EXTRA,
               "every answer to a reply fits");

/* One request, taken apart. */
struct request {
    char map[MAP_NAME_MAX + 1];
    char nexthop[ARG_MAX_LENGTH + 1];
    char fallback[ARG_MAX_LENGTH + 1]; /* "default" */
    bool relay;
    bool tables;
    const char *key; /* ends in NUL */
};

/* Everything that the rcpt maps need to decide. */
struct question {
    const struct lookup_view *view;
    const struct request *request;
    const char *sender;
    const char *recipient;
};

static size_t
say(char reply[static LOOKUP_REPLY_SIZE], const char *text)
{
    size_t length = strlen(text);

    memcpy(reply, text, length + 1);
    return length;
}

/* As much of text as fits; what is longer is no address. */
static void
keep(char *place, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);

    memcpy(place, text, length);
    place[length] = '\0';
}

static size_t
not_found(char reply[static LOOKUP_REPLY_SIZE])
{
    /* The space belongs to it: Postfix 3.7 takes a bare word for an error in other words. */
    return say(reply, "NOTFOUND ");
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo %XX.  The result goes into a netstring for Postfix: printable bytes only. */
static bool
decode(const char *text, size_t length, char out[static ARG_MAX_LENGTH + 1])
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)text[i];

        if (c == '%') {
            int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

            if (low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (used == ARG_MAX_LENGTH || c < ' ' || c > '~')
            return false;
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return true;
}

static bool
starts(const char *text, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static bool
parse_arg(const char *arg, size_t length, struct request *request)
{
    if (starts(arg, length, "nexthop="))
        return decode(arg + 8, length - 8, request->nexthop);
    if (starts(arg, length, "default="))
        return decode(arg + 8, length - 8, request->fallback);
    if (length == 5 && memcmp(arg, "relay", 5) == 0)
        return request->relay = true;
    if (length == 6 && memcmp(arg, "tables", 6) == 0)
        return request->tables = true;
    return false;
}

/* "map[;arg]... key"; text ends in NUL and has no other. */
static bool
parse_request(const char *text, struct request *request)
{
    const char *space = strchr(text, ' ');
    size_t length;

    *request = (struct request){.fallback = "smtp:"};
    if (space == NULL)
        return false;
    length = strcspn(text, "; ");
    if (length > MAP_NAME_MAX)
        return false;
    memcpy(request->map, text, length);
    for (text += length; *text == ';'; text += length) {
        length = strcspn(++text, "; ");
        if (!parse_arg(text, length, request))
            return false;
    }
    request->key = space + 1;
    return text == space;
}

/* Postfix quotes the null sender as "<>", with the quotes, and asks for <> next. */
static bool
is_null_sender(const char *key)
{
    return strcmp(key, "\"<>\"") == 0 || strcmp(key, "<>") == 0 || key[0] == '\0';
}

/* Do a and b differ at most in how the local part is quoted? */
static bool
same_recipient(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "\"\\");
        b += strspn(b, "\"\\");
        if (*a != *b)
            return false;
        if (*a == '\0')
            return true;
    }
}

static void
note_sender(struct lookup_session *session, const char *key, int64_t now_ms)
{
    session->sender_known = true;
    session->noted_ms = now_ms;
    session->sender_ours = false;
    session->relay_free = false;
    session->pending = false;
    keep(session->sender, sizeof(session->sender), is_null_sender(key) ? "" : key);
}

static void
consume(struct lookup_session *session)
{
    session->sender_known = false;
    session->pending = false;
}

static void
note_recipient(struct lookup_session *session, const char *key)
{
    /* A second one without a sender of its own is local; or it is the first in other quotes. */
    if (session->pending && !same_recipient(session->recipient, key))
        consume(session);
    session->pending = session->sender_known;
    keep(session->recipient, sizeof(session->recipient), key);
}

/*
 * What a recipient hears that finds no room.  Texts become queue names in
 * Postfix: a fixed set, so that there are few.
 */
static const char *
full_text(int64_t wait_ms)
{
    static const struct {
        int64_t most_s;
        const char *text;
    } texts[] = {
        {60, " within a minute"},  {300, " within 5 minutes"},    {900, " within 15 minutes"},
        {3600, " within an hour"}, {6 * 3600, " within 6 hours"}, {24 * 3600, " within a day"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (wait_ms <= texts[i].most_s * 1000)
            return texts[i].text;
    return " in more than a day";
}

static size_t
answer_address(const struct address *address, const char *nexthop,
               char reply[static LOOKUP_REPLY_SIZE])
{
    char *end = stpcpy(stpcpy(reply, "OK pp-"), address->name);

    end = stpcpy(stpcpy(end, ":"), nexthop);
    return (size_t)(end - reply);
}

/* "OK retry:4.7.1 TEXT, WORD within an hour" */
static size_t
answer_later(const struct lookup_view *view, const char *text, const char *word, int64_t at_ms,
             char reply[static LOOKUP_REPLY_SIZE])
{
    char *end = stpcpy(stpcpy(reply, "OK retry:4.7.1 "), text);

    if (at_ms != CURB_NOT_KNOWN) {
        end = stpcpy(stpcpy(end, ", "), word);
        end = stpcpy(end, full_text(at_ms - view->store_ms));
    }
    return (size_t)(end - reply);
}

static size_t
answer_none(const struct lookup_view *view, const struct decision *decision,
            char reply[static LOOKUP_REPLY_SIZE])
{
    if (decision->full && decision->refused_by == METERS_NONE) /* that is being asked */
        return say(reply, "OK retry:4.7.1 " OUTCOME_FULL " known of yet");
    if (decision->full)
        return answer_later(view, OUTCOME_FULL, "expected", decision->room_ms, reply);
    if (decision->suspended)
        return answer_later(view,
                            decision->held     ? OUTCOME_HELD
                            : decision->slowed ? OUTCOME_SLOWED
                                               : OUTCOME_SUSPENDED,
                            "better", decision->room_ms, reply);
    if (decision->unengaged)
        return say(reply, "OK retry:4.7.1 " OUTCOME_UNENGAGED);
    if (decision->refused) /* without words of a server, which would end it */
        return say(reply, "OK retry:4.7.1 postpool: all addresses of the pool are drained");
    return say(reply, "OK retry:4.3.2 postpool: this host has no address of the pool");
}

/* It is too early; opens_ms is by the time of day. */
static size_t
answer_outside(const struct lookup_view *view, int64_t opens_ms,
               char reply[static LOOKUP_REPLY_SIZE])
{
    return answer_later(view, OUTCOME_OUTSIDE, "they begin",
                        view->store_ms + (opens_ms - view->time_ms), reply);
}

/* It is too late.  The sender reads this. */
static size_t
answer_expired(const struct stream *stream, char reply[static LOOKUP_REPLY_SIZE])
{
    char span[UNITS_DURATION_SIZE];
    char *end = stpcpy(reply, "OK error:5.4.7 " OUTCOME_EXPIRED ", and is not sent later than ");

    end = stpcpy(end, units_print_duration(stream->deadline_ms, span));
    end = stpcpy(end, " after it came in");
    return (size_t)(end - reply);
}

/* Nothing is left to try: what the last server said, as words that are fit for a queue's name. */
static size_t
answer_refused(const char *words, char reply[static LOOKUP_REPLY_SIZE])
{
    char *end = stpcpy(reply, "OK error:");

    if (strncmp(words, "5.", 2) != 0)
        end = stpcpy(end, "5.0.0 ");
    for (size_t i = 0; i < LOOKUP_WORDS_MAX && words[i] != '\0'; i++)
        *end++ = words[i] >= ' ' && words[i] <= '~' ? words[i] : '?';
    *end = '\0';
    return (size_t)(end - reply);
}

/*
 * A transport that would do, should the "rcpt" behind it never come.  With caps
 * it would not, because nothing may leave uncounted; but where a site has
 * tables of its own, what they say of the recipient may leave this answer
 * standing, and such mail is the site's to route: is_final.  Nothing is spent
 * here, so that an address which only takes probes is not named.
 */
static size_t
answer_sender(const struct lookup_view *view, const char *sender, bool is_final,
              char reply[static LOOKUP_REPLY_SIZE], struct lookup_result *result)
{
    char id[TAG_SENDER_SIZE], account[256];
    struct decide_question question = {
        .roster = view->roster,
        .stream = tagged_stream(view->conf, sender, id),
        .now_ms = view->store_ms,
        .curbs = view->curbs,
        .account_name = account,
        .no_probe = true,
    };
    int64_t opens_ms = due_opens_ms(question.stream, view->time_ms);
    struct decision decision;

    addr_domain(sender, account, sizeof(account));
    question.pool = choice_pool(view, question.stream, account);
    question.key = decide_key(id, "");
    decide(&question, &decision);
    result->stream = question.stream;
    result->address = decision.address;
    if (decision.address == NULL)
        return answer_none(view, &decision, reply);
    if (!is_final && opens_ms > view->time_ms)
        return answer_outside(view, opens_ms, reply);
    if (view->conf->snapshot->has_caps && !is_final)
        return say(reply, "OK retry:4.3.2 postpool: asked for a sender without its recipient");
    return answer_address(decision.address, "", reply);
}

uint32_t
lookup_domain(const char *domain)
{
    char name[PROVIDER_DOMAIN_SIZE];
    uint64_t hash = decide_key("", provider_domain(domain, name) ? name : domain);

    return (uint32_t)hash > 0 ? (uint32_t)hash : 1;
}

static size_t
answer_recipient(const struct question *asked, char reply[static LOOKUP_REPLY_SIZE],
                 struct lookup_result *result)
{
    const struct lookup_view *view = asked->view;
    char id[TAG_SENDER_SIZE], account[256], domain[256];
    struct choice_mail mail = {.message_id = id, .account = account, .domain = domain};
    struct decision decision;
    size_t length;

    addr_domain(asked->recipient, domain, sizeof(domain));
    if (snapshot_is_bypass(view->conf->snapshot, domain))
        return (size_t)(stpcpy(stpcpy(reply, "OK "), asked->request->fallback) - reply);
    mail.stream = tagged_stream(view->conf, asked->sender, id);
    mail.recipient = asked->recipient;
    tagged_recipient(id, asked->recipient);
    addr_domain(asked->sender, account, sizeof(account));
    choice_make(view, &mail, false, result, &decision);
    if (result->waits)
        return LOOKUP_WAIT;
    if (result->busy)
        length = say(reply, "OK retry:4.7.1 " OUTCOME_BUSY);
    else if (result->expired)
        length = answer_expired(mail.stream, reply);
    else if (result->outside)
        length = answer_outside(view, result->opens_ms, reply);
    else if (result->refused && result->words != NULL)
        length = answer_refused(result->words, reply);
    else if (result->address == NULL)
        length = answer_none(view, &decision, reply);
    else
        length = answer_address(result->address, asked->request->nexthop, reply);
    if (view->decided != NULL)
        view->decided(view->decided_arg, result, result->decided ? &decision : NULL, id,
                      asked->recipient, reply);
    return length;
}

static bool
may_decide(const struct lookup_session *session, const struct request *request)
{
    return session->sender_known && session->sender_ours &&
           (!request->relay || session->relay_free);
}

static size_t
on_rcpt(const struct lookup_view *view, struct lookup_session *session,
        const struct request *request, const char *recipient, char reply[static LOOKUP_REPLY_SIZE],
        struct lookup_result *result)
{
    struct question question = {view, request, session->sender, recipient};
    bool known = session->sender_known, pending = session->pending;
    size_t length;

    if (!may_decide(session, request)) {
        consume(session);
        return not_found(reply);
    }
    consume(session);
    length = answer_recipient(&question, reply, result);
    if (length == LOOKUP_WAIT) {
        session->sender_known = known;
        session->pending = pending;
    }
    return length;
}

static size_t
dispatch(const struct lookup_view *view, struct lookup_session *session,
         const struct request *request, char reply[static LOOKUP_REPLY_SIZE],
         struct lookup_result *result)
{
    const char *map = request->map;
    int64_t now_ms = view->now_ms;

    /* Between .note and .last the site's own tables are asked, which may take their time. */
    if (now_ms - session->noted_ms > LOOKUP_PAIR_MS && strcmp(map, "sender.last") != 0)
        consume(session);
    if (strcmp(request->key, "*") == 0)
        return not_found(reply); /* asked now and then, between the others: touch nothing */
    if (strcmp(map, "sender") == 0) {
        note_sender(session, request->key, now_ms);
        session->sender_ours = true;
        return answer_sender(view, session->sender, request->tables, reply, result);
    }
    if (strcmp(map, "rcpt") == 0)
        return on_rcpt(view, session, request, request->key, reply, result);
    if (strcmp(map, "sender.note") == 0) {
        note_sender(session, request->key, now_ms);
        return not_found(reply);
    }
    if (strcmp(map, "sender.last") == 0) {
        /* NOTFOUND would let it leave from the host's own address: who was noted, we or it forgot.
         */
        if (!session->sender_known)
            return say(reply,
                       "OK retry:4.3.2 postpool: the sender was forgotten, asked again later");
        session->sender_ours = true;
        session->noted_ms = now_ms;
        return answer_sender(view, session->sender, true, reply, result);
    }
    if (strcmp(map, "relay.last") == 0) {
        session->relay_free = session->sender_known;
        return not_found(reply);
    }
    if (strcmp(map, "rcpt.note") == 0) {
        note_recipient(session, request->key);
        return not_found(reply);
    }
    if (strcmp(map, "rcpt.last") == 0)
        return session->pending ? on_rcpt(view, session, request, session->recipient, reply, result)
                                : not_found(reply);
    return say(reply, "PERM postpool: no such map");
}

/* "reply.NAME KEY"; text is that, and the connection's lookups are not touched. */
static size_t
answer_reply(const struct lookup_view *view, char *text, char reply[static LOOKUP_REPLY_SIZE])
{
    const struct rescue_view rescue = {view->conf, view->roster, view->curbs,
                                       view->counted != NULL && view->counted(view->arg)};
    char *name = text + strlen(REPLY), *key = strchr(name, ' ');

    if (key == NULL)
        return say(reply, "PERM postpool: malformed request");
    *key++ = '\0';
    return rescue_answer(&rescue, name, key, reply);
}

size_t
lookup_answer(const struct lookup_view *view, struct lookup_session *session, const char *request,
              size_t length, char reply[static LOOKUP_REPLY_SIZE], struct lookup_result *ret_result)
{
    char text[LOOKUP_REQUEST_MAX + 1];
    struct request parsed;

    *ret_result = (struct lookup_result){0};
    if (length > LOOKUP_REQUEST_MAX || memchr(request, '\0', length) != NULL)
        return say(reply, "PERM postpool: malformed request");
    memcpy(text, request, length);
    text[length] = '\0';
    if (strncmp(text, REPLY, strlen(REPLY)) == 0)
        return answer_reply(view, text, reply);
    if (!parse_request(text, &parsed))
        return say(reply, "PERM postpool: malformed request");
    return dispatch(view, session, &parsed, reply, ret_result);
}
