/*
 * postpool replies: the rules that say what servers' replies mean, and which of
 * them a reply falls under.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "ctl/attempt.h"
#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/known.h"
#include "lib/maillog.h"
#include "lib/mem.h"
#include "lib/reply.h"
#include "lib/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROVIDER_WIDTH = 14 };

static const char usage[] =
    "usage: postpool replies [--table] [--json]\n"
    "       postpool replies test [--provider NAME] TEXT [--json]\n\n"
    "Lists the rules, --table: by provider, in Markdown; test: which rule does a server's reply\n"
    "fall under?  TEXT is what the server said, \"550 5.7.1 blocked\", or a line of Postfix' log "
    "that\n"
    "tells of a recipient, whole or what stands in parentheses.\n";

/* "2 in 60 min: suspended for 2 h, at most 16 h; ..." */
static void
add_consequence(struct buf *out, const struct reaction *reaction)
{
    char within[UNITS_SPAN_SIZE], first[UNITS_SPAN_SIZE], most[UNITS_SPAN_SIZE];

    units_print_span(reaction->within_ms, within);
    if (reaction->suspend_ms == 0 && reaction->slow_ms == 0)
        buf_puts(out, "counted");
    if (reaction->slow_ms > 0)
        buf_printf(out, "%d in %s: %d %% of the caps for %s%s", reaction->slow_after, within,
                   reaction->slow_percent, units_print_span(reaction->slow_ms, first),
                   reaction->suspend_ms > 0 ? "; " : "");
    if (reaction->suspend_ms > 0)
        buf_printf(out, "%d in %s: suspended for %s, at most %s", reaction->after, within,
                   units_print_span(reaction->suspend_ms, first),
                   units_print_span(reaction->suspend_most_ms, most));
}

static void
add_json(struct json *json, const struct reply_rule *rule)
{
    json_open(json, NULL, '{');
    json_text(json, "name", rule->name);
    json_text(json, "provider", rule->provider != NULL ? rule->provider->name : NULL);
    json_text(json, "class", accused_text(rule->accused));
    json_number(json, "after", rule->reaction.after);
    json_number(json, "within_ms", rule->reaction.within_ms);
    json_number(json, "suspend_ms", rule->reaction.suspend_ms);
    json_number(json, "suspend_most_ms", rule->reaction.suspend_most_ms);
    json_number(json, "slow_percent", rule->reaction.slow_percent);
    json_number(json, "slow_after", rule->reaction.slow_after);
    json_number(json, "slow_ms", rule->reaction.slow_ms);
    json_close(json, '}');
}

static void
add_row(struct buf *out, int width, const struct reply_rule *rule)
{
    buf_printf(out, "%-*s  %-*s  %-16s  ", width, rule->name, PROVIDER_WIDTH,
               rule->provider != NULL ? rule->provider->name : "any", accused_text(rule->accused));
    add_consequence(out, &rule->reaction);
    buf_puts(out, "\n");
}

static void
list(const struct ctl *ctl, const struct replies *replies)
{
    struct buf out = {0};
    struct json json = {.out = &out};
    int width = 4;

    for (size_t i = 0; i < replies->count; i++)
        if ((int)strlen(replies->rules[i].name) > width)
            width = (int)strlen(replies->rules[i].name);
    if (ctl->json)
        json_open(&json, NULL, '[');
    else
        buf_printf(&out, "%-*s  %-*s  %-16s  %s\n", width, "rule", PROVIDER_WIDTH, "provider",
                   "class", "what follows");
    for (size_t i = 0; i < replies->count; i++) {
        if (ctl->json)
            add_json(&json, &replies->rules[i]);
        else
            add_row(&out, width, &replies->rules[i]);
    }
    if (ctl->json) {
        json_close(&json, ']');
        buf_puts(&out, "\n");
    }
    fputs(buf_text(&out), stdout);
    buf_clear(&out);
}

/* ------------------------------------------------------------------ a table */

/* Text of a configuration in a cell of Markdown, as code. */
static void
add_code(struct buf *out, const char *text)
{
    buf_puts(out, "`");
    for (; *text != '\0'; text++) {
        if (*text == '|')
            buf_puts(out, "\\");
        buf_add(out, *text == '`' ? "'" : text, 1);
    }
    buf_puts(out, "`");
}

/* The rules of one provider, NULL: those for any, a line each; at least one. */
static void
add_rows(struct buf *out, const struct replies *replies, const struct provider *provider)
{
    bool any = false;

    for (size_t i = 0; i < replies->count; i++) {
        const struct reply_rule *rule = &replies->rules[i];

        if (rule->provider != provider)
            continue;
        buf_printf(out, "| %s | ", provider != NULL ? provider->name : "any");
        add_code(out, rule->sample);
        buf_printf(out, " | %s | ", accused_text(rule->accused));
        add_consequence(out, &rule->reaction);
        buf_printf(out, " | %s |\n", rule->name);
        any = true;
    }
    if (!any)
        buf_printf(out, "| %s | | | | as any |\n", provider != NULL ? provider->name : "any");
}

static void
list_by_provider(const struct conf *conf)
{
    struct buf out = {0};

    buf_puts(&out, "| provider | for instance | accuses | what follows | rule |\n"
                   "|---|---|---|---|---|\n");
    for (size_t i = 0; i < conf->snapshot->provider_count; i++)
        if (i != PROVIDER_OTHER)
            add_rows(&out, &conf->replies, &conf->snapshot->providers[i]);
    add_rows(&out, &conf->replies, NULL);
    fputs(buf_text(&out), stdout);
    buf_clear(&out);
}

/* ------------------------------------------------------------------- a reply */

/* What the server said, or what Postfix wrote of it, also in parentheses as its log has that. */
static void
read_text(const char *text, struct reply *reply)
{
    size_t length = strlen(text);

    if (length > 2 && text[0] == '(' && text[length - 1] == ')') {
        text++;
        length -= 2;
    }
    reply_read("", 0, text, length, reply);
    if (reply->origin == REPLY_LOCAL)
        reply_read_words(text, length, reply);
}

/* Is text a line of Postfix' log, or what stands there behind the program's name? */
static bool
is_line(const char *text, struct maillog *ret_line)
{
    static const char ident[] = "postfix/smtp";
    struct maillog_frame frame;

    if (maillog_cut(text, strlen(text), &frame)) {
        maillog_parse(frame.ident, frame.message, ret_line);
        return true;
    }
    maillog_parse((struct span){ident, strlen(ident)}, (struct span){text, strlen(text)}, ret_line);
    return ret_line->kind == MAILLOG_RESULT || ret_line->kind == MAILLOG_SAID ||
           ret_line->kind == MAILLOG_ODD;
}

/* By the recipient's domain, else by the host; NULL: it is not known. */
static const struct provider *
provider_of(const struct conf *conf, struct maillog *line)
{
    struct attempt attempt = {.line = line};

    if (line->kind == MAILLOG_RESULT)
        attempt_make(conf, line, NULL, &attempt);
    else if (!reply_said_by(line->reply.start, line->reply.length, &line->relay))
        return NULL;
    return attempt_provider(conf, &attempt);
}

/* As policyd judges it.  On failure the reason is on standard error. */
static bool
read_line(const struct maillog *line, struct reply *reply)
{
    if (line->kind != MAILLOG_RESULT && line->kind != MAILLOG_SAID)
        return fputs("postpool: this line of the log has no reply; those with status=deferred or "
                     "status=bounced have one\n",
                     stderr),
               false;
    if (line->kind == MAILLOG_RESULT && line->status == MAILLOG_SENT)
        return fputs("postpool: this line of the log is of mail that was sent; rules are for what "
                     "is deferred or bounced\n",
                     stderr),
               false;
    reply_read(line->dsn.start, line->dsn.length, line->reply.start, line->reply.length, reply);
    return true;
}

static void
say_line(const struct maillog *line, const struct provider *provider)
{
    printf("from this line of the log, provider %s: ", provider->name);
    for (size_t i = 0; i < line->reply.length; i++) {
        unsigned char c = (unsigned char)line->reply.start[i];

        putchar(c < ' ' || c == 0x7f ? '?' : c);
    }
    putchar('\n');
}

static int
say_rule(const struct ctl *ctl, const struct reply_rule *rule)
{
    struct buf out = {0};
    struct json json = {.out = &out};

    if (rule == NULL) {
        puts(ctl->json ? "null" : "no rule fits");
        return CTL_BAD_NEWS;
    }
    if (ctl->json) {
        add_json(&json, rule);
    } else {
        buf_printf(&out, "%s: %s, ", rule->name, accused_text(rule->accused));
        add_consequence(&out, &rule->reaction);
    }
    puts(buf_text(&out));
    buf_clear(&out);
    return CTL_GOOD;
}

/* name: of the provider; NULL: whose host a line names, else other. */
static int
test(const struct ctl *ctl, const struct conf *conf, const char *name, const char *text)
{
    const struct provider *provider = NULL;
    struct maillog line;
    struct reply reply;
    bool lined = is_line(text, &line);

    if (name != NULL) {
        provider = snapshot_find_provider(conf->snapshot, name);
        if (provider == NULL) {
            fprintf(stderr, "postpool: there is no provider \"%s\" in the configuration%s\n", name,
                    known_providers(conf->snapshot, name));
            return CTL_USAGE;
        }
    }
    if (!lined)
        read_text(text, &reply);
    else if (!read_line(&line, &reply))
        return CTL_USAGE;
    if (lined && provider == NULL)
        provider = provider_of(conf, &line);
    if (provider == NULL)
        provider = &conf->snapshot->providers[PROVIDER_OTHER];
    if (lined && !ctl->json)
        say_line(&line, provider);
    return say_rule(ctl, replies_find(&conf->replies, provider, &reply));
}

int
ctl_replies(const struct ctl *ctl, int argc, char **argv)
{
    bool tests = argc > 1 && strcmp(argv[1], "test") == 0;
    bool table = argc == 2 && strcmp(argv[1], "--table") == 0;
    const char *provider = NULL;
    struct conf *conf;
    int status = CTL_GOOD;

    if (tests && argc == 5 && strcmp(argv[2], "--provider") == 0) {
        provider = argv[3];
        argv[2] = argv[4];
        argc = 3;
    }
    if (table)
        argc = 1;
    if (!ctl_arguments(argc, argv, 2, usage, &status))
        return status;
    if (argc != (tests ? 3 : 1)) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    if (conf->replies.count == 0)
        fputs("postpool: the configuration has no rules; take some in with @include "
              "\"replies.conf\"\n",
              stderr);
    if (tests)
        status = test(ctl, conf, provider, argv[2]);
    else if (table)
        list_by_provider(conf);
    else
        list(ctl, &conf->replies);
    conf_unref(conf);
    return status;
}
