/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "lib/clock.h"
#include "lib/feed.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/breakers.h"
#include "policyd/control.h"
#include "policyd/engagements.h"
#include "policyd/explain.h"
#include "policyd/feedback.h"
#include "policyd/hours.h"
#include "policyd/lists.h"
#include "policyd/mx_report.h"
#include "policyd/standings.h"
#include "policyd/status.h"
#include "policyd/story.h"
#include "policyd/volume.h"
#include "policyd/warmups.h"

#include <stdlib.h>
#include <string.h>

static void
answer_status(struct policyd *policyd, struct control_call *call, bool json)
{
    struct status status = {policyd->conf,      policyd->roster,     policyd->figures,
                            policyd->server,    policyd->policy,     policyd->volume,
                            policyd->feedback,  policyd->started,    policyd->mx,
                            policyd->breakers,  policyd->pace,       policyd->lists,
                            policyd->hours,     policyd->slo,        policyd->warmups,
                            policyd->standings, policyd->engagements};
    char *text = json ? status_json(&status) : status_text(&status);

    control_answer(call, text);
    free(text);
}

/* question is "DOMAIN" or "DOMAIN json". */
static void
answer_mx(struct policyd *policyd, struct control_call *call, const char *question)
{
    size_t length = strcspn(question, " ");
    bool json = strcmp(question + length, " json") == 0;
    char *domain, *text;

    if (length == 0 || (!json && question[length] != '\0')) {
        control_answer(call, "error: a domain is needed behind mx, and nothing else but json");
        return;
    }
    domain = mem_strndup(question, length);
    text = (json ? mx_report_json : mx_report_text)(policyd->mx, domain,
                                                    clock_ms(CLOCK_MONOTONIC_COARSE));
    control_answer(call, text);
    free(text);
    free(domain);
}

static void
answer_nodes(struct policyd *policyd, struct control_call *call, bool json)
{
    struct buf text = {0};
    struct json out = {.out = &text};
    bool known;

    if (json)
        json_open(&out, NULL, '{');
    known = volume_nodes(policyd->volume, json ? NULL : &text, json ? &out : NULL);
    if (json)
        json_close(&out, '}');
    control_answer(call, known ? buf_text(&text) : "error: nothing has caps, so there is no store");
    buf_clear(&text);
}

static void
answer_lists(struct policyd *policyd, struct control_call *call, bool json)
{
    struct buf text = {0};
    struct json out = {.out = &text};

    lists_print(policyd->lists, json ? NULL : &text, json ? &out : NULL);
    control_answer(call, buf_text(&text));
    buf_clear(&text);
}

static void
on_forgotten(void *arg, int r, const char *why)
{
    struct control_call *call = arg;
    char *text = r < 0 ? mem_printf("error: %s", why) : mem_strdup("forgotten");

    control_answer(call, text);
    free(text);
}

static void
forget_node(struct policyd *policyd, struct control_call *call, const char *node)
{
    log_warn("forget: node %s by %s", node, control_user(call));
    if (!volume_forget(policyd->volume, node, on_forgotten, call))
        control_answer(call, "error: nothing has caps, so there is no store");
}

static void
on_fed(void *arg, const char *answer)
{
    control_answer(arg, answer);
}

static void
on_feed_lines(void *arg, struct control_call *call, const char *question, const char *lines)
{
    struct policyd *policyd = arg;
    struct feed_head head;

    if (feed_parse(question, &head))
        feedback_feed(policyd->feedback, &head, lines, on_fed, call);
    else
        control_answer(call, "error: no feed");
}

/* question is that of lib/feed.h; the lines come behind it. */
static void
answer_feed(struct policyd *policyd, struct control_call *call, const char *question)
{
    struct feed_head head;

    if (!feed_parse(question, &head))
        control_answer(call, "error: feed ID BATCH OLDEST LENGTH is needed");
    else if (head.length > 0)
        control_want(call, head.length, on_feed_lines);
    else
        feedback_feed(policyd->feedback, &head, "", on_fed, call);
}

void
policyd_on_ask(void *arg, struct control_call *call, const char *question)
{
    struct policyd *policyd = arg;
    size_t word = strcspn(question, " ");
    bool json = strcmp(question + word, " json") == 0;
    struct buf answer = {0};
    bool known = word == 6 && (json || question[word] == '\0');

    if (known && strncmp(question, "reload", word) == 0) {
        policyd_reload(policyd, call, json);
    } else if (known && strncmp(question, "status", word) == 0) {
        answer_status(policyd, call, json);
    } else if (volume_question(policyd->volume, question, call, &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (strncmp(question, "explain ", 8) == 0) {
        struct explain explain = {policyd->roster,      policyd->volume,   policyd->mx,
                                  policyd->curbs,       policyd->breakers, policyd->standings,
                                  policyd->engagements, policyd_today()};

        explain_answer(&explain, question + 8, &answer);
        control_answer(call, buf_text(&answer));
    } else if (breakers_question(policyd->breakers, question, call, &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (warmups_question(policyd->warmups, question, call, &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (standings_question(policyd->standings, question, call, &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (story_question(policyd->story, policyd->feedback, question, &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (strcmp(question, "nodes") == 0 || strcmp(question, "nodes json") == 0) {
        answer_nodes(policyd, call, question[5] != '\0');
    } else if (strcmp(question, "lists") == 0 || strcmp(question, "lists json") == 0) {
        answer_lists(policyd, call, question[5] != '\0');
    } else if (strcmp(question, "engagement") == 0) {
        engagements_look(policyd->engagements, call);
    } else if (strncmp(question, "forget ", 7) == 0) {
        forget_node(policyd, call, question + 7);
    } else if (strncmp(question, "report ", 7) == 0) {
        hours_report(policyd->hours, call, question + 7);
    } else if (strncmp(question, "feed ", 5) == 0) {
        answer_feed(policyd, call, question);
    } else if (strncmp(question, "mx ", 3) == 0) {
        answer_mx(policyd, call, question + 3);
    } else {
        control_answer(
            call, "error: unknown question; there are status, reload, nodes, lists and mx DOMAIN, "
                  "each also with json, explain, story, tail, report, feed, suspensions, suspend, "
                  "drain, resume, warmup, accounts, grade, engagement, "
                  "forget, release, reset and settle");
    }
    buf_clear(&answer);
}
