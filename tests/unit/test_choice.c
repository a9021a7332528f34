/*
 * Which address, for a lookup or ahead of it, and how much may be under way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "engine/week.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/tag.h"
#include "policyd/choice.h"
#include "policyd/lookup.h"

enum { LIFETIME = 1000 };

static const uint8_t secret[HASH_KEY_SIZE];
static const uint16_t numbers[] = {1, 2, 3, 4};

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct lookup_view view;
    struct lookup_result result;
    struct decision decision;
    struct lookup_history history; /* of every message, when view.arg is this */
};

static const struct curb suspended = {.share = 0, .until_ms = CURB_NOT_KNOWN};

static void
on_history(void *arg, const char *message_id, const char *recipient, const char *domain,
           struct lookup_history *ret_history)
{
    struct world *w = arg;

    assert_string_equal(message_id, "m1");
    assert_string_equal(recipient, "x@one.test");
    assert_string_equal(domain, "one.test");
    *ret_history = w->history;
}

static int
set_up(void **state)
{
    static const bool here[] = {true, true, true};
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf(unit_site);
    w->conf->snapshot->streams[0].active = 2;
    w->conf->snapshot->streams[1].active = 0;
    w->roster = roster_new(w->conf->snapshot, here);
    w->curbs = curbs_new(w->conf->snapshot);
    w->view = (struct lookup_view){
        .conf = w->conf,
        .roster = w->roster,
        .grants = grants_new(100, LIFETIME),
        .grant_secret = secret,
        .stream_numbers = numbers,
        .settles = true,
        .curbs = w->curbs,
        .now_ms = 1000,
    };
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    grants_free(w->view.grants);
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static struct choice_mail
mail_of(struct world *w, size_t stream, const char *id)
{
    return (struct choice_mail){&w->conf->snapshot->streams[stream], id, "a.test", "x@one.test",
                                "one.test"};
}

static const struct lookup_result *
choose(struct world *w, size_t stream, const char *id, bool ahead)
{
    struct choice_mail mail = mail_of(w, stream, id);

    choice_make(&w->view, &mail, ahead, &w->result, &w->decision);
    return &w->result;
}

static enum grant_state
state_of(struct world *w, const char *id)
{
    struct choice_mail mail = mail_of(w, 0, id);
    struct grant_key key;

    choice_key(&w->view, &mail, &key);
    return grants_state(w->view.grants, &key, w->view.now_ms);
}

static void
settle(struct world *w, const char *id)
{
    struct choice_mail mail = mail_of(w, 0, id);
    struct grant_key key;

    choice_key(&w->view, &mail, &key);
    assert_true(grants_spend(w->view.grants, &key, w->view.now_ms));
}

static void
test_only_so_many_are_under_way(void **state)
{
    struct world *w = *state;

    assert_non_null(choose(w, 0, "m1", false)->address);
    assert_non_null(choose(w, 0, "m2", false)->address);
    assert_null(choose(w, 0, "m3", false)->address);
    assert_true(w->result.busy);
    assert_false(w->result.full);
    assert_true(choose(w, 0, "m1", false)->again);       /* that one is */
    assert_non_null(choose(w, 3, "m4", false)->address); /* another stream */
    for (int i = 0; i < 20; i++) {
        char id[16];

        snprintf(id, sizeof(id), "any%d", i);
        assert_non_null(choose(w, 1, id, false)->address);
    }
    settle(w, "m1");
    assert_non_null(choose(w, 0, "m3", false)->address);
    assert_true(choose(w, 0, "m5", true)->busy);
    w->view.now_ms += LIFETIME;
    grants_expire(w->view.grants, w->view.now_ms, 100);
    assert_non_null(choose(w, 0, "m5", true)->address);
}

static void
test_without_results_none_is_held_back(void **state)
{
    struct world *w = *state;
    char id[16];

    w->view.settles = false;
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        assert_non_null(choose(w, 0, id, false)->address);
    }
}

static void
test_ahead_of_a_lookup(void **state)
{
    struct world *w = *state;
    const struct address *address = choose(w, 0, "m1", true)->address;

    assert_non_null(address);
    assert_false(w->result.again);
    assert_int_equal(state_of(w, "m1"), GRANT_RESERVED);
    assert_true(choose(w, 0, "m1", true)->again); /* nobody asked by that */
    assert_int_equal(state_of(w, "m1"), GRANT_RESERVED);
    assert_ptr_equal(choose(w, 0, "m1", false)->address, address);
    assert_true(w->result.again);
    assert_true(w->result.kept);
    assert_int_equal(state_of(w, "m1"), GRANT_ASKED);
    assert_true(choose(w, 0, "m1", false)->again);
    assert_false(w->result.kept);
    choose(w, 0, "m2", false);
    assert_false(w->result.kept);
    assert_int_equal(state_of(w, "m2"), GRANT_ASKED);
    assert_true(w->result.key != 0);
}

static void
test_without_grants(void **state)
{
    struct world *w = *state;
    struct grants *grants = w->view.grants;

    w->view.grants = NULL;
    assert_non_null(choose(w, 0, "m1", false)->address);
    assert_int_equal(w->result.key, 0);
    w->view.grants = grants;
}

static const struct address *
other_than(const struct world *w, const struct address *address)
{
    const struct address *addresses = w->conf->snapshot->addresses; /* a1 and a2 are in one pool */

    return address == &addresses[0] ? &addresses[1] : &addresses[0];
}

/* The grant is spent: where its mail is nobody knows. */
static void
test_grant_at_a_suspended_address(void **state)
{
    struct world *w = *state;
    const struct address *first = choose(w, 0, "m1", false)->address;
    struct grants_figures figures;

    curbs_set_address(w->curbs, first, &suspended);
    assert_true(choose(w, 0, "m1", true)->again); /* it is under way, and not to be woken */
    assert_ptr_equal(choose(w, 0, "m1", false)->address, other_than(w, first));
    assert_false(w->result.again);
    assert_true(choose(w, 0, "m1", false)->again);
    grants_figures(w->view.grants, &figures);
    assert_int_equal(figures.spent, 1);
    assert_int_equal(figures.open, 1);
    curbs_set_address(w->curbs, other_than(w, first), &suspended);
    assert_null(choose(w, 0, "m1", false)->address);
    assert_true(w->result.suspended && w->result.decided);
    assert_int_equal(state_of(w, "m1"), GRANT_NONE);
}

/* Nobody has asked for that one yet. */
static void
test_grant_ahead_at_a_suspended_address(void **state)
{
    struct world *w = *state;
    const struct address *first = choose(w, 0, "m1", true)->address;

    curbs_set_address(w->curbs, first, &suspended);
    assert_ptr_equal(choose(w, 0, "m1", true)->address, other_than(w, first));
    assert_false(w->result.again);
}

static void
test_grant_at_a_suspended_provider(void **state)
{
    struct world *w = *state;
    const struct address *first = choose(w, 0, "m1", false)->address;

    curbs_set_provider(w->curbs, first, &w->conf->snapshot->providers[PROVIDER_OTHER], &suspended);
    assert_ptr_equal(choose(w, 0, "m1", false)->address, other_than(w, first));
    curbs_set_domain(w->curbs, other_than(w, first), "one.test", &suspended);
    assert_null(choose(w, 0, "m1", false)->address);
}

static void
test_grant_of_a_suspended_account(void **state)
{
    struct world *w = *state;

    assert_non_null(choose(w, 0, "m1", false)->address);
    curbs_set_account(w->curbs, "a.test", &suspended);
    assert_null(choose(w, 0, "m1", false)->address);
    assert_true(w->result.suspended && w->decision.held);
}

/* A grant there may be that of a probe. */
static void
test_grant_of_a_probe(void **state)
{
    static const struct curb probed = {.probes = 1, .probing = true, .until_ms = CURB_NOT_KNOWN};
    struct world *w = *state;

    curbs_set_address(w->curbs, &w->conf->snapshot->addresses[0], &probed);
    curbs_set_address(w->curbs, &w->conf->snapshot->addresses[1], &suspended);
    assert_non_null(choose(w, 0, "m1", true)->address);
    assert_int_equal(curbs_address(w->curbs, w->result.address)->probes, 0);
    assert_true(choose(w, 0, "m1", false)->again);
    assert_null(choose(w, 0, "m2", false)->address);
}

/* Without caps and grants probes are counted, too. */
static void
test_probe_without_grants(void **state)
{
    static const struct curb probed = {.probes = 1, .probing = true, .until_ms = CURB_NOT_KNOWN};
    struct world *w = *state;
    struct grants *grants = w->view.grants;

    w->view.grants = NULL;
    curbs_set_address(w->curbs, &w->conf->snapshot->addresses[0], &probed);
    curbs_set_address(w->curbs, &w->conf->snapshot->addresses[1], &suspended);
    assert_non_null(choose(w, 0, "m1", false)->address);
    assert_null(choose(w, 0, "m2", false)->address);
    w->view.grants = grants;
}

static void
test_history(void **state)
{
    struct world *w = *state;
    const struct address *first = choose(w, 0, "m1", false)->address, *other = other_than(w, first);

    w->view.history = on_history;
    w->view.arg = w;
    w->history.avoid[0] = first;
    assert_ptr_equal(choose(w, 0, "m1", false)->address, other);
    assert_false(w->result.again);
    w->history = (struct lookup_history){.prefer = first};
    assert_ptr_equal(choose(w, 0, "m1", false)->address, other); /* it is open */
    settle(w, "m1");
    assert_ptr_equal(choose(w, 0, "m1", false)->address, first);
    settle(w, "m1");
    w->history.prefer = other;
    assert_ptr_equal(choose(w, 0, "m1", false)->address, other);
}

static void
test_refused(void **state)
{
    struct world *w = *state;
    const struct address *addresses = w->conf->snapshot->addresses;

    w->view.history = on_history;
    w->view.arg = w;
    w->history = (struct lookup_history){.avoid = {&addresses[0]}, .words = "5.7.1 no"};
    assert_ptr_equal(choose(w, 0, "m1", false)->address, &addresses[1]);
    assert_false(w->result.refused);
    settle(w, "m1");
    w->history.avoid[1] = &addresses[1];
    assert_null(choose(w, 0, "m1", false)->address);
    assert_true(w->result.refused && w->result.decided);
    assert_string_equal(w->result.words, "5.7.1 no");
    w->history.words = NULL; /* not for good: both may be tried again */
    assert_non_null(choose(w, 0, "m1", false)->address);
    assert_false(w->result.refused);
    settle(w, "m1");
    w->history = (struct lookup_history){.avoid = {&addresses[0]}, .ended = true, .words = "5.7.1"};
    assert_null(choose(w, 0, "m1", false)->address);
    assert_true(w->result.refused && !w->result.decided);
    w->history.words = NULL; /* then there is nothing to tell, and it goes on */
    assert_ptr_equal(choose(w, 0, "m1", false)->address, &addresses[1]);
}

/* Too late is told before too early, and neither takes a grant. */
static void
test_times(void **state)
{
    struct world *w = *state;
    struct stream *stream = &w->conf->snapshot->streams[0];
    struct week week;
    char id[TAG_ID_LENGTH + 1];

    assert_null(week_parse("08:00-20:00", &week));
    w->view.time_ms = INT64_C(1795132800) * 1000; /* midnight */
    tag_id(7, 1795132800 - 60, id);
    stream->hours = mem_new(sizeof(week));
    *stream->hours = week;
    assert_null(choose(w, 0, id, false)->address);
    assert_true(w->result.outside && !w->result.expired && !w->result.decided);
    assert_int_equal(w->result.opens_ms, w->view.time_ms + 8 * 3600 * 1000);
    assert_int_equal(state_of(w, id), GRANT_NONE);
    assert_non_null(choose(w, 1, id, false)->address); /* the hours of another stream */
    assert_false(w->result.outside);
    stream->deadline_ms = 60 * 1000;
    assert_true(choose(w, 0, id, false)->outside); /* an id has whole seconds */
    w->view.time_ms += 1000;
    assert_null(choose(w, 0, id, false)->address);
    assert_true(w->result.expired && !w->result.outside);
    assert_true(choose(w, 0, id, true)->expired);
    assert_true(choose(w, 0, "joe@a.test", false)->outside); /* no tag, no deadline */
    w->view.time_ms += 8 * 3600 * 1000;
    assert_true(choose(w, 0, id, true)->expired);
    assert_non_null(choose(w, 0, "joe@a.test", false)->address);
    assert_int_equal(state_of(w, "joe@a.test"), GRANT_ASKED);
}

/* ------------------------------------------------------------------- grades */

/* No more of one account are under way than may be, in streams with grades. */
static void
test_under_way(void **state)
{
    struct world *w = *state;
    struct choice_mail other = mail_of(w, 1, "m4");

    w->conf->standing_under_way = 2;
    assert_non_null(choose(w, 1, "m0", false)->address); /* it has none: not counted */
    w->conf->snapshot->streams[1].is_graded = true;
    assert_non_null(choose(w, 1, "m1", false)->address);
    assert_non_null(choose(w, 1, "m2", true)->address);
    assert_null(choose(w, 1, "m3", false)->address);
    assert_true(w->result.busy);
    assert_non_null(choose(w, 1, "m2", false)->address); /* again */
    other.account = "b.test";
    choice_make(&w->view, &other, false, &w->result, &w->decision);
    assert_non_null(w->result.address);
    settle(w, "m1");
    assert_non_null(choose(w, 1, "m3", false)->address);
    assert_null(choose(w, 1, "m5", false)->address);
    w->view.settles = false;
    assert_non_null(choose(w, 1, "m5", false)->address);
    w->view.settles = true;
    w->view.now_ms += LIFETIME;
    grants_expire(w->view.grants, w->view.now_ms, 10); /* what is not heard of is over */
    assert_non_null(choose(w, 1, "m6", false)->address);
    w->conf->standing_under_way = 0;
    for (int i = 0; i < 5; i++)
        assert_non_null(
            choose(w, 1, (const char *[]){"n0", "n1", "n2", "n3", "n4"}[i], false)->address);
}

/* "a.test" has the grade that arg says, others are new. */
static enum grade
on_grade(void *arg, const char *account)
{
    return strcmp(account, "a.test") == 0 ? *(enum grade *)arg : GRADE_NEW;
}

static void
test_pool_of_the_grade(void **state)
{
    struct world *w = *state;
    struct stream *stream = &w->conf->snapshot->streams[0];
    const struct address *a1 = snapshot_find_address(w->conf->snapshot, "a1");
    const struct address *b1 = snapshot_find_address(w->conf->snapshot, "b1");
    enum grade grade = GRADE_TRUSTED;

    stream->by_grade[GRADE_ATTENTION] = snapshot_find_pool(w->conf->snapshot, "bulk");
    stream->is_graded = true;
    w->view.grade = on_grade;
    w->view.grade_arg = &grade;
    w->view.history = on_history;
    w->view.arg = w;
    w->history.prefer = a1;
    assert_ptr_equal(choose(w, 0, "m1", false)->address, a1);
    grade = GRADE_ATTENTION;
    assert_ptr_equal(choose(w, 0, "m1", false)->address, a1); /* it is under way there */
    assert_true(w->result.again);
    settle(w, "m1");
    assert_ptr_equal(choose(w, 0, "m1", false)->address, b1); /* whatever it prefers */
    assert_string_equal(w->decision.pool->name, "bulk");
    assert_string_equal(choice_pool(&w->view, stream, "a.test")->name, "bulk");
    assert_string_equal(choice_pool(&w->view, stream, "b.test")->name, "fast");
    assert_string_equal(choice_pool(&w->view, stream, "")->name, "fast");
    /* Another stream has no pools for grades. */
    settle(w, "m1");
    assert_string_equal(choice_pool(&w->view, &w->conf->snapshot->streams[3], "a.test")->name,
                        "fast");
    w->view.grade = NULL;
    assert_string_equal(choice_pool(&w->view, stream, "a.test")->name, "fast");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_so_many_are_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_results_none_is_held_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ahead_of_a_lookup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_grants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_at_a_suspended_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_ahead_at_a_suspended_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_at_a_suspended_provider, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_of_a_suspended_account, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_of_a_probe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_probe_without_grants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pool_of_the_grade, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
