/*
 * A decision as people read it, and as JSON: what is held back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/explained.h"
#include "lib/json.h"
#include "lib/mem.h"

#define NOW_MS INT64_C(1700000000000)

static const struct curb suspended = {.share = 0, .until_ms = NOW_MS + 10 * 60 * 1000};
static const struct curb for_ever = {.share = 0, .until_ms = CURB_NOT_KNOWN};

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct decide_question question;
    struct decision decision;
    struct buf text;
};

static int
set_up(void **state)
{
    static const bool here[] = {true, true, true};
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf_with("providers: { p1 = { domains = ( \"p1.test\" ); }; };\n");
    w->roster = roster_new(w->conf->snapshot, here);
    w->curbs = curbs_new(w->conf->snapshot);
    w->question = (struct decide_question){
        .roster = w->roster,
        .stream = snapshot_find_stream(w->conf->snapshot, "bulk", 4), /* only b1 */
        .provider = snapshot_find_provider(w->conf->snapshot, "p1")->index,
        .account = METERS_NONE,
        .now_ms = NOW_MS,
        .curbs = w->curbs,
        .account_name = "a.test",
    };
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    buf_clear(&w->text);
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static const char *
on_cause(void *arg, const struct candidate *candidate)
{
    (void)arg;
    return candidate->scope == CURB_ADDRESS ? "it was blocked" : NULL;
}

static const char *
told(struct world *w, bool json)
{
    struct explained_with with = {.now_ms = NOW_MS, .cause = on_cause};
    struct json out = {.out = &w->text};

    buf_clear(&w->text);
    decide_explained(&w->question, &w->decision);
    if (!json) {
        explained_text(&w->decision, &with, &w->text);
    } else {
        json_open(&out, NULL, '{');
        explained_json(&w->decision, &with, &out);
        json_close(&out, '}');
    }
    return buf_text(&w->text);
}

#define LINE "candidates\n  bulk         b1           127.0.1.3            "

static void
test_address(void **state)
{
    struct world *w = *state;
    const struct address *b1 = snapshot_find_address(w->conf->snapshot, "b1");

    curbs_set_address(w->curbs, b1, &suspended);
    assert_string_equal(told(w, false),
                        "address    none: the recipient is deferred (4.7.1), all addresses are "
                        "suspended, better in 10 min\n" LINE
                        "suspended, better in 10 min: it was blocked\n");
    assert_non_null(strstr(told(w, true), "\"suspended\":true"));
    assert_non_null(strstr(told(w, true), "\"scope\":\"address\",\"better_in_ms\":600000,"
                                          "\"cause\":\"it was blocked\""));
    curbs_set_address(w->curbs, b1, &for_ever);
    assert_string_equal(
        told(w, false),
        "address    none: the recipient is deferred (4.7.1), all addresses are suspended\n" LINE
        "suspended: it was blocked\n");
    assert_null(strstr(told(w, true), "better_in_ms"));
    curbs_set_address(w->curbs, b1,
                      &(struct curb){.share = 100, .drained = true, .until_ms = CURB_NOT_KNOWN});
    assert_non_null(strstr(told(w, false), "drained: it takes no new messages: it was blocked\n"));
}

static void
test_provider_and_account(void **state)
{
    struct world *w = *state;

    curbs_set_provider(w->curbs, snapshot_find_address(w->conf->snapshot, "b1"),
                       snapshot_find_provider(w->conf->snapshot, "p1"), &suspended);
    assert_non_null(strstr(told(w, false), "suspended at this provider, better in 10 min\n"));
    curbs_set_account(w->curbs, "a.test", &for_ever);
    assert_string_equal(told(w, false),
                        "address    none: the recipient is deferred (4.7.1), mail of this sender "
                        "is held back\n" LINE "suspended with all mail of this sender\n");
    assert_non_null(strstr(told(w, true), "\"scope\":\"account\",\"cause\":null"));
}

static void
test_slowed_and_refused(void **state)
{
    struct world *w = *state;
    const struct address *b1 = snapshot_find_address(w->conf->snapshot, "b1");

    curbs_set_address(w->curbs, b1, &(struct curb){.share = 1, .until_ms = NOW_MS});
    for (w->question.key = 0; told(w, false) && w->decision.address != NULL; w->question.key++)
        ;
    assert_non_null(strstr(buf_text(&w->text), "all addresses are slowed down, better in "));
    assert_non_null(
        strstr(buf_text(&w->text), "slowed down: not this message in this minute, better in "));
    w->question.avoid[0] = b1;
    assert_string_equal(told(w, false),
                        "address    none: the recipient is returned, every address has refused "
                        "it\n" LINE "it refused this message\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_address),
        TEST(test_provider_and_account),
        TEST(test_slowed_and_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
