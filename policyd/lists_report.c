/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/lists_inside.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <stdio.h>
#include <string.h>

static const char *
belief_name(enum survey_belief belief)
{
    switch (belief) {
    case SURVEY_NOT_YET:
        return "not known yet";
    case SURVEY_GOOD:
        return "good";
    case SURVEY_SILENT:
        return "silent";
    case SURVEY_REFUSED:
        return "refused";
    default:
        return "not believed";
    }
}

static const char *
finding_name(const struct survey_address *address)
{
    if (address->foreign)
        return "not asked";
    switch (address->finding) {
    case SURVEY_CLEAR:
        return "clear";
    case SURVEY_LISTED:
        return "LISTED";
    default:
        return "unknown";
    }
}

struct tally {
    size_t listed, clear, unknown;
};

static struct tally
count_up(const struct survey *survey)
{
    struct tally tally = {0};

    for (size_t i = 0; i < survey_count(survey); i++) {
        enum survey_finding finding = survey_address(survey, i)->finding;

        tally.listed += finding == SURVEY_LISTED;
        tally.clear += finding == SURVEY_CLEAR;
        tally.unknown += finding == SURVEY_UNKNOWN;
    }
    return tally;
}

static void
print_names(const struct asked_list *asked, struct buf *text)
{
    size_t named = 0;

    for (size_t i = 0; i < survey_count(asked->survey) && named < LISTS_STATUS_NAMES; i++)
        if (survey_address(asked->survey, i)->finding == SURVEY_LISTED)
            buf_printf(text, "%s%s", named++ == 0 ? ": " : ", ", asked->lists->addresses[i]->name);
}

static void
print_status(const struct asked_list *asked, struct buf *text)
{
    enum survey_belief belief = survey_belief(asked->survey);
    struct tally tally = count_up(asked->survey);

    buf_printf(text, "list %s: %s%s%s; ", asked->list->name, belief_name(belief),
               belief != SURVEY_GOOD && belief != SURVEY_NOT_YET ? ", " : "",
               survey_why(asked->survey));
    buf_printf(text, "of %zu addresses %zu are listed", survey_count(asked->survey), tally.listed);
    print_names(asked, text);
    if (tally.unknown > 0)
        buf_printf(text, "; of %zu it is not known", tally.unknown);
    buf_puts(text, "\n");
}

/* Members of the object that is open. */
static void
add_list(const struct asked_list *asked, struct json *json)
{
    struct tally tally = count_up(asked->survey);

    json_text(json, "name", asked->list->name);
    json_text(json, "state", belief_name(survey_belief(asked->survey)));
    json_text(json, "why", survey_why(asked->survey));
    json_text(json, "action", asked->list->action == DNSLIST_SUSPEND ? "suspend" : "report");
    json_number(json, "every_ms", asked->list->every_ms);
    json_number(json, "listed", (long long)tally.listed);
    json_number(json, "clear", (long long)tally.clear);
    json_number(json, "unknown", (long long)tally.unknown);
    json_number(json, "questions", (long long)asked->questions);
    json_number(json, "failures", (long long)asked->failures);
}

void
lists_status(const struct lists *lists, struct buf *text, struct json *json)
{
    if (lists == NULL || lists->count == 0)
        return;
    if (json != NULL)
        json_open(json, "lists", '[');
    for (size_t i = 0; i < lists->count; i++) {
        if (text != NULL)
            print_status(&lists->items[i], text);
        if (json == NULL)
            continue;
        json_open(json, NULL, '{');
        add_list(&lists->items[i], json);
        json_close(json, '}');
    }
    if (json != NULL)
        json_close(json, ']');
}

static void
add_address(const struct asked_list *asked, size_t place, int64_t now_ms, struct json *json)
{
    const struct survey_address *address = survey_address(asked->survey, place);
    char ip[IP_TEXT_SIZE], code[IP_TEXT_SIZE];

    ip_print(&address->ip, ip);
    json_open(json, NULL, '{');
    json_text(json, "name", asked->lists->addresses[place]->name);
    json_text(json, "ip", ip);
    json_text(json, "state", address->finding == SURVEY_LISTED ? "listed" : finding_name(address));
    if (address->answered_ms != 0)
        json_number(json, "answered_ms_ago", now_ms - address->answered_ms);
    if (address->finding == SURVEY_LISTED) {
        ip_print(&address->code, code);
        json_bool(json, "believed", address->held);
        json_number(json, "listed_for_ms", now_ms - address->since_ms);
        json_text(json, "code", code);
        json_text(json, "reason", address->reason);
    }
    json_close(json, '}');
}

static void
print_address(const struct asked_list *asked, size_t place, int width, int64_t now_ms,
              struct buf *text)
{
    const struct survey_address *address = survey_address(asked->survey, place);
    char ip[IP_TEXT_SIZE], code[IP_TEXT_SIZE], ago[UNITS_SPAN_SIZE + 8] = "never",
                                                                     span[UNITS_SPAN_SIZE];

    ip_print(&address->ip, ip);
    if (address->answered_ms != 0)
        snprintf(ago, sizeof(ago), "%s ago", units_print_span(now_ms - address->answered_ms, span));
    buf_printf(text, "%-*s  %-39s  %-20s  %-9s  %-12s", width, asked->lists->addresses[place]->name,
               ip, asked->list->name, finding_name(address), ago);
    if (address->finding == SURVEY_LISTED) {
        ip_print(&address->code, code);
        buf_printf(text, "  %s%s%s%s", code, address->reason != NULL ? " " : "",
                   address->reason != NULL ? address->reason : "",
                   address->held ? "" : " (not believed)");
    }
    buf_puts(text, "\n");
}

/* What matters most is told first, and as far as there is room. */
enum rank { LISTED, NOT_CLEAR, CLEAR, RANKS };

static enum rank
rank_of(const struct survey_address *address)
{
    return address->finding == SURVEY_LISTED  ? LISTED
           : address->finding == SURVEY_CLEAR ? CLEAR
                                              : NOT_CLEAR;
}

/* So many rows of each are told.  Returns how many are not. */
static size_t
make_room(const struct lists *lists, size_t room[static RANKS])
{
    size_t left = LISTS_ROWS_MAX, omitted = 0;

    memset(room, 0, RANKS * sizeof(*room));
    for (size_t i = 0; i < lists->count; i++)
        for (size_t j = 0; j < lists->address_count; j++)
            room[rank_of(survey_address(lists->items[i].survey, j))]++;
    for (int rank = 0; rank < RANKS; rank++) {
        size_t all = room[rank];

        room[rank] = all < left ? all : left;
        left -= room[rank];
        omitted += all - room[rank];
    }
    return omitted;
}

static void
print_rows(const struct lists *lists, enum rank rank, size_t room, int width, struct buf *text)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);

    for (size_t i = 0; i < lists->address_count; i++)
        for (size_t j = 0; j < lists->count && room > 0; j++)
            if (rank_of(survey_address(lists->items[j].survey, i)) == rank) {
                print_address(&lists->items[j], i, width, now_ms, text);
                room--;
            }
}

static void
print_text(const struct lists *lists, struct buf *text)
{
    size_t room[RANKS], omitted = make_room(lists, room);
    int width = (int)strlen("address");

    for (size_t i = 0; i < lists->address_count; i++)
        if ((int)strlen(lists->addresses[i]->name) > width)
            width = (int)strlen(lists->addresses[i]->name);
    for (size_t i = 0; i < lists->count; i++)
        print_status(&lists->items[i], text);
    buf_printf(text, "\n%-*s  %-39s  %-20s  %-9s  %-12s\n", width, "address", "ip", "list", "state",
               "answered");
    for (int rank = 0; rank < RANKS; rank++)
        print_rows(lists, (enum rank)rank, room[rank], width, text);
    if (omitted > 0)
        buf_printf(text, "and %zu more\n", omitted);
}

static void
add_addresses(const struct asked_list *asked, size_t room[static RANKS], struct json *json)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);

    json_open(json, "addresses", '[');
    for (int rank = 0; rank < RANKS; rank++)
        for (size_t i = 0; i < asked->lists->address_count && room[rank] > 0; i++)
            if (rank_of(survey_address(asked->survey, i)) == (enum rank)rank) {
                add_address(asked, i, now_ms, json);
                room[rank]--;
            }
    json_close(json, ']');
}

/* lists may be NULL, here alone. */
static void
print_json(const struct lists *lists, struct json *json)
{
    size_t room[RANKS], omitted = lists != NULL ? make_room(lists, room) : 0;

    json_open(json, NULL, '{');
    json_open(json, "lists", '[');
    for (size_t i = 0; lists != NULL && i < lists->count; i++) {
        json_open(json, NULL, '{');
        add_list(&lists->items[i], json);
        add_addresses(&lists->items[i], room, json);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_number(json, "omitted", (long long)omitted);
    json_close(json, '}');
}

void
lists_print(const struct lists *lists, struct buf *text, struct json *json)
{
    if (json != NULL)
        print_json(lists, json);
    else if (lists == NULL || lists->count == 0)
        buf_puts(text, "no list is asked: the configuration names none\n");
    else
        print_text(lists, text);
}
