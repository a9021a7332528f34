/*
 * Classifying, the order of candidates, and the decision.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/classify.h"
#include "engine/decide.h"
#include "engine/hash.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"

#include <math.h>

static void
expect_stream(const char *match, const struct facts *facts, bool holds)
{
    char text[2000];
    struct conf *conf;

    snprintf(text, sizeof(text),
             "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
             "pools: { p = { addresses = ( \"a1\" ); }; };\n"
             "streams: ( { name = \"yes\"; pool = \"p\"; match = ( %s ); },\n"
             "           { name = \"no\"; pool = \"p\"; match = (); } );\n",
             match);
    conf = unit_conf(text);
    if ((strcmp(classify(conf->snapshot, facts)->name, "yes") == 0) != holds)
        fail_msg("%s should%s match", match, holds ? "" : " not");
    conf_unref(conf);
}

static void
test_conditions(void **state)
{
    static const struct header headers[] = {{"X-Stream", "Transactional"},
                                            {"Precedence", "list"},
                                            {"Precedence", "bulk"},
                                            {"List-Unsubscribe", ""}};
    static const char *const recipients[] = {"a@one.test", "b@two.test"};
    struct facts facts = {
        .sender = "Joe@Acme.example",
        .sasl_user = "app-news",
        .daemon = "submission-tx",
        .recipients = recipients,
        .recipient_count = COUNT(recipients),
        .headers = headers,
        .header_count = COUNT(headers),
    };
    static const struct {
        const char *match;
        bool holds;
    } cases[] = {
        {"{ header = \"x-stream\"; }", true},
        {"{ header = \"X-Stream\"; value = \"transactional\"; }", true},
        {"{ header = \"X-Stream\"; value = \"trans\"; }", false},
        {"{ header = \"X-Stream\"; value = \"trans*\"; }", true},
        {"{ header = \"X-Stream\"; regex = \"^trans(act)?\"; }", true},
        {"{ header = \"X-Stream\"; regex = \"^act\"; }", false},
        {"{ header = \"Precedence\"; value = \"bulk\"; }", true},
        {"{ header = \"List-Unsubscribe\"; }", true},
        {"{ header = \"List-Id\"; }", false},
        {"{ sasl_user = \"app-*\"; }", true},
        {"{ sasl_user = \"APP-*\"; }", false},
        {"{ sender = \"*@acme.example\"; }", true},
        {"{ sender = \"<>\"; }", false},
        {"{ client = \"192.0.2.0/24\"; }", true},
        {"{ client = \"192.0.3.0/24\"; }", false},
        {"{ client = \"2001:db8::/32\"; }", false},
        {"{ daemon = \"submission-*\"; }", true},
        {"{ daemon = \"smtp\"; }", false},
        {"{ recipient = \"*@two.test\"; }", true},
        {"{ recipient = \"*@three.test\"; }", false},
        {"{ header = \"X-Stream\"; sasl_user = \"app-*\"; }", true},
        {"{ header = \"X-Stream\"; sasl_user = \"other\"; }", false},
        {"{ header = \"List-Id\"; sasl_user = \"app-*\"; }", false},
        {"{ header = \"List-Id\"; }, { daemon = \"submission-tx\"; }", true},
    };

    (void)state;
    assert_true(ip_parse("192.0.2.77", &facts.client));
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_stream(cases[i].match, &facts, cases[i].holds);
}

static void
test_unknown_facts_hold_nothing(void **state)
{
    static const char *const matches[] = {"{ header = \"X\"; }", "{ sasl_user = \"*\"; }",
                                          "{ sender = \"*\"; }", "{ client = \"0.0.0.0/0\"; }",
                                          "{ daemon = \"*\"; }", "{ recipient = \"*\"; }"};
    struct facts nothing = {0}, null_sender = {.sender = ""};

    (void)state;
    for (size_t i = 0; i < COUNT(matches); i++)
        expect_stream(matches[i], &nothing, false);
    expect_stream("{ sender = \"<>\"; }", &null_sender, true);
}

static void
test_first_stream_wins(void **state)
{
    struct conf *conf = unit_conf(unit_site);
    struct header headers[] = {{"List-Unsubscribe", "x"}, {"X-Stream", "tx"}};
    struct facts facts = {.sender = "a@client.test", .headers = headers, .header_count = 2};

    (void)state;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "tx");
    facts.header_count = 1;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "client");
    facts.sender = "a@other.test";
    assert_string_equal(classify(conf->snapshot, &facts)->name, "bulk");
    facts.header_count = 0;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "default");
    conf_unref(conf);
}

/* What may be, where it cannot be told: conditions of some types are granted, the others count. */
static void
test_granted_conditions_hold(void **state)
{
    struct conf *conf = unit_conf(unit_site);
    struct facts facts = {.sender = "a@client.test"};

    (void)state;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "client");
    facts.granted = 1u << CONDITION_DAEMON;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "client");
    facts.granted = 1u << CONDITION_HEADER;
    assert_string_equal(classify(conf->snapshot, &facts)->name, "tx");
    conf_unref(conf);
    expect_stream("{ header = \"X\"; sasl_user = \"app-*\"; }", &facts, false);
    facts.sasl_user = "app-1";
    expect_stream("{ header = \"X\"; sasl_user = \"app-*\"; }", &facts, true);
    facts.granted = 1u << CONDITION_DAEMON;
    expect_stream("{ header = \"X\"; sasl_user = \"app-*\"; }", &facts, false);
}

/* Members without a configuration around them. */
struct crowd {
    struct address *addresses;
    struct member *members;
    const struct member **list;
    size_t count;
};

static struct crowd
crowd_new(size_t count, double (*weight)(size_t))
{
    struct crowd crowd = {calloc(count, sizeof(struct address)),
                          calloc(count, sizeof(struct member)),
                          calloc(count, sizeof(struct member *)), count};

    for (size_t i = 0; i < count; i++) {
        crowd.addresses[i] = (struct address){.index = i, .seed = hash_mix(i * 77 + 1)};
        crowd.members[i] = (struct member){&crowd.addresses[i], weight(i)};
        crowd.list[i] = &crowd.members[i];
    }
    return crowd;
}

static void
crowd_free(struct crowd *crowd)
{
    free(crowd->addresses);
    free(crowd->members);
    free(crowd->list);
}

static double
equal(size_t i)
{
    (void)i;
    return 1;
}

static double
rising(size_t i)
{
    return (double)(i % 5 + 1);
}

static size_t
first_of(const struct rendezvous *r, uint64_t key)
{
    struct rendezvous_walk walk;

    rendezvous_start(&walk, r, key);
    return rendezvous_next(&walk)->address->index;
}

/* Chi-square over its degrees of freedom is near 1 when load follows the weights. */
static void
check_weights(size_t count, double (*weight)(size_t))
{
    enum { KEYS = 200000 };
    struct crowd crowd = crowd_new(count, weight);
    struct rendezvous *r = rendezvous_new(crowd.list, count);
    size_t *hits = calloc(count, sizeof(*hits));
    double sum = 0, chi = 0;

    for (size_t i = 0; i < count; i++)
        sum += weight(i);
    for (uint64_t key = 0; key < KEYS; key++)
        hits[first_of(r, hash_mix(key))]++;
    for (size_t i = 0; i < count; i++) {
        double expected = KEYS * weight(i) / sum;

        chi += ((double)hits[i] - expected) * ((double)hits[i] - expected) / expected;
    }
    chi /= (double)(count - 1);
    /* Five standard deviations of chi-square/dof. */
    if (fabs(chi - 1) > 5 * sqrt(2 / (double)(count - 1)))
        fail_msg("%zu members: chi-square/dof is %.3f", count, chi);
    free(hits);
    rendezvous_free(r);
    crowd_free(&crowd);
}

static void
test_weights(void **state)
{
    static const size_t counts[] = {2, 4, 10, 32, 33, 100, 1000, 5000};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        check_weights(counts[i], equal);
        check_weights(counts[i], rising);
    }
}

/* Each member comes once, and the order is the same again. */
static void
test_walk(void **state)
{
    static const size_t counts[] = {0, 1, 2, 32, 33, 500};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct crowd crowd = crowd_new(counts[i], rising);
        struct rendezvous *r = rendezvous_new(crowd.list, counts[i]);
        size_t *order = calloc(counts[i] + 1, sizeof(*order));
        bool *seen = calloc(counts[i] + 1, sizeof(*seen));
        struct rendezvous_walk walk;
        const struct member *member;
        size_t count = 0;

        rendezvous_start(&walk, r, 4711);
        while ((member = rendezvous_next(&walk)) != NULL) {
            assert_false(seen[member->address->index]);
            seen[member->address->index] = true;
            order[count++] = member->address->index;
        }
        assert_int_equal(count, counts[i]);
        rendezvous_start(&walk, r, 4711);
        for (size_t j = 0; j < count; j++)
            assert_int_equal(rendezvous_next(&walk)->address->index, order[j]);
        free(order);
        free(seen);
        rendezvous_free(r);
        crowd_free(&crowd);
    }
}

/* Share of keys that meet another member once the last one of count is gone. */
static double
moved_without_last(size_t count)
{
    enum { KEYS = 100000 };
    struct crowd crowd = crowd_new(count, equal);
    struct rendezvous *all = rendezvous_new(crowd.list, count);
    struct rendezvous *fewer = rendezvous_new(crowd.list, count - 1);
    size_t moved = 0, of_others = 0;

    for (uint64_t key = 0; key < KEYS; key++) {
        size_t before = first_of(all, hash_mix(key)), after = first_of(fewer, hash_mix(key));

        moved += before != after;
        of_others += before != after && before != count - 1;
    }
    if (count <= RENDEZVOUS_LEAF)
        assert_int_equal(of_others, 0);
    rendezvous_free(all);
    rendezvous_free(fewer);
    crowd_free(&crowd);
    return (double)moved / KEYS;
}

static void
test_only_its_share_moves(void **state)
{
    (void)state;
    assert_true(moved_without_last(10) < 0.11);
    assert_true(moved_without_last(32) < 0.04);
    assert_true(moved_without_last(500) < 3.5 / 500);   /* 4 or 5 forks: 1 + 5 / 2 */
    assert_true(moved_without_last(3000) < 5.0 / 3000); /* 7 or 8: 1 + 8 / 2 */
}

static void
test_decide(void **state)
{
    struct conf *conf = unit_conf("addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a.test\"; }; "
                                  "b1 = { ip = \"127.0.1.2\"; helo = \"b.test\"; };"
                                  "             c1 = { ip = \"127.0.1.3\"; helo = \"c.test\"; }; };"
                                  "pools: { a = { addresses = ( \"a1\" ); overflow = ( \"b\" ); }; "
                                  "b = { addresses = ( \"b1\" ); overflow = ( \"c\" ); };"
                                  "         c = { addresses = ( \"c1\" ); }; };"
                                  "streams: ( { name = \"s\"; pool = \"a\"; match = (); } );");
    static const bool here[][3] = {
        {true, true, true}, {false, true, true}, {false, false, true}, {false, false, false}};
    static const char *const expected[] = {"a1", "b1", "c1", NULL};
    const struct stream *stream = &conf->snapshot->streams[0];

    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct roster *roster = roster_new(conf->snapshot, here[i]);
        struct decide_question question = {.roster = roster, .stream = stream, .key = 1};
        struct decision decision, explained;

        decide(&question, &decision);
        decide_explained(&question, &explained);
        assert_ptr_equal(decision.address, explained.address);
        assert_int_equal(explained.candidate_count, 3);
        if (expected[i] == NULL)
            assert_null(decision.address);
        else
            assert_string_equal(decision.address->name, expected[i]);
        for (size_t j = 0; j < 3; j++) {
            size_t at = explained.candidates[j].address->index;

            assert_int_equal(explained.candidates[j].verdict, !here[i][at] ? VERDICT_NOT_HERE
                                                              : at == i    ? VERDICT_TAKEN
                                                                           : VERDICT_NOT_ASKED);
        }
        roster_free(roster);
    }
    conf_unref(conf);
}

static void
test_key(void **state)
{
    (void)state;
    assert_true(decide_key("a", "b") == decide_key("a", "b"));
    assert_true(decide_key("a", "b") != decide_key("b", "a"));
    assert_true(decide_key("a", "") != decide_key("", "a"));
    assert_true(decide_key("a", "b") != decide_key("a", "c"));
}

static void
test_bypass(void **state)
{
    struct conf *conf = unit_conf(unit_site);

    (void)state;
    assert_true(snapshot_is_bypass(conf->snapshot, "internal.test"));
    assert_true(snapshot_is_bypass(conf->snapshot, "sub.internal.test"));
    assert_false(snapshot_is_bypass(conf->snapshot, "xinternal.test"));
    assert_false(snapshot_is_bypass(conf->snapshot, "test"));
    assert_false(snapshot_is_bypass(conf->snapshot, ""));
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_unknown_facts_hold_nothing),
        cmocka_unit_test(test_first_stream_wins),
        cmocka_unit_test(test_granted_conditions_hold),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_only_its_share_moves),
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_bypass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
