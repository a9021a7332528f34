/*
 * Which refusals become deferrals, and in which words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/reply.h"
#include "policyd/rescue.h"

/* "fast" is a1, a2; "bulk" b1; "wide" c1, and then "bulk"; d1 is alone. */
#define SITE                                                                                      \
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; };\n"                            \
    "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; };\n"                            \
    "             b1 = { ip = \"127.0.1.3\"; helo = \"b1.test\"; };\n"                            \
    "             c1 = { ip = \"127.0.1.4\"; helo = \"c1.test\"; };\n"                            \
    "             d1 = { ip = \"127.0.1.5\"; helo = \"d1.test\"; }; };\n"                         \
    "pools: { fast = { addresses = ( \"a1\", \"a2\" ); };\n"                                      \
    "         bulk = { addresses = ( \"b1\" ); };\n"                                              \
    "         wide = { addresses = ( \"c1\" ); overflow = ( \"bulk\" ); };\n"                     \
    "         alone = { addresses = ( \"d1\" ); }; };\n"                                          \
    "streams: ( { name = \"default\"; pool = \"fast\"; match = (); } );\n"                        \
    "providers: { google = { domains = ( \"gmail.com\" ); mx = ( \".google.com\" ); }; };\n"      \
    "replies: ( { name = \"theirs\"; provider = \"google\"; class = \"address_provider\";\n"      \
    "             pattern = \"rate\"; samples = ( \"550 5.7.1 rate\" ); },\n"                     \
    "           { name = \"blocked\"; class = \"address\"; pattern = \"blocked\";\n"              \
    "             samples = ( \"550 5.7.1 blocked\" ); },\n"                                      \
    "           { name = \"unknown\"; class = \"recipient\"; code = 550; enhanced = \"5.1.1\";\n" \
    "             samples = ( \"550 5.1.1 who?\" ); } );\n"

#define BLOCKED " host mx.one.test[192.0.2.9] said: 550 5.7.1 blocked (in reply to RCPT TO command)"
#define RATE(host) \
    " host " host "[192.0.2.9] said: 550-5.7.1 rate (in reply to end of DATA command)"
#define SAID " host mx.one.test[192.0.2.9] said: "

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct rescue_view view;
};

static void
set_present(struct world *w, const bool here[static 5])
{
    roster_free(w->roster);
    w->view.roster = w->roster = roster_new(w->conf->snapshot, here);
}

static int
set_up(void **state)
{
    static const bool all[] = {true, true, true, true, true};
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf(SITE);
    w->curbs = curbs_new(w->conf->snapshot);
    w->view = (struct rescue_view){.conf = w->conf, .curbs = w->curbs, .counted = true};
    set_present(w, all);
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static bool
rescues(const struct world *w, const char *name, const char *key)
{
    size_t size = strlen(key) + RESCUE_EXTRA;
    char *out = mem_array(size > RESCUE_ANSWER_SIZE ? size : RESCUE_ANSWER_SIZE, 1); /* exactly */
    size_t length = rescue_answer(&w->view, name, key, out);
    bool found = strcmp(out, "NOTFOUND ") != 0;

    assert_int_equal(length, strlen(out));
    if (found) { /* but for the first digit of the status nothing changes */
        assert_memory_equal(out, "OK 4", 4);
        assert_string_equal(out + 4, key + 1);
    }
    free(out);
    return found;
}

static void
test_words(void **state)
{
    static const struct {
        const char *key;
        bool rescued;
    } cases[] = {
        {"5.7.1" BLOCKED, true},
        {"5.0.0" SAID "554 blocked (in reply to MAIL FROM command)", true},
        {"5.7.1" SAID "550-5.7.1 you are 550 5.7.1 blocked \"[x]\" \xc3\xa9\xff {y}", true},
        {"5.7.1" RATE("aspmx.l.google.com"), true},
        {"5.7.1" RATE("AspMX.L.Google.Com"), true},
        {"5.7.1" RATE("aspmx.l.google.com.evil.test"), false}, /* of another provider */
        {"5.1.1" SAID "550 5.1.1 who? (in reply to RCPT TO command)", false},
        {"5.1.1" SAID "550 5.9.9 go away (in reply to RCPT TO command)", false}, /* no rule */
        {"4.7.1" BLOCKED, false}, /* no refusal for good */
        {"2.0.0 250 2.0.0 Ok: blocked", false},
        {"5.7.1" SAID "450 4.7.1 blocked (in reply to RCPT TO command)", false},
        {"5.7.1" SAID "blocked", false},
        {"5.7.1 host mx.one.test[192.0.2.9] refused to talk to me: 554 5.7.1 blocked", false},
        {"5.4.4 unable to look up host 550.blocked.test: host mx[1] said: 550 blocked", false},
        {"5.7.1 host mx.one.test said: 550 5.7.1 blocked", false}, /* not how Postfix names one */
        {"5.7.1 host [192.0.2.9] said: 550 5.7.1 blocked", true},  /* it has no name */
        /* the log could be read in two ways: see policyd/maillog.h */
        {"5.7.1" SAID "550 5.7.1 blocked <x>, relay=none, ok (in reply to RCPT TO command)", false},
        {"5.7.1" SAID "550 5.7.1 blocked <x> relay=none, ok (in reply to RCPT TO command)", true},
        {"5.7.1" SAID "550 5.7.1 blocked\n2", false},
        {"5.7.1" SAID "550 5.7.1 blocked\x7f", false},
        {"5.7.1", false},
        {"5.7.1 ", false},
        {"5", false},
        {"", false},
        {"*", false},
        {" " BLOCKED, false},
        {"57.1" BLOCKED, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].key);
        assert_int_equal(rescues(*state, "a1", cases[i].key), cases[i].rescued);
    }
}

static void
test_long_names_and_words(void **state)
{
    char name[1000], key[9000];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(key, sizeof(key), "5.7.1 host %s.google.com[192.0.2.9] said: 550 rate", name);
    assert_false(rescues(*state, "a1", key)); /* nobody's */
    assert_false(rescues(*state, name, "5.7.1" BLOCKED));
    snprintf(key, sizeof(key), "5.7.1" SAID "550 blocked %s%s%s%s%s%s%s%s", name, name, name, name,
             name, name, name, name);
    assert_true(rescues(*state, "a1", key));
}

/* What stands behind the end of a line of the log accuses nobody: it is not counted there. */
static void
test_what_the_log_does_not_have(void **state)
{
    struct world *w = *state;
    char key[3000];

    for (int blanks = 0; blanks <= 2000; blanks += 50) {
        struct span told = {key + strlen("5.7.1 "), 0};

        snprintf(key, sizeof(key), "5.7.1" SAID "550 5.7.1%*sblocked (in reply to RCPT TO command)",
                 blanks, " ");
        told.length = strlen(told.start);
        if (told.length > 1000)
            told.length = 1000;
        assert_int_equal(rescues(w, "a1", key),
                         rescue_rule(w->conf, (struct span){"4.7.1", 5}, told) != NULL);
    }
    assert_true(rescues(w, "a1", "5.7.1" SAID "550 5.7.1      blocked"));
    assert_false(rescues(w, "a1", key));
}

static void
test_who_is_known(void **state)
{
    assert_false(rescues(*state, "a9", "5.7.1" BLOCKED));
    assert_false(rescues(*state, "", "5.7.1" BLOCKED));
    assert_false(rescues(*state, "A1", "5.7.1" BLOCKED));
}

static void
test_another_address(void **state)
{
    struct world *w = *state;

    assert_true(rescues(w, "a1", "5.7.1" BLOCKED));
    assert_true(rescues(w, "c1", "5.7.1" BLOCKED)); /* b1 of the ladder */
    assert_true(rescues(w, "b1", "5.7.1" BLOCKED)); /* c1, whose ladder it is on */
    assert_false(rescues(w, "d1", "5.7.1" BLOCKED));
    set_present(w, (bool[]){true, false, true, false, true});
    assert_false(rescues(w, "a1", "5.7.1" BLOCKED));
    assert_false(rescues(w, "b1", "5.7.1" BLOCKED));
    assert_true(rescues(w, "a2", "5.7.1" BLOCKED)); /* gone since, a1 is there */
}

static void
test_another_that_may_not_send(void **state)
{
    static const struct curb suspended = {.share = 0}, slowed = {.share = 1},
                             drained = {.share = CURB_WHOLE, .drained = true},
                             well = {.share = CURB_WHOLE};
    struct world *w = *state;
    const struct address *a2 = snapshot_find_address(w->conf->snapshot, "a2");
    const struct provider *google = snapshot_find_provider(w->conf->snapshot, "google");

    curbs_set_address(w->curbs, a2, &suspended);
    assert_false(rescues(w, "a1", "5.7.1" BLOCKED));
    assert_true(rescues(w, "a2", "5.7.1" BLOCKED));
    curbs_set_address(w->curbs, a2, &drained);
    assert_false(rescues(w, "a1", "5.7.1" BLOCKED));
    curbs_set_address(w->curbs, a2, &slowed);
    assert_true(rescues(w, "a1", "5.7.1" BLOCKED));
    curbs_set_address(w->curbs, a2, &well);
    curbs_set_provider(w->curbs, a2, google, &suspended);
    assert_true(rescues(w, "a1", "5.7.1" BLOCKED));
    assert_false(rescues(w, "a1", "5.7.1" RATE("mx.google.com")));
    w->view.curbs = NULL;
    assert_true(rescues(w, "a1", "5.7.1" RATE("mx.google.com")));
}

static void
test_nothing_counts_them(void **state)
{
    struct world *w = *state;

    w->view.counted = false;
    assert_false(rescues(w, "a1", "5.7.1" BLOCKED));
}

static void
test_not_wanted(void **state)
{
    struct world *w = *state;

    w->conf->rescue_enabled = false;
    assert_false(rescues(w, "a1", "5.7.1" BLOCKED));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_long_names_and_words),
        TEST(test_what_the_log_does_not_have),
        TEST(test_who_is_known),
        TEST(test_another_address),
        TEST(test_another_that_may_not_send),
        TEST(test_nothing_counts_them),
        TEST(test_not_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
