/*
 * Asking a DNS list round by round: who is held, and what is believed.
 *
 * The list of the test is a table; time goes on as the survey wants it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "policyd/survey.h"
#include "tests/unit/message.h"

enum { ADDRESSES_MAX = 64, EVERY_MS = 3600 * 1000 };

enum temper { NORMAL, SILENT, REFUSES, EVERYTHING, EMPTY, PARKED, FOUR_ONLY };

struct world {
    struct dnslist list;
    struct ip_net codes[1];
    struct ip ips[ADDRESSES_MAX];
    size_t count;
    struct survey *survey;
    int64_t now_ms;

    enum temper temper;
    bool listed[ADDRESSES_MAX];
    bool fails[ADDRESSES_MAX];
    bool flaps; /* each answer is another than the one before */
    size_t asked[ADDRESSES_MAX];
    int64_t asked_ms[ADDRESSES_MAX];
    size_t questions, tests, reasons;

    bool held[ADDRESSES_MAX];
    size_t holds, again, lets_go, changes;
};

static struct message message;

static void
on_held(void *arg, size_t place, bool again)
{
    struct world *world = arg;

    assert_int_equal(world->held[place], again);
    assert_true(survey_address(world->survey, place)->held);
    world->held[place] = true;
    world->holds += !again;
    world->again += again;
}

static void
on_let_go(void *arg, size_t place)
{
    struct world *world = arg;

    assert_true(world->held[place]);
    assert_false(survey_address(world->survey, place)->held);
    world->held[place] = false;
    world->lets_go++;
}

static void
on_believed(void *arg, enum survey_belief before)
{
    struct world *world = arg;

    assert_int_not_equal(before, survey_belief(world->survey));
    world->changes++;
}

static const struct survey_events events = {on_held, on_let_go, on_believed};

static void
begin_with(struct world *world, const char *const *ips, size_t count)
{
    *world = (struct world){.now_ms = 1000000};
    world->list = (struct dnslist){.name = (char *)"zen",
                                   .zone = (char *)"zen.test",
                                   .codes = world->codes,
                                   .code_count = 1,
                                   .every_ms = EVERY_MS};
    assert_true(ip_net_parse("127.0.0.0/24", world->codes));
    world->count = count;
    for (size_t i = 0; i < count; i++)
        assert_true(ip_parse(ips[i], &world->ips[i]));
    world->survey = survey_new(&world->list, world->ips, count, &events, world);
}

static void
begin(struct world *world, size_t count)
{
    static const char *const ips[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3",
                                      "192.0.2.4", "192.0.2.5", "192.0.2.6"};

    begin_with(world, ips, count);
}

static void
end(struct world *world)
{
    survey_free(world->survey);
}

static bool
has_test_point(const struct world *world, const struct survey_question *question)
{
    bool four = question->place < 2, must = question->place % 2 == 0;

    if (world->temper == EMPTY || (world->temper == FOUR_ONLY && !four))
        return false;
    return must || world->temper == EVERYTHING;
}

static void
answer_code(struct world *world, const struct survey_question *question, const char *code)
{
    struct ip ip;

    assert_true(ip_parse(code, &ip));
    message_begin(&message, question->name);
    message_data(&message, TYPE_A, ip.bytes, 4);
    survey_answer(world->survey, question, DNS_ANSWER, message.bytes, message.length, NULL,
                  world->now_ms);
}

/* The list says what its temper is. */
static void
answer(struct world *world, const struct survey_question *question)
{
    bool listed = question->about == SURVEY_TEST ? has_test_point(world, question)
                                                 : world->listed[question->place];

    if (world->temper == SILENT ||
        (question->about == SURVEY_ADDRESS && world->fails[question->place])) {
        survey_answer(world->survey, question, DNS_FAILED, NULL, 0, "Timeout", world->now_ms);
    } else if (world->temper == REFUSES) {
        answer_code(world, question, "127.255.255.254");
    } else if (world->temper == PARKED) {
        answer_code(world, question, "203.0.113.80");
    } else if (question->about == SURVEY_REASON) {
        message_begin(&message, question->name);
        message_data(&message, TYPE_TXT, "\x04spam", 5);
        survey_answer(world->survey, question, DNS_ANSWER, message.bytes, message.length, NULL,
                      world->now_ms);
    } else if (listed) {
        answer_code(world, question, "127.0.0.2");
    } else {
        survey_answer(world->survey, question, DNS_NO_NAME, NULL, 0, NULL, world->now_ms);
    }
}

static void
note(struct world *world, const struct survey_question *question)
{
    world->questions++;
    world->tests += question->about == SURVEY_TEST;
    world->reasons += question->about == SURVEY_REASON;
    assert_int_equal(question->type, question->about == SURVEY_REASON ? DNS_TXT : DNS_A);
    if (question->about != SURVEY_ADDRESS)
        return;
    world->listed[question->place] ^= world->flaps;
    world->asked[question->place]++;
    world->asked_ms[question->place] = world->now_ms;
}

/* Let time pass; each question is answered at once. */
static void
run(struct world *world, int64_t ms)
{
    int64_t until_ms = world->now_ms + ms;

    for (;;) {
        struct survey_question question;
        int64_t wait_ms = survey_next(world->survey, world->now_ms, &question);

        assert_true(wait_ms >= 0);
        if (wait_ms == 0) {
            note(world, &question);
            answer(world, &question);
            continue;
        }
        if (world->now_ms + wait_ms > until_ms)
            break;
        world->now_ms += wait_ms;
    }
    world->now_ms = until_ms;
}

static enum survey_finding
finding(const struct world *world, size_t place)
{
    return survey_address(world->survey, place)->finding;
}

static void
forget_questions(struct world *world)
{
    world->questions = world->tests = world->reasons = 0;
    memset(world->asked, 0, sizeof(world->asked));
}

/* The first round is a quick one; then each address has its turn once in the interval. */
static void
test_rounds(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 4);
    run(&world, 200);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(finding(&world, i), SURVEY_CLEAR);
        assert_int_equal(world.asked[i], 1);
    }
    forget_questions(&world);
    run(&world, EVERY_MS - 200);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(world.asked[i], 1);
        if (i > 0)
            assert_int_equal(world.asked_ms[i] - world.asked_ms[i - 1], EVERY_MS / 5);
    }
    forget_questions(&world);
    run(&world, 10 * EVERY_MS);
    for (size_t i = 0; i < 4; i++)
        assert_in_range(world.asked[i], 9, 11);
    assert_in_range(world.tests, 18, 22);
    assert_int_equal(world.holds, 0);
    end(&world);
}

static void
test_listed(void **state)
{
    const struct survey_address *address;
    struct world world;

    (void)state;
    begin(&world, 4);
    run(&world, 1000);
    world.listed[2] = true;
    run(&world, EVERY_MS);
    assert_true(world.held[2]);
    assert_int_equal(world.holds, 1);
    address = survey_address(world.survey, 2);
    assert_string_equal(address->reason, "spam");
    assert_int_equal(address->code.bytes[3], 2);
    run(&world, 3 * EVERY_MS); /* said again each time, and no round in a hurry for it */
    assert_in_range(world.again, 3, 4);
    assert_int_equal(world.holds, 1);
    assert_int_equal(world.reasons, 1);
    world.listed[2] = false;
    run(&world, EVERY_MS + 1000);
    assert_false(world.held[2]);
    assert_int_equal(world.lets_go, 1);
    assert_null(survey_address(world.survey, 2)->reason);
    assert_int_equal(world.changes, 1);
    end(&world);
}

/* Listed at the start, and the only one. */
static void
test_single(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 1);
    world.listed[0] = true;
    run(&world, 1000);
    assert_true(world.held[0]);
    end(&world);
}

static void
test_all_ours(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 3);
    world.listed[0] = true;
    run(&world, 1000);
    assert_true(world.held[0]);
    world.listed[1] = world.listed[2] = true;
    run(&world, EVERY_MS + 1000);
    assert_int_equal(survey_belief(world.survey), SURVEY_ALL_OURS);
    assert_string_equal(survey_why(world.survey), "it lists all 3 of our addresses");
    assert_false(world.held[0] || world.held[1] || world.held[2]);
    assert_int_equal(world.holds, 1); /* no other was, not even for a moment */
    forget_questions(&world);
    run(&world, 4 * EVERY_MS);
    assert_in_range(world.questions, 4 * 5 - 5, 4 * 5 + 5); /* nothing is hurried any more */
    world.listed[1] = false;
    run(&world, 2 * EVERY_MS + 1000);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    assert_true(world.held[0] && !world.held[1] && world.held[2]);
    end(&world);
}

/* A list that turns bad in the middle of a round takes nobody out. */
static void
test_turns_bad(void **state)
{
    static const struct {
        enum temper temper;
        enum survey_belief belief;
        const char *why;
    } cases[] = {
        {EVERYTHING, SURVEY_EVERYTHING, "it lists 127.0.0.1, which no list may"},
        {PARKED, SURVEY_ODD,
         "it answers 203.0.113.80, as no list does: the domain is parked, or the resolver makes "
         "answers up"},
        {REFUSES, SURVEY_REFUSED,
         "it answers 127.255.255.254: it does not serve public resolvers, ask through one of your "
         "own"},
        {EMPTY, SURVEY_DEAD, "it does not list 127.0.0.2, as every list does"},
        {SILENT, SURVEY_SILENT, "Timeout"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        bool keeps = cases[i].temper == SILENT || cases[i].temper == REFUSES;

        begin(&world, 4);
        world.listed[0] = true;
        run(&world, 1000);
        assert_true(world.held[0]);
        run(&world, EVERY_MS * 3 / 10); /* place 0 is asked for at the second tenth */
        world.temper = cases[i].temper;
        if (world.temper == EVERYTHING)
            world.listed[1] = world.listed[2] = true;
        run(&world, EVERY_MS);
        assert_int_equal(survey_belief(world.survey), cases[i].belief);
        assert_string_equal(survey_why(world.survey), cases[i].why);
        assert_int_equal(world.holds, 1);
        assert_int_equal(world.held[0], keeps); /* not known is not "not listed" */
        assert_int_equal(world.changes, 2);
        forget_questions(&world);
        run(&world, EVERY_MS); /* asked no more than a list of no use is worth */
        assert_in_range(world.questions, 1, 4 * EVERY_MS / SURVEY_RETRY_MS);
        run(&world, 3 * EVERY_MS);
        assert_false(world.held[0]); /* but not for ever */
        world.temper = NORMAL;
        world.listed[1] = world.listed[2] = false;
        run(&world, SURVEY_RETRY_MS + 1000);
        assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
        assert_true(world.held[0]);
        end(&world);
    }
}

/* Also what is found too soon for another round in a hurry waits for one. */
static void
test_turns_bad_soon(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 6);
    run(&world, 1000);
    world.temper = EVERYTHING;
    for (size_t i = 0; i < 5; i++)
        world.listed[i] = true;
    run(&world, EVERY_MS / 6); /* place 0 had its turn, and no test since */
    assert_int_equal(finding(&world, 0), SURVEY_LISTED);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    world.listed[1] = world.listed[2] = world.listed[3] = world.listed[4] = false;
    run(&world, EVERY_MS);
    assert_int_equal(survey_belief(world.survey), SURVEY_EVERYTHING);
    assert_int_equal(world.holds, 0);
    end(&world);
}

/* From the beginning, not only when it was good once. */
static void
test_bad_from_the_start(void **state)
{
    static const enum temper tempers[] = {SILENT, REFUSES, EVERYTHING, EMPTY, PARKED};

    (void)state;
    for (size_t i = 0; i < COUNT(tempers); i++) {
        struct world world;

        begin(&world, 4);
        world.temper = tempers[i];
        memset(world.listed, true, sizeof(world.listed));
        run(&world, 2 * EVERY_MS);
        assert_int_equal(world.holds, 0);
        assert_int_equal(world.asked[0], 0);
        assert_int_equal(world.changes, 1);
        assert_int_not_equal(survey_belief(world.survey), SURVEY_GOOD);
        end(&world);
    }
}

static void
test_some_fail(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 4);
    world.listed[0] = true;
    world.fails[1] = true;
    run(&world, 1000);
    assert_true(world.held[0]);
    assert_int_equal(finding(&world, 1), SURVEY_UNKNOWN);
    end(&world);
    /* All that is known of is listed, but not all is known: no reason to act. */
    begin(&world, 3);
    world.listed[0] = true;
    world.fails[1] = world.fails[2] = true;
    run(&world, 2 * EVERY_MS);
    assert_int_equal(world.holds, 0);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    world.fails[1] = false;
    run(&world, EVERY_MS + 1000);
    assert_true(world.held[0]);
    end(&world);
    begin(&world, 3); /* none is known */
    world.fails[0] = world.fails[1] = world.fails[2] = true;
    run(&world, 1000);
    assert_int_equal(survey_belief(world.survey), SURVEY_SILENT);
    end(&world);
}

/* The server dies in the middle of a round: it is not asked for all the rest. */
static void
test_dies(void **state)
{
    static const char *ips[ADDRESSES_MAX];
    char text[ADDRESSES_MAX][16];
    struct world world;
    size_t asked = 0;

    (void)state;
    for (size_t i = 0; i < ADDRESSES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "192.0.2.%zu", i + 1);
        ips[i] = text[i];
    }
    begin_with(&world, ips, ADDRESSES_MAX);
    memset(world.fails, true, sizeof(world.fails));
    run(&world, 10 * 1000);
    for (size_t i = 0; i < ADDRESSES_MAX; i++)
        asked += world.asked[i];
    assert_int_equal(asked, SURVEY_FAILURES_MAX);
    assert_int_equal(survey_belief(world.survey), SURVEY_SILENT);
    end(&world);
}

/* Failures now and then are not silence. */
static void
test_some_of_many_fail(void **state)
{
    static const char *ips[ADDRESSES_MAX];
    char text[ADDRESSES_MAX][16];
    struct world world;

    (void)state;
    for (size_t i = 0; i < ADDRESSES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "192.0.2.%zu", i + 1);
        ips[i] = text[i];
    }
    begin_with(&world, ips, ADDRESSES_MAX);
    for (size_t i = 0; i < ADDRESSES_MAX; i++)
        world.fails[i] = i % SURVEY_FAILURES_MAX != 0;
    run(&world, 10 * 1000);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    end(&world);
}

static void
test_families(void **state)
{
    static const char *const ips[] = {"192.0.2.1", "2001:db8::1", "2001:db8::2"};
    struct world world;

    (void)state;
    begin_with(&world, ips, 3);
    world.listed[1] = true;
    run(&world, 1000);
    assert_true(world.held[1]);
    assert_int_equal(world.tests, 4 + 4); /* of this round, and of the next */
    world.temper = FOUR_ONLY;
    run(&world, 2 * EVERY_MS);
    assert_false(world.held[1]);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    assert_true(survey_address(world.survey, 1)->foreign);
    assert_int_equal(finding(&world, 0), SURVEY_CLEAR);
    assert_int_equal(finding(&world, 1), SURVEY_UNKNOWN);
    end(&world);
    begin_with(&world, ips + 1, 2);
    world.temper = FOUR_ONLY;
    run(&world, 1000);
    assert_int_equal(survey_belief(world.survey), SURVEY_DEAD);
    assert_string_equal(survey_why(world.survey),
                        "it does not list ::ffff:127.0.0.2, as every list does");
    end(&world);
}

/* An answer that comes when its round is over says nothing. */
static void
test_late(void **state)
{
    struct survey_question question, late;
    struct world world;

    (void)state;
    begin(&world, 4);
    run(&world, 1000);
    world.now_ms += EVERY_MS / 5;
    assert_int_equal(survey_next(world.survey, world.now_ms, &late), 0);
    assert_int_equal(late.about, SURVEY_ADDRESS);
    world.now_ms += EVERY_MS / 5;
    assert_int_equal(survey_next(world.survey, world.now_ms, &question), 0);
    answer_code(&world, &question, "127.255.255.255");
    assert_int_equal(survey_belief(world.survey), SURVEY_REFUSED);
    answer_code(&world, &late, "127.0.0.2");
    assert_int_equal(finding(&world, late.place), SURVEY_CLEAR);
    world.temper = NORMAL;
    run(&world, 2 * EVERY_MS);
    assert_int_equal(survey_belief(world.survey), SURVEY_GOOD);
    assert_int_equal(world.holds, 0);
    end(&world);
}

/* Addresses that are listed and not, in turns, do not make a round in a hurry each time. */
static void
test_flaps(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 6);
    run(&world, 1000);
    forget_questions(&world);
    world.flaps = true;
    run(&world, 10 * EVERY_MS);
    /* Four such rounds in an interval at most, each with one that it broke off; two tests each. */
    assert_in_range(world.tests, 20, 10 * 4 * 2 * 2);
    end(&world);
}

static void
test_carry(void **state)
{
    static const char *const ips[] = {"192.0.2.9", "192.0.2.2", "192.0.2.1"};
    struct world world, next;

    (void)state;
    begin(&world, 3);
    world.listed[0] = world.listed[1] = true;
    run(&world, 1000);
    begin_with(&next, ips, 3);
    survey_carry_belief(next.survey, world.survey);
    survey_carry_address(next.survey, 2, world.survey, 0);
    survey_carry_address(next.survey, 1, world.survey, 1);
    survey_carry_address(next.survey, 0, world.survey, 2); /* another IP under the same name */
    assert_true(survey_address(next.survey, 2)->held);
    assert_string_equal(survey_address(next.survey, 2)->reason, "spam");
    assert_int_equal(finding(&next, 0), SURVEY_UNKNOWN);
    assert_int_equal(survey_belief(next.survey), SURVEY_GOOD);
    end(&world);
    next.held[1] = next.held[2] = true;
    next.listed[2] = true;
    next.now_ms = world.now_ms;
    run(&next, 1000);
    assert_int_equal(next.holds, 0);
    assert_int_equal(next.lets_go, 1);
    assert_true(next.held[2] && !next.held[1]);
    end(&next);
}

static void
test_nothing_to_ask(void **state)
{
    struct world world;
    struct survey_question question;

    (void)state;
    begin(&world, 0);
    assert_true(survey_next(world.survey, world.now_ms, &question) > 0);
    end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_all_ours),
        cmocka_unit_test(test_turns_bad),
        cmocka_unit_test(test_turns_bad_soon),
        cmocka_unit_test(test_bad_from_the_start),
        cmocka_unit_test(test_some_fail),
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_some_of_many_fail),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_flaps),
        cmocka_unit_test(test_carry),
        cmocka_unit_test(test_nothing_to_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
