/*
 * What is known of messages in the queue, result by result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/history.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"

#include <stdio.h>

#define TOLD "host mx.b.test[192.0.2.9] said: 550 5.7.1 blocked (in reply to RCPT TO command)"

static const uint8_t secret[HASH_KEY_SIZE] = "0123456789abcde";
static const struct reply_rule greylist = {.accused = ACCUSED_GREYLIST},
                               block = {.accused = ACCUSED_ADDRESS};

struct world {
    struct conf *conf;
    struct history *history;
    struct outcome outcome; /* of message "id" to x@b.test, in the queue as 4A */
    struct lookup_history found;
    int64_t now_ms;
};

static int
set_up(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf(unit_site);
    w->history = history_new(secret);
    w->now_ms = 1000;
    strcpy(w->outcome.queue_id, "4A");
    strcpy(w->outcome.message_id, "id");
    strcpy(w->outcome.recipient, "x@b.test");
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    history_free(w->history);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static const struct address *
address(const struct world *w, const char *name)
{
    return snapshot_find_address(w->conf->snapshot, name);
}

static void
hear(struct world *w)
{
    history_outcome(w->history, &w->outcome, w->now_ms);
}

/* address refused it, with these words; NULL: the usual ones. */
static void
refuse(struct world *w, const char *name, const char *told)
{
    told = told != NULL ? told : TOLD;
    w->outcome.status = MAILLOG_DEFERRED;
    w->outcome.address = address(w, name);
    w->outcome.rule = &block;
    w->outcome.rescued = true;
    w->outcome.told = (struct span){told, strlen(told)};
    reply_read("4.7.1", 5, told, strlen(told), &w->outcome.reply);
    hear(w);
}

static void
greylist_it(struct world *w, const char *name)
{
    w->outcome.status = MAILLOG_DEFERRED;
    w->outcome.address = name != NULL ? address(w, name) : NULL;
    w->outcome.rule = &greylist;
    w->outcome.rescued = false;
    hear(w);
}

static const struct lookup_history *
find_for(struct world *w, const char *message_id, const char *recipient)
{
    w->found = (struct lookup_history){0};
    history_find(w->history, w->conf, message_id, recipient, w->now_ms, &w->found);
    return &w->found;
}

static const struct lookup_history *
find(struct world *w)
{
    return find_for(w, "id", "x@b.test");
}

static bool
is_empty(const struct lookup_history *found)
{
    static const struct lookup_history nothing;

    return memcmp(found, &nothing, sizeof(nothing)) == 0;
}

static void
test_refused(void **state)
{
    struct world *w = *state;

    assert_true(is_empty(find(w)));
    refuse(w, "a1", NULL);
    assert_ptr_equal(find(w)->avoid[0], address(w, "a1"));
    assert_null(w->found.avoid[1]);
    assert_false(w->found.ended);
    assert_string_equal(w->found.words, "5.7.1 " TOLD);
    refuse(w, "a1", NULL); /* again: it was in flight, or nothing else was there */
    assert_null(find(w)->avoid[1]);
    refuse(w, "b1", "host [192.0.2.9] said: 554 go away");
    assert_ptr_equal(find(w)->avoid[1], address(w, "b1"));
    assert_false(w->found.ended);
    assert_string_equal(w->found.words, "5.7.1 host [192.0.2.9] said: 554 go away");
    refuse(w, "a2", NULL);
    assert_ptr_equal(find(w)->avoid[2], address(w, "a2"));
    assert_true(w->found.ended);
    assert_null(w->found.prefer);
    w->conf->rescue_addresses = 2;
    refuse(w, "a2", NULL);
    assert_true(find(w)->ended);
}

static void
test_who_it_is_of(void **state)
{
    struct world *w = *state;

    refuse(w, "a1", NULL);
    assert_false(is_empty(find_for(w, "id", "X@B.Test")));
    assert_false(is_empty(find_for(w, "id", "\"x\"@b.test")));
    assert_true(is_empty(find_for(w, "id2", "x@b.test")));
    assert_true(is_empty(find_for(w, "id", "y@b.test")));
    strcpy(w->outcome.recipient, "y@b.test");
    refuse(w, "a2", NULL);
    assert_int_equal(history_count(w->history), 2);
    assert_ptr_equal(find(w)->avoid[0], address(w, "a1"));
}

/* Postfix itself tries that again for as long as it keeps mail: it is not ended. */
static void
test_refused_to_talk(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"a1", "a2", "b1"};

    for (size_t i = 0; i < COUNT(names); i++)
        refuse(w, names[i], "host m[1] refused to talk to me: 554 blocked");
    assert_ptr_equal(find(w)->avoid[2], address(w, "b1"));
    assert_false(w->found.ended);
    assert_null(w->found.words);
    refuse(w, "b1", NULL);
    assert_true(find(w)->ended);
}

static void
test_words(void **state)
{
    static const struct {
        const char *told, *words;
    } cases[] = {
        {"host m[1] said: 550 5.7.606 a", "5.7.606 host m[1] said: 550 5.7.606 a"},
        {"host m[1] said: 550 a", "5.7.1 host m[1] said: 550 a"},
        {"host m[1] said: 550 4.2.0 a", "5.2.0 host m[1] said: 550 4.2.0 a"},
        {"host m[1] said: 550 \"\\ ${x}\n\t\x7f\xc3\xa9\xff\x1b[0m:",
         "5.7.1 host m[1] said: 550 \"\\ ${x}??????"
         "?[0m:"},
        {"host \x01[1] said: 550 a", "5.7.1 host ?[1] said: 550 a"},
    };
    struct world *w = *state;
    char told[2000] = "host m[1] said: 550 ";

    for (size_t i = 0; i < COUNT(cases); i++) {
        refuse(w, "a1", cases[i].told);
        assert_string_equal(find(w)->words, cases[i].words);
    }
    memset(told + strlen(told), 'x', sizeof(told) - 1 - strlen(told));
    refuse(w, "a1", told);
    assert_int_equal(strlen(find(w)->words), LOOKUP_WORDS_MAX);
    w->outcome.reply.enhanced[0] = '\0';
    hear(w);
    assert_memory_equal(find(w)->words, "5.0.0 host", 10);
}

static void
test_greylisted(void **state)
{
    struct world *w = *state;

    greylist_it(w, "a2");
    assert_ptr_equal(find(w)->prefer, address(w, "a2"));
    assert_null(w->found.avoid[0]);
    assert_null(w->found.words);
    greylist_it(w, "a1"); /* a2 had no room */
    assert_ptr_equal(find(w)->prefer, address(w, "a1"));
    w->now_ms += HISTORY_GREYLIST_MS;
    assert_ptr_equal(find(w)->prefer, address(w, "a1"));
    w->now_ms += 1;
    assert_null(find(w)->prefer);
    greylist_it(w, "a1");
    refuse(w, "a2", NULL);
    assert_ptr_equal(find(w)->prefer, address(w, "a1"));
    refuse(w, "a1", NULL);
    assert_null(find(w)->prefer);
}

static void
test_what_says_nothing(void **state)
{
    struct world *w = *state;

    greylist_it(w, NULL); /* not from an address of ours */
    w->outcome.rule = NULL;
    w->outcome.address = address(w, "a1");
    hear(w);
    w->outcome.rule = &block; /* not for good */
    hear(w);
    assert_int_equal(history_count(w->history), 0);
    refuse(w, "a1", NULL);
    w->outcome.rescued = false;
    w->outcome.rule = NULL;
    w->outcome.address = address(w, "a2");
    hear(w);
    assert_ptr_equal(find(w)->avoid[0], address(w, "a1"));
    assert_null(w->found.avoid[1]);
}

static void
test_sent_or_returned(void **state)
{
    static const enum maillog_status ends[] = {MAILLOG_SENT, MAILLOG_BOUNCED};
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(ends); i++) {
        refuse(w, "a1", NULL);
        w->outcome.status = ends[i];
        w->outcome.rescued = false;
        w->outcome.address = NULL;
        hear(w);
        assert_true(is_empty(find(w)));
        assert_int_equal(history_count(w->history), 0);
    }
}

static void
test_left_the_queue(void **state)
{
    struct world *w = *state;

    refuse(w, "a1", NULL);
    strcpy(w->outcome.recipient, "y@b.test");
    refuse(w, "a1", NULL);
    strcpy(w->outcome.queue_id, "4B");
    strcpy(w->outcome.recipient, "z@b.test");
    refuse(w, "a1", NULL);
    strcpy(w->outcome.recipient, "y@b.test"); /* it was queued anew */
    refuse(w, "a2", NULL);
    history_gone(w->history, "4C");
    history_gone(w->history, "");
    assert_int_equal(history_count(w->history), 3);
    history_gone(w->history, "4A");
    assert_true(is_empty(find(w)));
    assert_int_equal(history_count(w->history), 2);
    history_gone(w->history, "4B");
    assert_int_equal(history_count(w->history), 0);
}

static void
test_time(void **state)
{
    struct world *w = *state;

    refuse(w, "a1", NULL);
    w->now_ms += HISTORY_MS;
    assert_false(is_empty(find(w)));
    w->outcome.rescued = false; /* it is heard of */
    w->outcome.rule = NULL;
    hear(w);
    w->now_ms += HISTORY_MS;
    assert_false(is_empty(find(w)));
    w->now_ms += 1;
    assert_true(is_empty(find(w)));
    strcpy(w->outcome.message_id, "other");
    refuse(w, "a1", NULL);
    assert_int_equal(history_count(w->history), 1);
}

/* Names count, not places; of addresses that are gone nothing is said, but they count. */
static void
test_reload(void **state)
{
    static const char less[] = "addresses: { b1 = { ip = \"127.0.1.3\"; helo = \"b1.test\"; };\n"
                               "  a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; }; };\n"
                               "pools: { fast = { addresses = ( \"a2\", \"b1\" ); }; };\n"
                               "streams: ( { name = \"all\"; pool = \"fast\"; match = (); } );\n";
    struct world *w = *state;

    greylist_it(w, "b1");
    refuse(w, "a1", NULL);
    refuse(w, "a2", NULL);
    w->outcome.address = NULL;
    conf_unref(w->conf);
    w->conf = unit_conf(less);
    assert_ptr_equal(find(w)->prefer, address(w, "b1"));
    assert_ptr_equal(w->found.avoid[0], address(w, "a2"));
    assert_null(w->found.avoid[1]);
    refuse(w, "b1", NULL);
    assert_true(find(w)->ended);
}

static void
name_message(struct world *w, int number)
{
    snprintf(w->outcome.message_id, sizeof(w->outcome.message_id), "m%d", number);
    snprintf(w->outcome.queue_id, sizeof(w->outcome.queue_id), "4%d", number);
}

/* Whoever was not heard of for longest makes room. */
static void
test_room_for_words(void **state)
{
    struct world *w = *state;
    char told[600] = "host m[1] said: 550 ";
    size_t most;

    memset(told + strlen(told), 'x', sizeof(told) - 1 - strlen(told));
    for (int i = 0; i < HISTORY_MAX; i++) {
        name_message(w, i);
        refuse(w, "a1", told);
    }
    most = history_count(w->history);
    assert_true(most * LOOKUP_WORDS_MAX <= HISTORY_BYTES_MAX);
    assert_true(most * 1000 > HISTORY_BYTES_MAX);
    assert_false(is_empty(find_for(w, w->outcome.message_id, "x@b.test")));
    for (int i = 0; i < 50; i++) { /* nobody else goes with them */
        name_message(w, HISTORY_MAX - 1 - i);
        history_gone(w->history, w->outcome.queue_id);
        assert_true(is_empty(find_for(w, w->outcome.message_id, "x@b.test")));
        assert_int_equal(history_count(w->history), most - 1 - (size_t)i);
    }
}

static void
test_room(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < HISTORY_MAX + 100; i++) {
        if (i == HISTORY_MAX) { /* it is heard of once more */
            name_message(w, 0);
            greylist_it(w, "a2");
        }
        name_message(w, i);
        greylist_it(w, "a1");
    }
    assert_int_equal(history_count(w->history), HISTORY_MAX);
    assert_false(is_empty(find_for(w, "m0", "x@b.test")));
    assert_true(is_empty(find_for(w, "m1", "x@b.test")));
    assert_false(is_empty(find_for(w, w->outcome.message_id, "x@b.test")));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_refused),
        TEST(test_who_it_is_of),
        TEST(test_refused_to_talk),
        TEST(test_words),
        TEST(test_greylisted),
        TEST(test_what_says_nothing),
        TEST(test_sent_or_returned),
        TEST(test_left_the_queue),
        TEST(test_time),
        TEST(test_reload),
        TEST(test_room_for_words),
        TEST(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
