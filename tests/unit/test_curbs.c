/*
 * The table of what is held back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "tests/unit/chance.h"

#define PROVIDERS \
    "providers: { p1 = { domains = ( \"p1.test\" ); }; p2 = { domains = ( \"p2.test\" ); }; };\n"

static const struct curb suspended = {.share = 0, .until_ms = 5000};
static const struct curb slowed = {.share = 25, .until_ms = 7000};
static const struct curb drained = {
    .share = CURB_WHOLE, .drained = true, .until_ms = CURB_NOT_KNOWN};
static const struct curb well = {.share = CURB_WHOLE};

struct world {
    struct conf *conf;
    struct curbs *curbs;
    const struct address *a1, *a2, *b1;
    const struct provider *p1, *p2;
};

static void
world_at(struct world *w)
{
    const struct snapshot *snapshot = w->conf->snapshot;

    w->a1 = snapshot_find_address(snapshot, "a1");
    w->a2 = snapshot_find_address(snapshot, "a2");
    w->b1 = snapshot_find_address(snapshot, "b1");
    w->p1 = snapshot_find_provider(snapshot, "p1");
    w->p2 = snapshot_find_provider(snapshot, "p2");
}

static int
set_up(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf_with(PROVIDERS);
    w->curbs = curbs_new(w->conf->snapshot);
    world_at(w);
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    curbs_free(w->curbs);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static void
test_nothing_at_first(void **state)
{
    struct world *w = *state;

    assert_true(curbs_is_empty(w->curbs));
    assert_int_equal(curbs_address(w->curbs, w->a1)->share, CURB_WHOLE);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p1)->share, CURB_WHOLE);
    assert_int_equal(curbs_account(w->curbs, "a.test")->share, CURB_WHOLE);
    assert_int_equal(curbs_account(w->curbs, NULL)->share, CURB_WHOLE);
    assert_true(curbs_set_address(w->curbs, w->a1, &well));
    assert_true(curbs_set_provider(w->curbs, w->a1, w->p1, &well));
    assert_true(curbs_set_account(w->curbs, "a.test", &well));
    assert_true(curbs_is_empty(w->curbs));
    assert_int_equal(curbs_changes(w->curbs), 0);
}

static void
test_each_is_its_own(void **state)
{
    struct world *w = *state;

    assert_true(curbs_set_address(w->curbs, w->a1, &suspended));
    assert_true(curbs_set_provider(w->curbs, w->a1, w->p1, &slowed));
    assert_true(curbs_set_account(w->curbs, "a.test", &drained));
    assert_false(curbs_is_empty(w->curbs));
    assert_int_equal(curbs_address(w->curbs, w->a1)->share, 0);
    assert_int_equal(curbs_address(w->curbs, w->a1)->until_ms, 5000);
    assert_int_equal(curbs_address(w->curbs, w->a2)->share, CURB_WHOLE);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p1)->share, 25);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p2)->share, CURB_WHOLE);
    assert_int_equal(curbs_provider(w->curbs, w->a2, w->p1)->share, CURB_WHOLE);
    assert_true(curbs_account(w->curbs, "a.test")->drained);
    assert_false(curbs_account(w->curbs, "b.test")->drained);
    assert_int_equal(curbs_changes(w->curbs), 3);
}

static void
test_taken_out(void **state)
{
    struct world *w = *state;

    test_each_is_its_own(state);
    assert_true(curbs_set_provider(w->curbs, w->a1, w->p2, &suspended));
    assert_true(curbs_set_provider(w->curbs, w->a1, w->p1, &well));
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p1)->share, CURB_WHOLE);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p2)->share, 0);
    assert_true(curbs_set_provider(w->curbs, w->a1, w->p2, &well));
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p2)->share, CURB_WHOLE);
    assert_true(curbs_set_address(w->curbs, w->a1, &well));
    assert_false(curbs_is_empty(w->curbs));
    assert_true(curbs_set_account(w->curbs, "a.test", &well));
    assert_true(curbs_is_empty(w->curbs));
}

/* Notes of what is full are void when a curb changes, and only then. */
static void
test_changes(void **state)
{
    struct world *w = *state;

    curbs_set_address(w->curbs, w->a1, &suspended);
    curbs_set_address(w->curbs, w->a1, &suspended);
    assert_int_equal(curbs_changes(w->curbs), 1);
    curbs_set_address(w->curbs, w->a1, &slowed);
    assert_int_equal(curbs_changes(w->curbs), 2);
    curbs_set_address(w->curbs, w->a1, &well);
    assert_int_equal(curbs_changes(w->curbs), 3);
    curbs_set_address(w->curbs, w->a1, &well);
    assert_int_equal(curbs_changes(w->curbs), 3);
}

static void
test_probes(void **state)
{
    static const struct curb probed = {.share = 0, .probes = 2, .until_ms = CURB_NOT_KNOWN};
    struct world *w = *state;

    curbs_set_address(w->curbs, w->a1, &probed);
    curbs_set_provider(w->curbs, w->a1, w->p1, &probed);
    curbs_set_account(w->curbs, "a.test", &probed);
    curbs_probe(w->curbs, w->a1, w->p2, NULL, NULL);
    assert_int_equal(curbs_address(w->curbs, w->a1)->probes, 1);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p1)->probes, 2);
    curbs_probe(w->curbs, w->a1, w->p1, NULL, "a.test");
    curbs_probe(w->curbs, w->a1, w->p1, NULL, "b.test");
    assert_int_equal(curbs_address(w->curbs, w->a1)->probes, 0);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p1)->probes, 0);
    assert_int_equal(curbs_account(w->curbs, "a.test")->probes, 1);
    assert_int_equal(curbs_changes(w->curbs), 3);
}

/* A sender's domain may be of any text that a stranger writes: it holds back nothing but itself. */
static void
test_odd_account(void **state)
{
    struct world *w = *state;

    assert_true(curbs_set_domain(w->curbs, w->a1, "y.test", &slowed));
    assert_true(curbs_set_account(w->curbs, "a1/x.test", &suspended));
    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->share, CURB_WHOLE);
    assert_int_equal(curbs_account(w->curbs, "a1/x.test")->share, 0);
    assert_int_equal(curbs_account(w->curbs, "a1/y.test")->share, CURB_WHOLE);
}

/* An address at one domain, of which another address, and the sender's domain, know nothing. */
static void
test_domain(void **state)
{
    static const struct curb probed = {.share = 0, .probes = 1, .until_ms = CURB_NOT_KNOWN};
    struct world *w = *state;

    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->share, CURB_WHOLE);
    assert_true(curbs_set_domain(w->curbs, w->a1, "x.test", &probed));
    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->share, 0);
    assert_int_equal(curbs_domain(w->curbs, w->a1, "y.test")->share, CURB_WHOLE);
    assert_int_equal(curbs_domain(w->curbs, w->a1, NULL)->share, CURB_WHOLE);
    assert_int_equal(curbs_domain(w->curbs, w->a2, "x.test")->share, CURB_WHOLE);
    assert_int_equal(curbs_account(w->curbs, "x.test")->share, CURB_WHOLE);
    curbs_probe(w->curbs, w->a2, w->p1, "x.test", "x.test");
    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->probes, 1);
    curbs_probe(w->curbs, w->a1, w->p1, "x.test", NULL);
    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->probes, 0);
    assert_true(curbs_set_domain(w->curbs, w->a1, "x.test", &well));
    assert_true(curbs_is_empty(w->curbs));
}

/* By names: a1 stands elsewhere, a2 and p1 are gone. */
static void
test_another_snapshot(void **state)
{
    struct world *w = *state;
    struct conf *before = w->conf;

    curbs_set_address(w->curbs, w->a1, &suspended);
    curbs_set_address(w->curbs, w->a2, &suspended);
    curbs_set_provider(w->curbs, w->a1, w->p1, &slowed);
    curbs_set_provider(w->curbs, w->a1, w->p2, &slowed);
    curbs_set_provider(w->curbs, w->a2, w->p2, &slowed);
    curbs_set_provider(w->curbs, w->b1, w->p2, &suspended);
    curbs_set_account(w->curbs, "a.test", &drained);
    curbs_set_domain(w->curbs, w->a1, "x.test", &slowed);
    curbs_set_domain(w->curbs, w->a2, "x.test", &slowed);
    w->conf = unit_conf("addresses: { new = { ip = \"127.0.1.9\"; helo = \"n.test\"; };\n"
                        " b1 = { ip = \"127.0.1.3\"; helo = \"b1.test\"; };\n"
                        " a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
                        "providers: { p0 = { domains = ( \"p0.test\" ); };\n"
                        "             p2 = { domains = ( \"p2.test\" ); }; };\n"
                        "pools: { fast = { addresses = ( \"a1\", \"b1\", \"new\" ); }; };\n"
                        "streams: ( { name = \"default\"; pool = \"fast\"; match = (); } );\n");
    assert_true(curbs_set_snapshot(w->curbs, w->conf->snapshot));
    conf_unref(before);
    world_at(w);
    assert_null(w->a2);
    assert_null(w->p1);
    assert_int_equal(curbs_changes(w->curbs), 10);
    assert_int_equal(curbs_domain(w->curbs, w->a1, "x.test")->share, 25);
    curbs_set_domain(w->curbs, w->a1, "x.test", &well);
    assert_int_equal(curbs_address(w->curbs, w->a1)->share, 0);
    assert_int_equal(curbs_address(w->curbs, w->b1)->share, CURB_WHOLE);
    assert_int_equal(curbs_provider(w->curbs, w->a1, w->p2)->share, 25);
    assert_int_equal(curbs_provider(w->curbs, w->b1, w->p2)->share, 0);
    assert_int_equal(
        curbs_provider(w->curbs, w->a1, snapshot_find_provider(w->conf->snapshot, "p0"))->share,
        CURB_WHOLE);
    assert_true(curbs_account(w->curbs, "a.test")->drained);
    curbs_set_address(w->curbs, w->a1, &well);
    curbs_set_provider(w->curbs, w->a1, w->p2, &well);
    curbs_set_provider(w->curbs, w->b1, w->p2, &well);
    curbs_set_account(w->curbs, "a.test", &well);
    assert_true(curbs_is_empty(w->curbs));
}

static void
test_too_many_accounts(void **state)
{
    struct world *w = *state;
    char account[CURBS_ACCOUNT_MAX + 10];

    for (size_t i = 0; i < CURBS_ACCOUNTS_MAX; i++) {
        snprintf(account, sizeof(account), "c%zu.test", i);
        assert_true(curbs_set_account(w->curbs, account, &slowed));
    }
    assert_false(curbs_set_account(w->curbs, "one.test", &slowed));
    assert_int_equal(curbs_account(w->curbs, "one.test")->share, CURB_WHOLE);
    assert_true(curbs_set_account(w->curbs, "c7.test", &suspended)); /* known already */
    assert_true(curbs_set_account(w->curbs, "c8.test", &well));
    assert_true(curbs_set_account(w->curbs, "one.test", &slowed));
    memset(account, 'x', sizeof(account) - 1);
    account[sizeof(account) - 1] = '\0';
    assert_true(curbs_set_account(w->curbs, "c9.test", &well));
    assert_true(curbs_set_account(w->curbs, account, &slowed));
    assert_int_equal(curbs_account(w->curbs, account)->share, 25);
    account[CURBS_ACCOUNT_MAX] = '\0';
    assert_int_equal(curbs_account(w->curbs, account)->share, 25);
}

static void
test_too_many_pairs(void **state)
{
    enum { ADDRESSES = CURBS_PAIRS_MAX / 3 + 1 };
    struct address *addresses = mem_array(ADDRESSES, sizeof(*addresses));
    struct provider providers[3] = {{.index = 0}, {.index = 1}, {.index = 2}};
    struct snapshot snapshot = {.address_count = ADDRESSES, .provider_count = 3};
    struct curbs *curbs = curbs_new(&snapshot);
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ADDRESSES; i++) {
        addresses[i].index = i;
        for (size_t j = 0; j < 3; j++)
            count += curbs_set_provider(curbs, &addresses[i], &providers[j], &slowed);
    }
    assert_int_equal(count, CURBS_PAIRS_MAX);
    for (size_t i = 0; i < ADDRESSES; i++)
        for (size_t j = 0; j < 3; j++)
            curbs_set_provider(curbs, &addresses[i], &providers[j], &well);
    assert_true(curbs_is_empty(curbs));
    curbs_free(curbs);
    free(addresses);
}

/* Against a plain list, by chance. */
static void
test_model(void **state)
{
    struct world *w = *state;
    const struct address *addresses[] = {w->a1, w->a2, w->b1};
    uint8_t of_address[3], of_pair[3][3], of_account[40];

    memset(of_address, CURB_WHOLE, sizeof(of_address));
    memset(of_pair, CURB_WHOLE, sizeof(of_pair));
    memset(of_account, CURB_WHOLE, sizeof(of_account));
    chance_seed(7);
    for (int step = 0; step < 20000; step++) {
        struct curb curb = {.share = chance(2) == 0 ? CURB_WHOLE : (uint8_t)chance(CURB_WHOLE)};
        size_t a = (size_t)chance(3), p = (size_t)chance(3), n = (size_t)chance(40);
        const struct provider *provider = &w->conf->snapshot->providers[p];
        bool empty = true;
        char account[20];

        snprintf(account, sizeof(account), "c%zu.test", n);
        switch (chance(3)) {
        case 0:
            assert_true(curbs_set_address(w->curbs, addresses[a], &curb));
            of_address[a] = curb.share;
            break;
        case 1:
            assert_true(curbs_set_provider(w->curbs, addresses[a], provider, &curb));
            of_pair[a][p] = curb.share;
            break;
        default:
            assert_true(curbs_set_account(w->curbs, account, &curb));
            of_account[n] = curb.share;
            break;
        }
        a = (size_t)chance(3);
        n = (size_t)chance(40);
        snprintf(account, sizeof(account), "c%zu.test", n);
        assert_int_equal(curbs_address(w->curbs, addresses[a])->share, of_address[a]);
        assert_int_equal(curbs_provider(w->curbs, addresses[a], provider)->share, of_pair[a][p]);
        assert_int_equal(curbs_account(w->curbs, account)->share, of_account[n]);
        for (size_t i = 0; i < 40; i++)
            empty = empty && of_account[i] == CURB_WHOLE && of_address[i % 3] == CURB_WHOLE &&
                    of_pair[i % 3][i / 3 % 3] == CURB_WHOLE;
        assert_int_equal(curbs_is_empty(w->curbs), empty);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_at_first),
        TEST(test_each_is_its_own),
        TEST(test_taken_out),
        TEST(test_changes),
        TEST(test_probes),
        TEST(test_domain),
        TEST(test_odd_account),
        TEST(test_another_snapshot),
        TEST(test_too_many_accounts),
        TEST(test_too_many_pairs),
        TEST(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
