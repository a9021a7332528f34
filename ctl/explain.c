/*
 * postpool explain: where would this message leave from, and why?
 *
 * The daemons' own code answers, on this host's addresses; the running policy
 * daemon is asked what room caps have, and what is held back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "engine/classify.h"
#include "engine/decide.h"
#include "engine/roster.h"
#include "lib/clock.h"
#include "lib/due.h"
#include "lib/engagement.h"
#include "lib/err.h"
#include "lib/explained.h"
#include "lib/header.h"
#include "lib/hint.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/presence.h"
#include "lib/tagged.h"
#include "lib/units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS_MAX = 64, DAY_S = 24 * 3600 };

/* The message that is asked about. */
struct asked {
    const char *sender;
    const char *recipient; /* without <> */
    bool forwarded;        /* others' mail that is sent on: the milter leaves it alone */
    struct facts facts;
    struct header headers[HEADERS_MAX];
    char *texts[HEADERS_MAX]; /* owned: what headers point into */
    char bare[ADDR_MAX + 1];  /* what recipient points to */
    char plain[ADDR_MAX + 1]; /* the sender without <>; what facts.sender points to */
};

/* What came of it. */
struct story {
    const struct stream *stream;
    const char *why; /* how the stream was found */
    char id[TAG_SENDER_SIZE];
    enum hint hint;
    int32_t day; /* that the hint tells, or the tag; TAG_NO_DAY */
    bool bypass;
    const struct pool *pool; /* as far as it can be known without the daemon */
    struct decision decision;
};

static const char usage[] =
    "usage: postpool explain --sender ADDRESS --recipient ADDRESS [--header 'NAME: VALUE']...\n"
    "                        [--sasl-user NAME] [--client IP] [--daemon NAME]\n"
    "                        [--forwarded] [--json]\n"
    "       postpool explain QUEUE-ID [--json]\n"
    "\n"
    "Tells of mail of the site's own with these facts.  --forwarded: of others' mail that an\n"
    "alias or .forward sends on; the sender alone tells its stream.  A tagged sender, as in\n"
    "the queue, is followed to the stream that the tag names.\n"
    "\n"
    "QUEUE-ID, or a message's id in the tag: what was decided for it of late, and what became\n"
    "of each try.\n";

static bool
add_header(struct asked *asked, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t at = asked->facts.header_count;
    char value[HEADER_VALUE_MAX + 1];
    size_t length;

    if (colon == NULL || colon == text || at == HEADERS_MAX)
        return false;
    length = (size_t)(colon - text);
    header_unfold(colon + 1, value);
    asked->texts[at] = mem_printf("%.*s%c%s", (int)length, text, '\n', value);
    asked->texts[at][length] = '\0';
    asked->headers[at] = (struct header){asked->texts[at], asked->texts[at] + length + 1};
    asked->facts.header_count++;
    return true;
}

/* Returns true to go on; false to end with *ret_status, after saying why. */
static bool
parse(int argc, char **argv, struct ctl *ctl, struct asked *asked, int *ret_status)
{
    static const struct option options[] = {
        {"sender", required_argument, NULL, 's'}, {"recipient", required_argument, NULL, 'r'},
        {"header", required_argument, NULL, 'H'}, {"sasl-user", required_argument, NULL, 'u'},
        {"client", required_argument, NULL, 'c'}, {"daemon", required_argument, NULL, 'd'},
        {"forwarded", no_argument, NULL, 'f'},    {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    static char program[] = "postpool";
    int c;

    *ret_status = CTL_USAGE;
    optind = 1;
    argv[0] = program; /* for getopt's own complaints */
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 's')
            asked->sender = optarg;
        else if (c == 'r')
            asked->recipient = optarg;
        else if (c == 'u')
            asked->facts.sasl_user = optarg;
        else if (c == 'd')
            asked->facts.daemon = optarg;
        else if (c == 'f')
            asked->forwarded = true;
        else if (c == 'j')
            ctl->json = true;
        else if (c == 'H' && !add_header(asked, optarg))
            return fprintf(stderr, "postpool: \"%s\" is no header, write 'Name: value'\n", optarg),
                   false;
        else if (c == 'c' && !ip_parse(optarg, &asked->facts.client))
            return fprintf(stderr, "postpool: \"%s\" is no IP address\n", optarg), false;
        else if (c == 'h')
            return fputs(usage, stdout), *ret_status = CTL_GOOD, false;
        else if (c == '?')
            return fputs(usage, stderr), false;
    }
    if (optind < argc)
        return fprintf(stderr, "postpool: \"%s\" is one argument too many\n", argv[optind]), false;
    if (asked->sender == NULL || asked->recipient == NULL)
        return fprintf(stderr, "postpool: --%s is needed\n\n%s",
                       asked->sender == NULL ? "sender" : "recipient", usage),
               false;
    if (addr_unwrap(asked->recipient, asked->bare) < 0 || asked->bare[0] == '\0')
        return fprintf(stderr, "postpool: \"%s\" is no recipient\n", asked->recipient), false;
    asked->recipient = asked->bare;
    return true;
}

static int32_t
today(void)
{
    return (int32_t)(clock_ms(CLOCK_REALTIME) / 1000 / DAY_S);
}

static void
find_stream(const struct conf *conf, struct asked *asked, struct story *story)
{
    char *sender = asked->plain;
    struct tag tag;

    if (addr_unwrap(asked->sender, asked->plain) < 0)
        sender[0] = '\0';
    asked->facts.sender = sender;
    asked->facts.recipients = &asked->recipient;
    asked->facts.recipient_count = 1;
    asked->facts.headers = asked->headers;
    if (!conf->secret_known)
        fprintf(stderr, "postpool: %s cannot be read, so that no tag is known to be genuine\n",
                conf->tag_secret_file);
    story->stream = tagged_stream(conf, sender, story->id);
    story->day = TAG_NO_DAY;
    if (tag_find(sender, &tag) && tag_verify(conf->secret, &tag) && conf->secret_known) {
        story->day = tag_day(conf->secret, tag.id);
        story->hint = story->day != TAG_NO_DAY ? HINT_DAY : HINT_NONE;
        story->why = strcmp(tag.stream, story->stream->name) == 0
                         ? "the tag says so"
                         : "the tag is genuine, but its stream is gone; the sender alone tells";
    } else if (tag_find(sender, &tag)) {
        story->why = "the tag is not genuine; the sender alone tells";
    } else if (asked->forwarded) {
        story->why = "the sender alone tells";
    } else if (sender[0] == '\0' || strlen(sender) + TAG_LENGTH_MAX > ADDR_MAX) {
        story->why = "such a sender is not tagged; it alone tells";
    } else {
        story->stream = classify(conf->snapshot, &asked->facts);
        story->hint = hint_read(&conf->hint, &asked->facts, today(), &story->day);
        story->why = story->stream->match_count == 0 ? "no stream before it matches"
                                                     : "the first one that matches";
    }
}

static int
find_address(const struct conf *conf, const struct asked *asked, struct story *story)
{
    const struct snapshot *snapshot = conf->snapshot;
    bool *present = mem_array(snapshot->address_count, sizeof(*present));
    struct roster *roster = NULL;
    char domain[256];
    struct err err;
    int r = presence_scan(snapshot, present, &err);

    if (r < 0) {
        fprintf(stderr, "postpool: %s\n", err.msg);
        goto out;
    }
    roster = roster_new(snapshot, present);
    addr_domain(asked->recipient, domain, sizeof(domain));
    story->bypass = snapshot_is_bypass(snapshot, domain);
    tagged_recipient(story->id, asked->recipient);
    /* Without a daemon nothing is known of accounts. */
    story->pool = story->stream->by_grade[GRADE_NEW] != NULL ? story->stream->by_grade[GRADE_NEW]
                                                             : story->stream->pool;
    decide_explained(&(struct decide_question){.roster = roster,
                                               .stream = story->stream,
                                               .pool = story->pool,
                                               .key = decide_key(story->id, domain)},
                     &story->decision);
out:
    roster_free(roster);
    free(present);
    return r;
}

/* What the running daemon says of it, which knows caps and suspensions.  NULL: nothing. */
static char *
ask_daemon(const struct ctl *ctl, const struct conf *conf, const struct asked *asked,
           const struct story *story)
{
    char domain[256], sender[ADDR_MAX + 1], *question, *answer = NULL;
    const char *account = asked->facts.sasl_user;

    /* Without caps a daemon that does not run has nothing to say: it holds nothing back. */
    if (story->bypass ||
        (!conf->snapshot->has_caps && !conf->snapshot->has_grades && !ctl_answers(conf)))
        return NULL;
    addr_domain(asked->recipient, domain, sizeof(domain));
    addr_domain(asked->facts.sender, sender, sizeof(sender));
    if (account == NULL)
        account = sender;
    question = mem_printf("explain %s %llx %s %s %s %llx %d%s", story->stream->name,
                          (unsigned long long)decide_key(story->id, domain),
                          domain[0] != '\0' ? domain : "-", account[0] != '\0' ? account : "-",
                          sender[0] != '\0' ? sender : "-",
                          (unsigned long long)engagement_hash(asked->recipient), (int)story->day,
                          ctl->json ? " json" : "");
    if (ctl_ask(conf, question, &answer) < 0)
        fprintf(stderr, "postpool: so nothing is known of caps, suspensions and grades\n");
    free(question);
    return answer;
}

/* May it leave now?  Hours and deadline are this program's to say: the daemon has no others. */
static void
print_times(const struct story *story)
{
    const struct stream *stream = story->stream;
    int64_t now_ms = clock_ms(CLOCK_REALTIME), opens_ms = due_opens_ms(stream, now_ms);
    int64_t ends_ms = due_ends_ms(stream, story->id, now_ms);
    char until[DUE_TEXT_SIZE], span[UNITS_DURATION_SIZE], left[UNITS_SPAN_SIZE];

    if (opens_ms > now_ms)
        printf("hours      outside its hours, until %s\n", due_print(stream, opens_ms, until));
    else if (stream->hours != NULL)
        printf("hours      within them\n");
    if (stream->deadline_ms == 0)
        return;
    printf("deadline   %s after it came in", units_print_duration(stream->deadline_ms, span));
    if (ends_ms <= now_ms)
        printf(", which is over: it is returned");
    else if (ends_ms < INT64_MAX)
        printf(", in %s", units_print_span(ends_ms - now_ms, left));
    printf("\n");
}

static void
print_hint(const struct story *story)
{
    char date[HINT_TEXT_SIZE];

    if (story->hint == HINT_REFUSED)
        printf("hint       does not count: none of warmup.hint.match holds\n");
    else if (story->hint == HINT_ODD)
        printf(
            "hint       does not count: it is none of warmup.hint.values, and no days or date\n");
    else if (story->hint == HINT_DAY && story->day == HINT_NEVER)
        printf("hint       the recipient never was active\n");
    else if (story->hint == HINT_DAY)
        printf("hint       the recipient was active on %s, %d days ago\n",
               hint_print(story->hint, story->day, date), (int)hint_quiet(story->day, today()));
}

/* How the daemon's answer begins when it tells the pool, too. */
#define GRADE_LINE "grade "
#define GRADE_MEMBER "\"grade\":"

static void
print_text(const struct story *story, const char *told)
{
    struct buf text = {0};

    printf("stream     %s (%s)\n", story->stream->name, story->why);
    if (story->bypass) {
        printf(
            "address    none: the recipient's domain is under bypass and keeps the site's route\n");
        return;
    }
    if (told == NULL || strncmp(told, GRADE_LINE, strlen(GRADE_LINE)) != 0)
        printf("pool       %s\n", story->pool->name);
    print_times(story);
    print_hint(story);
    if (told == NULL)
        explained_text(&story->decision, &(struct explained_with){0}, &text);
    fputs(told != NULL ? told : buf_text(&text), stdout);
    buf_clear(&text);
}

static void
add_times(const struct story *story, struct json *json)
{
    const struct stream *stream = story->stream;
    int64_t now_ms = clock_ms(CLOCK_REALTIME), opens_ms = due_opens_ms(stream, now_ms);

    if (stream->hours != NULL)
        json_number(json, "opens", (opens_ms > now_ms ? opens_ms : now_ms) / 1000);
    if (stream->deadline_ms == 0)
        return;
    json_number(json, "deadline_ms", stream->deadline_ms);
    json_bool(json, "expired", due_ends_ms(stream, story->id, now_ms) <= now_ms);
}

static void
print_json(const struct story *story, const char *told)
{
    struct buf text = {0};
    struct json json = {.out = &text};
    char hint[HINT_TEXT_SIZE];

    json_open(&json, NULL, '{');
    json_text(&json, "stream", story->stream->name);
    json_text(&json, "why", story->why);
    json_bool(&json, "bypass", story->bypass);
    if (told == NULL || strncmp(told, GRADE_MEMBER, strlen(GRADE_MEMBER)) != 0)
        json_text(&json, "pool", story->bypass ? NULL : story->pool->name);
    if (!story->bypass)
        add_times(story, &json);
    if (story->hint != HINT_NONE)
        json_text(&json, "hint", hint_print(story->hint, story->day, hint));
    if (told != NULL) {
        buf_printf(&text, ",%.*s", (int)strcspn(told, "\n"), told); /* members, without braces */
    } else if (story->bypass) {
        json_text(&json, "address", NULL);
        json_open(&json, "candidates", '[');
        json_close(&json, ']');
        json_number(&json, "omitted", 0);
    } else {
        explained_json(&story->decision, &(struct explained_with){0}, &json);
    }
    json_close(&json, '}');
    puts(buf_text(&text));
    buf_clear(&text);
}

/* Does the answer name an address? */
static bool
tells_address(const char *told)
{
    return strncmp(told, "address    none", 15) != 0 && strstr(told, "\naddress    none") == NULL &&
           strstr(told, "\"address\":null") == NULL;
}

int
ctl_explain(const struct ctl *ctl_given, int argc, char **argv)
{
    struct ctl ctl = *ctl_given;
    struct asked *asked = mem_new(sizeof(*asked));
    struct story *story = mem_new(sizeof(*story));
    struct conf *conf = NULL;
    char *told = NULL;
    bool found;
    int status;

    if (argc > 1 && argv[1][0] != '-') {
        status = ctl_story(ctl_given, argc, argv);
        goto out;
    }
    if (!parse(argc, argv, &ctl, asked, &status))
        goto out;
    if (ctl_load(ctl.file, &conf) < 0)
        goto out;
    find_stream(conf, asked, story);
    if (find_address(conf, asked, story) < 0) {
        status = CTL_BAD_NEWS;
        goto out;
    }
    told = ask_daemon(&ctl, conf, asked, story);
    (ctl.json ? print_json : print_text)(story, told);
    found = told != NULL ? tells_address(told) : story->decision.address != NULL;
    status = found || story->bypass ? CTL_GOOD : CTL_BAD_NEWS;
out:
    for (size_t i = 0; i < asked->facts.header_count; i++)
        free(asked->texts[i]);
    free(told);
    free(asked);
    free(story);
    conf_unref(conf);
    return status;
}
