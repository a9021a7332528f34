/*
 * What is known of Postfix' queue: bounds, ids that come again, and who gives way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "policyd/queued.h"

static struct queued *queued;

static struct span
span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
note(const char *id, const char *sender)
{
    queued_note(queued, span(id), span(sender));
}

static void
assert_sender(const char *id, const char *sender)
{
    const char *found = queued_sender(queued, span(id));

    if (sender == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, sender);
}

/* "M0", "M1", ... with their number as the sender. */
static void
note_many(int first, int count)
{
    char id[16], sender[16];

    for (int i = first; i < first + count; i++) {
        snprintf(id, sizeof(id), "M%d", i);
        snprintf(sender, sizeof(sender), "%d", i);
        note(id, sender);
    }
}

static int
setup(void **state)
{
    (void)state;
    queued = queued_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    queued_free(queued);
    return 0;
}

static void
test_note_and_remove(void **state)
{
    static const char text[] = "4A1Bbob@example.net>"; /* as in a line: ends in no NUL */

    (void)state;
    queued_free(NULL);
    queued_remove(queued, span("4A1B")); /* never heard of */
    queued_note(queued, (struct span){text, 4}, (struct span){text + 4, 15});
    note("4A1", "");
    assert_sender("4A1B", "bob@example.net");
    assert_sender("4A1", "");
    assert_sender("4A", NULL);
    assert_sender("4A1b", NULL);
    assert_int_equal(queued_count(queued), 2);
    queued_remove(queued, span("4A1B"));
    assert_sender("4A1B", NULL);
    assert_sender("4A1", "");
    assert_int_equal(queued_count(queued), 1);
}

/* Whoever comes under an id that is taken is the new one; its place is not taken twice. */
static void
test_id_comes_again(void **state)
{
    (void)state;
    note("4A", "old@example.net");
    note("4A", "a-longer-one@example.net");
    assert_sender("4A", "a-longer-one@example.net");
    queued_set_heard(queued, span("4B"));
    assert_false(queued_is_heard(queued, span("4B")));
    queued_set_heard(queued, span("4A"));
    assert_true(queued_is_heard(queued, span("4A")));
    note("4A", "a-longer-one@example.net");
    assert_false(queued_is_heard(queued, span("4A")));
    assert_int_equal(queued_count(queued), 1);
    queued_remove(queued, span("4A"));
    assert_sender("4A", NULL);
    assert_int_equal(queued_count(queued), 0);
}

/* Of too many, the one gives way that nothing was heard of for longest. */
static void
test_too_many(void **state)
{
    (void)state;
    note_many(0, QUEUED_MAX);
    assert_int_equal(queued_count(queued), QUEUED_MAX);
    assert_sender("M0", "0"); /* asked for */
    note("M1", "again");      /* told of anew */
    queued_remove(queued, span("M2"));
    note_many(QUEUED_MAX, 3);
    assert_int_equal(queued_count(queued), QUEUED_MAX);
    assert_sender("M0", "0");
    assert_sender("M1", "again");
    assert_sender("M3", NULL);
    assert_sender("M4", NULL);
    assert_sender("M5", "5");
}

/* Few messages with long senders give way by what they take. */
static void
test_too_many_bytes(void **state)
{
    enum { LONG = 64 * 1024, FIT = QUEUED_BYTES_MAX / LONG };
    char *sender = malloc(LONG + 1), id[16];

    (void)state;
    memset(sender, 'x', LONG);
    sender[LONG] = '\0';
    for (int i = 0; i < 2 * FIT; i++) {
        snprintf(id, sizeof(id), "M%d", i);
        note(id, sender);
        note("same", sender); /* what it replaces takes nothing any more */
    }
    assert_in_range(queued_count(queued), FIT - 2, FIT - 1); /* some is needed beside the sender */
    assert_sender("M0", NULL);
    assert_sender(id, sender);
    for (int i = 0; i < 2 * FIT; i++) {
        snprintf(id, sizeof(id), "M%d", i);
        queued_remove(queued, span(id));
    }
    queued_remove(queued, span("same"));
    assert_int_equal(queued_count(queued), 0);
    note_many(0, 2 * FIT); /* all that was removed is free again */
    assert_int_equal(queued_count(queued), 2 * FIT);
    free(sender);
}

/* The changes since the last time: "+4A bob", "+4A bob heard", "-4A", one behind the other. */
static void
assert_changes(const char *expected)
{
    struct queued_changes changes;
    struct queued_change *change;
    char text[500] = "";
    size_t count = queued_change_count(queued);

    queued_take_changes(queued, &changes);
    TAILQ_FOREACH(change, &changes, next)
    {
        size_t length = strlen(text);

        if (change->gone)
            snprintf(text + length, sizeof(text) - length, "-%.*s ", (int)change->id_length,
                     change->text);
        else
            snprintf(text + length, sizeof(text) - length, "+%.*s %s%s ", (int)change->id_length,
                     change->text, change->sender, change->heard ? " heard" : "");
        if (!change->gone && change->waits != NULL)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s since %d ",
                     change->waits, (int)change->since_ms);
        count--;
    }
    assert_string_equal(text, expected);
    assert_int_equal(count, 0);
    assert_int_equal(queued_change_count(queued), 0);
    queued_changes_free(&changes);
}

/* What came and left between two calls is not said. */
static void
test_changes(void **state)
{
    (void)state;
    note("0", "before it is tracked");
    assert_changes("");
    queued_track(queued);
    assert_changes("+0 before it is tracked ");
    note("4A", "a");
    note("4B", "b");
    queued_set_heard(queued, span("4B"));
    note("4C", "c");
    queued_remove(queued, span("4C"));
    assert_changes("+4A a +4B b heard ");
    note("4A", "a"); /* nothing new */
    queued_set_heard(queued, span("4B"));
    assert_sender("4A", "a");
    assert_changes("");
    note("4B", "b"); /* tried again: not heard any more */
    queued_set_heard(queued, span("4A"));
    queued_remove(queued, span("4A"));
    assert_changes("+4B b -4A ");
    note("4B", "another one");
    assert_changes("-4B +4B another one ");
    queued_set_heard(queued, span("4B"));
    note("4B", "third");
    queued_remove(queued, span("4B"));
    note("4B", "fourth");
    assert_changes("-4B +4B fourth ");
}

/* What is kept already is no change, and its end is one. */
static void
test_restored(void **state)
{
    (void)state;
    queued_restore(queued, span("4A"), span("a"), true, NULL, 0);
    queued_restore(queued, span("4B"), span("b"), false, NULL, 0);
    queued_track(queued);
    assert_true(queued_is_heard(queued, span("4A")));
    assert_false(queued_is_heard(queued, span("4B")));
    assert_changes("");
    queued_remove(queued, span("4A"));
    note("4B", "b");
    assert_changes("-4A ");
}

/* What waits does so until it is tried again. */
static void
test_waits(void **state)
{
    (void)state;
    queued_track(queued);
    note("4A", "a");
    note("4B", "b");
    queued_set_waits(queued, span("4A"), "x@one.test", 5);
    queued_set_waits(queued, span("none"), "x@one.test", 5);
    assert_changes("+4A a x@one.test since 5 +4B b ");
    queued_set_waits(queued, span("4A"), "y@one.test", 6);
    assert_changes("+4A a y@one.test since 6 ");
    note("4A", "a");
    assert_changes("+4A a ");
    queued_set_waits(queued, span("4B"), "z@one.test", 7);
    queued_remove(queued, span("4B"));
    assert_changes("-4B ");
    note("4A", "a"); /* nothing new */
    assert_changes("");
}

static void
restore_waiting(const char *id, int64_t since_ms)
{
    char recipient[32];

    snprintf(recipient, sizeof(recipient), "%s@one.test", id);
    queued_restore(queued, span(id), span("sender"), false, recipient, since_ms);
}

static void
assert_next_waiting(const char *id, int64_t since_ms)
{
    struct queued_wait wait;
    char recipient[32];

    snprintf(recipient, sizeof(recipient), "%s@one.test", id);
    assert_true(queued_next_waiting(queued, &wait));
    assert_int_equal(wait.queue_id.length, strlen(id));
    assert_memory_equal(wait.queue_id.start, id, strlen(id));
    assert_string_equal(wait.sender, "sender");
    assert_string_equal(wait.recipient, recipient);
    assert_int_equal(wait.since_ms, since_ms);
}

/* Those of before that still wait are told of, each once. */
static void
test_restored_waits(void **state)
{
    struct queued_wait wait;

    (void)state;
    for (int i = 1; i <= 6; i++)
        restore_waiting((char[]){'4', (char)('0' + i), '\0'}, i);
    queued_restore(queued, span("47"), span("sender"), true, NULL, 0);
    queued_track(queued);
    assert_changes("");
    assert_next_waiting("41", 1);
    queued_remove(queued, span("41"));
    queued_remove(queued, span("42"));
    note("43", "sender");
    note("44", "another");
    queued_set_waits(queued, span("45"), "new@one.test", 50);
    assert_next_waiting("46", 6);
    assert_false(queued_next_waiting(queued, &wait));
    restore_waiting("46", 60);
    assert_next_waiting("46", 60);
    assert_false(queued_next_waiting(queued, &wait));
}

/* Who gives way is gone. */
static void
test_changes_of_too_many(void **state)
{
    (void)state;
    queued_track(queued);
    note_many(0, QUEUED_MAX);
    assert_int_equal(queued_change_count(queued), QUEUED_MAX);
    note_many(QUEUED_MAX, 10);
    assert_int_equal(queued_change_count(queued), QUEUED_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_note_and_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_id_comes_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restored_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_of_too_many, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
