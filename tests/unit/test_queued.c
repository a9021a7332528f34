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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_note_and_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_id_comes_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_bytes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
