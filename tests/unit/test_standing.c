/*
 * The standing of accounts: what they earn, and when.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/standing.h"
#include "tests/unit/chance.h"

#include <errno.h>

enum { FIRST = 20000, PARTS = 1000 * 1000 };

static const struct standing_rules rules = {.volume = 1000,
                                            .days = 7,
                                            .day_volume = 10,
                                            .samples = 200,
                                            .better = 50,
                                            .good_days = 7,
                                            .idle_days = 60};
static const struct fault_limits limits = {{500, 200, 10}};

/* An account whose mail two nodes see. */
struct account {
    struct standing standing;
    struct standing_figures own[2];
    struct standing_watch watch[2];
    unsigned changes;
    enum grade last;
};

static void
begin(struct account *account)
{
    memset(account, 0, sizeof(*account));
    standing_turn_to(&account->standing, &rules, FIRST);
}

static void
look(struct account *account)
{
    account->changes += account->standing.grade != account->last;
    account->last = account->standing.grade;
}

/* One result at one node; true: it gave attention at once. */
static bool
result(struct account *account, size_t node, enum fault fault)
{
    struct standing_figures seen;
    enum fault over;
    char why[STANDING_WHY_SIZE];

    standing_count(&account->own[node], &limits, fault);
    if (fault == FAULT_COMPLAINT)
        return false;
    over =
        standing_see(&account->watch[node], &rules, &limits, account->standing.day, fault, &seen);
    if (over == FAULTS)
        return false;
    standing_why(&seen, over, "in stream bulk", why);
    return standing_accuse(&account->standing, account->standing.day, why);
}

static void
note(struct account *account)
{
    static const char *const nodes[] = {"mta1", "mta2"};

    for (size_t i = 0; i < 2; i++)
        standing_note(&account->standing, account->standing.day, nodes[i], 0, &account->own[i]);
    standing_judge(&account->standing, &rules);
    look(account);
}

static void
next_day(struct account *account)
{
    note(account);
    memset(account->own, 0, sizeof(account->own));
    standing_turn_to(&account->standing, &rules, account->standing.day + 1);
    look(account);
}

/* So many results, of which each has a fault by chance, so many in a million. */
static void
send(struct account *account, unsigned count, uint64_t bounces)
{
    while (count-- > 0)
        result(account, chance(2), chance(PARTS) < bounces ? FAULT_BOUNCE : FAULTS);
}

static void
exactly(struct account *account, unsigned count, enum fault fault)
{
    while (count-- > 0)
        result(account, count % 2, fault);
}

static void
test_trusted_on_the_day(void **state)
{
    struct account account;
    char missing[STANDING_WHY_SIZE];

    (void)state;
    begin(&account);
    for (int day = 1; day <= 7; day++) {
        assert_int_equal(account.standing.grade, GRADE_NEW);
        exactly(&account, 143, FAULTS); /* 7 times that are 1001 */
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_TRUSTED);
    assert_int_equal(account.standing.since, FIRST + 7);
    assert_string_equal(account.standing.why, "1001 results on 7 days");

    begin(&account);
    for (int day = 1; day <= 7; day++) {
        exactly(&account, 142, FAULTS); /* 994 */
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_NEW);
    standing_missing(&account.standing, &rules, missing);
    assert_string_equal(missing, "7 of 7 days, 994 of 1000 results");
    for (int day = 0; day < 3; day++) { /* too little for a day, and yet mail */
        exactly(&account, day < 2 ? 2 : 3, FAULTS);
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_TRUSTED);

    begin(&account);
    for (int day = 1; day <= 9; day++) {
        exactly(&account, 188, FAULTS);
        exactly(&account, 12, FAULT_BOUNCE); /* 6 %: over the limit, if not by more than chance */
        next_day(&account);
        assert_int_equal(account.standing.grade, GRADE_NEW);
    }
    standing_missing(&account.standing, &rules, missing);
    assert_string_equal(missing, "faults are not under the limits");
}

static void
test_attention_and_back(void **state)
{
    struct account account;

    (void)state;
    begin(&account);
    exactly(&account, 180, FAULTS);
    exactly(&account, 19, FAULT_BOUNCE); /* of fewer than 200 nothing is said */
    note(&account);
    assert_int_equal(account.standing.grade, GRADE_NEW);
    exactly(&account, 1, FAULT_BOUNCE); /* 20 of 200; 10 + 3 * 3.2 are chance */
    note(&account);
    assert_int_equal(account.standing.grade, GRADE_ATTENTION);
    assert_string_equal(account.standing.why,
                        "bounces: 20 of 200 results of the day, 10.0 allowed");
    next_day(&account);
    for (int day = 1; day <= 7; day++) {
        assert_int_equal(account.standing.grade, GRADE_ATTENTION);
        exactly(&account, 98, FAULTS);
        exactly(&account, 2, FAULT_BOUNCE); /* under half of the limit */
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_NEW);
    /* What was before does not count any more, in neither direction. */
    for (int day = 1; day <= 7; day++) {
        assert_int_equal(account.standing.grade, GRADE_NEW);
        exactly(&account, 200, FAULTS);
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_TRUSTED);
    assert_int_equal(account.changes, 3);
}

/* Under the limits, but not well under them: attention stays; and it begins anew when it is over.
 */
static void
test_attention_stays(void **state)
{
    struct account account;

    (void)state;
    begin(&account);
    exactly(&account, 300, FAULT_BOUNCE);
    next_day(&account);
    for (int day = 1; day <= 20; day++) {
        exactly(&account, 96, FAULTS);
        exactly(&account, 4, FAULT_BOUNCE);
        next_day(&account);
        assert_int_equal(account.standing.grade, GRADE_ATTENTION);
    }
    assert_int_equal(account.standing.since, FIRST);
    exactly(&account, 300, FAULT_BLOCK);
    note(&account);
    assert_int_equal(account.standing.since, FIRST + 21);
    for (int day = 0; day < 7; day++) { /* days without mail are not good ones */
        next_day(&account);
        next_day(&account);
        exactly(&account, 100, FAULTS);
        assert_int_equal(account.standing.grade, GRADE_ATTENTION);
        next_day(&account);
    }
    assert_int_equal(account.standing.grade, GRADE_NEW);
}

/* They come when the mail is long gone, and are no results. */
static void
test_complaints(void **state)
{
    struct account account;

    (void)state;
    begin(&account);
    exactly(&account, 5000, FAULTS); /* 5 are allowed, 11 are chance */
    next_day(&account);
    exactly(&account, 11, FAULT_COMPLAINT);
    next_day(&account);
    assert_int_equal(account.standing.grade, GRADE_NEW);
    exactly(&account, 1, FAULT_COMPLAINT);
    note(&account);
    assert_int_equal(account.standing.grade, GRADE_ATTENTION);
    assert_string_equal(account.standing.why,
                        "complaints: 12 of 5000 results of some days, 5.0 allowed");
    next_day(&account);
    exactly(&account, 4, FAULT_COMPLAINT); /* still about the same mail: no reason anew */
    note(&account);
    assert_int_equal(account.standing.since, FIRST + 2);
}

/* A bounce that comes late is none of the day's results, and one more that is not allowed. */
static void
test_blame(void **state)
{
    struct account account;

    (void)state;
    begin(&account);
    exactly(&account, 1000, FAULTS);
    next_day(&account);
    for (int i = 0; i < 5; i++)
        standing_blame(&account.own[0], FAULT_BOUNCE);
    note(&account);
    assert_int_equal(standing_today(&account.standing).results, 0);
    assert_int_equal(standing_today(&account.standing).faults[FAULT_BOUNCE], 5);
    assert_int_equal(standing_today(&account.standing).allowed[FAULT_BOUNCE], 0);
    account.own[0].faults[FAULT_BOUNCE] = 4; /* an older note comes behind a newer one */
    note(&account);
    assert_int_equal(standing_today(&account.standing).faults[FAULT_BOUNCE], 5);
    account.own[0].faults[FAULT_BOUNCE] = 200;
    note(&account);
    assert_int_equal(account.standing.grade, GRADE_ATTENTION);
}

/* A good sender that turns bad: known before one in a hundred messages of its campaign. */
static void
test_turns_bad(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct account account;
        unsigned good = (unsigned)(seed % 5) * 12500, bad = 0;

        chance_seed(seed);
        begin(&account);
        for (int day = 1; day <= 8; day++) {
            send(&account, 2000, 10000);
            next_day(&account);
        }
        assert_int_equal(account.standing.grade, GRADE_TRUSTED);
        send(&account, good, 10000);
        note(&account);
        assert_int_equal(account.standing.grade, GRADE_TRUSTED);
        while (account.standing.grade == GRADE_TRUSTED && bad < 100000) {
            send(&account, 1, 250000);
            bad++;
        }
        if (bad >= 1000)
            print_message("seed %u: after %u\n", (unsigned)seed, bad);
        assert_true(bad < 1000);
    }
}

/* Whatever chance does, an account under its limits has its grade from what it is, and keeps it. */
static void
test_small_senders_do_not_flap(void **state)
{
    unsigned trusted = 0;

    (void)state;
    chance_seed(5);
    for (unsigned number = 0; number < 1000; number++) {
        uint64_t bounces = number % 4 == 0 ? 35000 : number % 4 * 10000; /* 1 to 3.5 % */
        unsigned volume = 1 + number % 60;
        struct account account;

        begin(&account);
        for (int day = 0; day < 30; day++) {
            send(&account, (unsigned)chance(2 * volume), bounces);
            if (chance(2000) == 0)
                exactly(&account, 1, FAULT_COMPLAINT);
            next_day(&account);
        }
        if (account.changes > 1 || account.standing.grade == GRADE_ATTENTION)
            print_message("account %u: %u changes, %s\n", number, account.changes,
                          account.standing.why);
        assert_true(account.changes <= 1);
        assert_int_not_equal(account.standing.grade, GRADE_ATTENTION);
        trusted += account.standing.grade == GRADE_TRUSTED;
    }
    print_message("%u of 1000 are trusted\n", trusted);
    assert_in_range(trusted, 200, 800);
}

/* Nodes write what they know into one record, in any order, and more than once. */
static void
test_nodes_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        static const char *const nodes[] = {"mta1", "mta2", "mta3"};
        struct standing one = {0}, other = {0};
        struct standing_figures own[3];

        chance_seed(seed);
        standing_turn_to(&one, &rules, FIRST);
        standing_turn_to(&other, &rules, FIRST);
        for (int day = FIRST; day < FIRST + 25; day++) {
            uint64_t bounces = day % 9 == 8 ? 200000 : 10000;

            memset(own, 0, sizeof(own));
            for (int step = 0; step < 6; step++) {
                for (int i = 0; i < 300; i++)
                    standing_count(&own[chance(3)], &limits,
                                   chance(PARTS) < bounces ? FAULT_BOUNCE : FAULTS);
                for (int i = 0; i < 3; i++) {
                    size_t node = chance(3);

                    standing_note(&one, day, nodes[node], 0, &own[node]);
                    standing_judge(&one, &rules);
                }
            }
            for (size_t i = 0; i < 3; i++) {
                standing_note(&one, day, nodes[i], 0, &own[i]);
                standing_note(&other, day, nodes[2 - i], 0, &own[2 - i]);
            }
            assert_false(standing_note(&other, day - 1, nodes[0], 0, &own[0]));
            standing_turn_to(&one, &rules, day + 1);
            standing_turn_to(&other, &rules, day + 1);
            assert_int_equal(one.grade, other.grade);
            assert_int_equal(one.past_count, other.past_count);
            assert_memory_equal(one.past, other.past, one.past_count * sizeof(one.past[0]));
        }
    }
}

static void
test_by_hand(void **state)
{
    struct standing_hand hand = {true, GRADE_TRUSTED, 1000, "root", "a\nfriend"};
    struct standing standing = {0};

    (void)state;
    assert_true(standing_is_nothing(&standing));
    standing_order(&standing, &hand);
    assert_false(standing_is_nothing(&standing));
    assert_string_equal(standing.hand.why, "a?friend");
    assert_int_equal(standing_grade(&standing, 999), GRADE_TRUSTED);
    assert_int_equal(standing_grade(&standing, 1000), GRADE_NEW);
    assert_true(standing_accuse(&standing, 5, "x"));
    assert_false(standing_accuse(&standing, 5, "x"));
    assert_int_equal(standing_grade(&standing, 999), GRADE_TRUSTED);
    assert_int_equal(standing_grade(&standing, 1000), GRADE_ATTENTION);
    hand.until_s = 0;
    standing_order(&standing, &hand);
    assert_int_equal(standing_grade(&standing, INT64_MAX), GRADE_TRUSTED);
    hand.set = false;
    standing_order(&standing, &hand);
    assert_int_equal(standing_grade(&standing, 0), GRADE_ATTENTION);
}

/* Who sends nothing is forgotten; before that it stays what it is. */
static void
test_idle(void **state)
{
    struct account account;

    (void)state;
    begin(&account);
    for (int day = 1; day <= 7; day++) {
        exactly(&account, 200, FAULTS);
        next_day(&account);
    }
    standing_turn_to(&account.standing, &rules, FIRST + 66);
    assert_int_equal(account.standing.grade, GRADE_TRUSTED);
    standing_turn_to(&account.standing, &rules, FIRST + 67);
    assert_int_equal(account.standing.grade, GRADE_NEW);
    assert_true(standing_is_nothing(&account.standing));
}

static void
test_text(void **state)
{
    static const char good[] =
        "1 2 20000 12 bounces: 20  1 1 99 4 root 6 friend 20001 1 77 5 200 20 1000000 0 400000 "
        "1 20000 1 19999 300 1 1500000 2 600000 3 30000 ";
    static const char *const wrong[] = {
        "",
        "1 ",
        "2 0 0 0  0 5 0 0 ",
        "1 3 0 0  0 5 0 0 ",
        "1 0 0 0  0 5 0 0 0 ",
        "1 0 0 0  2 5 0 0 ",
        "1 0 0 0  0 5 13 ",
        "1 0 0 0  0 5 0 23 ",
        "1 0 0 0  0 5 0 1 5 1 0 0 0 0 0 0 ",                     /* a day that is not over */
        "1 0 0 0  0 5 2 7 0 1 0 0 0 0 0 0 7 0 1 0 0 0 0 0 0 0 ", /* one node twice */
    };
    struct standing longest = {0}, parsed;
    char text[STANDING_TEXT_SIZE];
    size_t length;

    (void)state;
    assert_int_equal(standing_parse(good, strlen(good), &parsed), 0);
    assert_int_equal(standing_print(&parsed, text), strlen(good));
    assert_string_equal(text, good);
    assert_int_equal(standing_parse("1 0 0 0  0 5 0 0 ", 17, &parsed), 0);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        print_message("%s\n", wrong[i]);
        assert_int_equal(standing_parse(wrong[i], strlen(wrong[i]), &parsed), -EINVAL);
    }
    for (size_t i = 0; i < strlen(good); i++)
        assert_int_equal(standing_parse(good, i, &parsed), -EINVAL);
    memset(&longest.why, 'w', sizeof(longest.why) - 1);
    longest.hand = (struct standing_hand){true, GRADE_ATTENTION, INT64_MAX, "", ""};
    memset(&longest.hand.who, 'w', sizeof(longest.hand.who) - 1);
    memset(&longest.hand.why, 'w', sizeof(longest.hand.why) - 1);
    longest.grade = GRADE_ATTENTION;
    longest.since = longest.day = 2932896;
    for (size_t i = 0; i < STANDING_NODES_MAX + STANDING_PAST_MAX; i++) {
        struct standing_figures most = {STANDING_FIGURE_MAX, {0}, {0}};

        for (int j = 0; j < FAULTS; j++) {
            most.faults[j] = STANDING_FIGURE_MAX;
            most.allowed[j] = (uint64_t)STANDING_FIGURE_MAX * FAULT_ALL;
        }
        if (i < STANDING_NODES_MAX)
            longest.nodes[longest.node_count++] =
                (struct standing_node){INT64_MAX - i, UINT32_MAX, most};
        else
            longest.past[longest.past_count++] = (struct standing_day){2932800 + (int32_t)i, most};
    }
    length = standing_print(&longest, text);
    print_message("the longest: %zu bytes\n", length);
    assert_int_equal(standing_parse(text, length, &parsed), 0);
    assert_int_equal(standing_print(&parsed, text), length);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trusted_on_the_day),
        cmocka_unit_test(test_attention_and_back),
        cmocka_unit_test(test_attention_stays),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_turns_bad),
        cmocka_unit_test(test_small_senders_do_not_flap),
        cmocka_unit_test(test_nodes_agree),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
