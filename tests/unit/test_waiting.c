/*
 * Messages that wait for room: which is the next?
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/waiting.h"

enum { BULK, NEWS, FAST }; /* streams, by priority */

static struct waiting *waiting;

static int
setup(void **state)
{
    (void)state;
    waiting = waiting_new();
    return waiting != NULL && waiting_set_streams(waiting, (const int[]){-1, 0, 5}, 3, NULL, NULL)
               ? 0
               : -1;
}

static int
teardown(void **state)
{
    (void)state;
    waiting_free(waiting);
    return 0;
}

static bool
add_of(const char *id, size_t stream, size_t provider, const char *account, int64_t since_ms)
{
    struct waiting_kind kind = {stream, provider, account[0] == 's' ? 1 : 2, 0};
    struct waiter what = {.since_ms = since_ms,
                          .queue_id = id,
                          .message_id = "m",
                          .account = account,
                          .recipient = "r@one.test"};

    return waiting_add(waiting, &kind, &what);
}

static bool
add(const char *id, size_t stream, int64_t since_ms)
{
    return add_of(id, stream, 0, "site.test", since_ms);
}

static const char *
first(int64_t now_ms)
{
    const struct waiter *waiter = waiting_first(waiting, now_ms);

    return waiter != NULL ? waiter->queue_id : "none";
}

static void
sleep_first(int64_t until_ms)
{
    struct waiter *waiter = waiting_first(waiting, 0);

    assert_non_null(waiter);
    waiting_sleep(waiting, waiter, until_ms);
}

/* Take all of them, one after the other. */
static void
assert_order(const char *const *ids, int64_t now_ms)
{
    for (; *ids != NULL; ids++) {
        assert_string_equal(first(now_ms), *ids);
        waiting_remove(waiting, waiting_first(waiting, now_ms));
    }
    assert_null(waiting_first(waiting, now_ms));
}

static void
add_behind(const char *id, size_t stream, unsigned behind, int64_t since_ms, bool urgent)
{
    struct waiting_kind kind = {stream, 0, 1, behind};
    struct waiter what = {.since_ms = since_ms,
                          .queue_id = id,
                          .message_id = "m",
                          .account = "site.test",
                          .recipient = "r@one.test",
                          .urgent = urgent};

    assert_true(waiting_add(waiting, &kind, &what));
}

/* Those that were active lately go first, whatever their age, but not before another stream. */
static void
test_behind(void **state)
{
    (void)state;
    add_behind("never", NEWS, 6, 10, false);
    add_behind("old", NEWS, 2, 20, false);
    add_behind("new", NEWS, 0, 40, false);
    add_behind("older", NEWS, 2, 15, false);
    add_behind("first", FAST, 6, 90, false);
    add_behind("hit", NEWS, 6, 95, true);
    assert_order((const char *[]){"first", "hit", "new", "older", "old", "never", NULL}, 0);
}

/* One lane has no room; those before and behind it are looked at all the same. */
static void
test_behind_sleeps(void **state)
{
    (void)state;
    add_behind("never", NEWS, 6, 10, false);
    add_behind("new", NEWS, 0, 40, false);
    sleep_first(500);
    assert_string_equal(first(0), "never");
    assert_string_equal(first(500), "new");
}

static void
test_priority_then_age(void **state)
{
    (void)state;
    add("b1", BULK, 10);
    add("n2", NEWS, 30);
    add_of("n1", NEWS, 1, "site.test", 20);
    add("f1", FAST, 90);
    add_of("n3", NEWS, 0, "other.test", 40);
    assert_int_equal(waiting_count(waiting), 5);
    assert_order((const char *[]){"f1", "n1", "n2", "n3", "b1", NULL}, 0);
    assert_int_equal(waiting_count(waiting), 0);
}

static void
test_what_is_urgent_goes_first_in_its_stream(void **state)
{
    struct waiting_kind kind = {NEWS, 0, 1, 0};

    (void)state;
    add("n1", NEWS, 10);
    waiting_add(waiting, &kind,
                &(struct waiter){.since_ms = 50,
                                 .queue_id = "n5",
                                 .message_id = "",
                                 .account = "site.test",
                                 .recipient = "",
                                 .urgent = true});
    add("f1", FAST, 90);
    assert_order((const char *[]){"f1", "n5", "n1", NULL}, 0);
}

static void
test_a_lane_without_room_does_not_hold_up_others(void **state)
{
    (void)state;
    add_of("n1", NEWS, 1, "site.test", 10);
    add_of("n2", NEWS, 1, "site.test", 11);
    add_of("n3", NEWS, 2, "site.test", 30);
    add_of("n4", NEWS, 1, "other.test", 40);
    assert_string_equal(first(0), "n1");
    sleep_first(500);
    assert_string_equal(first(499), "n3");
    sleep_first(400);
    assert_string_equal(first(399), "n4");
    assert_int_equal(waiting_up_ms(waiting), 400);
    assert_string_equal(first(400), "n3");
    assert_string_equal(first(500), "n1");
    assert_int_equal(waiting_up_ms(waiting), INT64_MAX);
}

static void
test_one_that_rests_does_not_hold_up_its_lane(void **state)
{
    (void)state;
    add("n1", NEWS, 10);
    add("n2", NEWS, 20);
    waiting_rest(waiting, waiting_first(waiting, 0), 300);
    assert_string_equal(first(0), "n2");
    waiting_rest(waiting, waiting_first(waiting, 0), 200);
    assert_string_equal(first(199), "none");
    assert_int_equal(waiting_up_ms(waiting), 200);
    assert_string_equal(first(200), "n2");
    waiting_rest(waiting, waiting_find(waiting, "n1"), 250);
    assert_string_equal(first(250), "n1");
    waiting_rest(waiting, waiting_first(waiting, 250), 900);
    waiting_remove(waiting, waiting_find(waiting, "n1"));
    assert_order((const char *[]){"n2", NULL}, 1000);
}

static void
test_the_second_of_a_lane(void **state)
{
    (void)state;
    add("n1", NEWS, 10);
    assert_null(waiting_second(waiting_first(waiting, 0)));
    add("n3", NEWS, 30);
    add("n2", NEWS, 20);
    assert_string_equal(waiting_second(waiting_first(waiting, 0))->queue_id, "n2");
}

static void
test_told_of_again(void **state)
{
    const struct waiter *waiter;

    (void)state;
    add("n1", NEWS, 10);
    add("n1", NEWS, 99);
    add_of("n1", BULK, 3, "new.test", 99);
    assert_int_equal(waiting_count(waiting), 1);
    waiter = waiting_find(waiting, "n1");
    assert_int_equal(waiter->recipients, 3);
    assert_int_equal(waiter->since_ms, 10);
    assert_string_equal(waiter->account, "new.test");
    assert_int_equal(waiting_kind(waiter).provider, 3);
    assert_int_equal(waiting_kind(waiter).stream, BULK);
}

static void
test_of_another_provider(void **state)
{
    struct waiting_figures figures;

    (void)state;
    add_of("n1", NEWS, 1, "site.test", 10);
    add_of("n2", NEWS, 2, "site.test", 20);
    sleep_first(500); /* provider 1 */
    waiting_move(waiting, waiting_find(waiting, "n1"), 2);
    assert_order((const char *[]){"n1", "n2", NULL}, 0);
    waiting_figures(waiting, NEWS, &figures);
    assert_int_equal(figures.count, 0);
}

static void
test_another_configuration(void **state)
{
    static const uint32_t moves[] = {UINT32_MAX, 0, 1}, providers[] = {0, 2, UINT32_MAX};
    struct waiting_figures figures;

    (void)state;
    add("b1", BULK, 1);
    add_of("n1", NEWS, 1, "site.test", 10);
    add_of("n2", NEWS, 2, "site.test", 20);
    add_of("n3", NEWS, 0, "site.test", 30);
    add_of("f1", FAST, 0, "site.test", 40);
    waiting_rest(waiting, waiting_find(waiting, "n3"), 100);
    waiting_sleep(waiting, waiting_find(waiting, "f1"), 50);
    /* News goes before fast now; bulk, and provider 2, are no more. */
    assert_true(waiting_set_streams(waiting, (const int[]){9, 3}, 2, moves, providers));
    assert_int_equal(waiting_count(waiting), 3);
    waiting_figures(waiting, 0, &figures);
    assert_int_equal(figures.count, 2);
    assert_int_equal(figures.oldest_ms, 10);
    assert_int_equal(waiting_kind(waiting_find(waiting, "n1")).provider, 2);
    assert_string_equal(first(99), "n1");
    assert_order((const char *[]){"n1", "n3", "f1", NULL}, 100);
}

static void
fill(const char *prefix, size_t stream, int count)
{
    char id[16];

    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof(id), "%s%d", prefix, i);
        assert_true(add(id, stream, i));
    }
}

static void
test_there_is_a_most(void **state)
{
    struct waiting_figures figures;

    (void)state;
    fill("b", BULK, WAITING_STREAM_MAX);
    assert_false(add("bx", BULK, 0));
    assert_null(waiting_find(waiting, "bx"));
    fill("n", NEWS, WAITING_STREAM_MAX);
    assert_int_equal(waiting_count(waiting), WAITING_MAX);
    assert_false(add("nx", NEWS, 0));
    assert_true(add("fx", FAST, 0)); /* in the place of bulk */
    assert_string_equal(first(0), "fx");
    assert_int_equal(waiting_count(waiting), WAITING_MAX);
    waiting_figures(waiting, BULK, &figures);
    assert_int_equal(figures.count, WAITING_STREAM_MAX - 1);
    assert_int_equal(figures.oldest_ms, 0);
    assert_int_equal(figures.refused, 2);
    assert_false(add("by", BULK, 0)); /* none has a lower priority */
}

static void
test_bytes_are_bounded_too(void **state)
{
    struct waiting_kind kind = {NEWS, 0, 1, 0};
    char *big = malloc(100 * 1000);
    char id[16];
    int taken = 0;

    (void)state;
    memset(big, 'x', 100 * 1000 - 1);
    big[100 * 1000 - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        taken += waiting_add(waiting, &kind,
                             &(struct waiter){.queue_id = id,
                                              .message_id = big,
                                              .account = "site.test",
                                              .recipient = "r@one.test"});
    }
    free(big);
    assert_in_range(taken, WAITING_BYTES_MAX / 101000, WAITING_BYTES_MAX / 100000);
    while (waiting_first(waiting, 0) != NULL)
        waiting_remove(waiting, waiting_first(waiting, 0));
    fill("b", BULK, 10);
}

/* The same by the plainest way there is. */
struct model {
    bool there;
    size_t stream, provider;
    int account;
    int64_t since_ms, rest_ms;
};

enum { MODELS = 40, PROVIDERS = 3, ACCOUNTS = 2, STREAMS = 3 };

static struct model models[MODELS];
static int64_t asleep_ms[STREAMS][PROVIDERS][ACCOUNTS];

static bool
is_up(const struct model *model, int64_t now_ms)
{
    return model->there && model->rest_ms <= now_ms &&
           asleep_ms[model->stream][model->provider][model->account] <= now_ms;
}

static int
model_first(int64_t now_ms)
{
    int best = -1;

    for (int i = 0; i < MODELS; i++) {
        const struct model *model = &models[i];

        if (!is_up(model, now_ms))
            continue;
        if (best < 0 || model->stream > models[best].stream ||
            (model->stream == models[best].stream && model->since_ms < models[best].since_ms))
            best = i;
    }
    return best;
}

static bool
lane_has_others(int number)
{
    const struct model *one = &models[number];

    for (int i = 0; i < MODELS; i++)
        if (i != number && models[i].there && models[i].stream == one->stream &&
            models[i].provider == one->provider && models[i].account == one->account)
            return true;
    return false;
}

/* A lane that is left by its last message is forgotten, and with it that it sleeps. */
static void
model_leave(int number)
{
    struct model *model = &models[number];

    if (!lane_has_others(number))
        asleep_ms[model->stream][model->provider][model->account] = 0;
    model->there = false;
}

static void
model_step(int64_t now_ms, int64_t *since_ms)
{
    int i = rand() % MODELS, best = model_first(now_ms);
    char id[16];

    snprintf(id, sizeof(id), "m%d", i);
    switch (rand() % 5) {
    case 0:
    case 1:
        if (models[i].there)
            break;
        models[i] = (struct model){true,
                                   (size_t)rand() % STREAMS,
                                   (size_t)rand() % PROVIDERS,
                                   rand() % ACCOUNTS,
                                   (*since_ms)++,
                                   0};
        add_of(id, models[i].stream, models[i].provider, models[i].account == 0 ? "s" : "b",
               models[i].since_ms);
        break;
    case 2:
        if (!models[i].there)
            break;
        waiting_remove(waiting, waiting_find(waiting, id));
        model_leave(i);
        break;
    case 3:
        if (best < 0)
            break;
        asleep_ms[models[best].stream][models[best].provider][models[best].account] = now_ms + 7;
        waiting_sleep(waiting, waiting_first(waiting, now_ms), now_ms + 7);
        break;
    case 4:
        if (best < 0)
            break;
        models[best].rest_ms = now_ms + 5;
        waiting_rest(waiting, waiting_first(waiting, now_ms), now_ms + 5);
        break;
    }
}

static void
test_as_the_plain_way_has_it(void **state)
{
    int64_t since_ms = 0;

    (void)state;
    srand(7);
    memset(models, 0, sizeof(models));
    memset(asleep_ms, 0, sizeof(asleep_ms));
    for (int64_t now_ms = 1; now_ms < 20000; now_ms++) {
        char id[16] = "none";
        int best = model_first(now_ms);

        if (best >= 0)
            snprintf(id, sizeof(id), "m%d", best);
        assert_string_equal(first(now_ms), id);
        model_step(now_ms, &since_ms);
    }
}

static void
test_some_end(void **state)
{
    struct waiter what = {.since_ms = 1,
                          .queue_id = "A",
                          .message_id = "m",
                          .account = "s",
                          .recipient = "r@one.test",
                          .ends_ms = 500};
    struct waiting_kind kind = {BULK, 0, 1, 0};
    struct waiter *waiter;

    (void)state;
    assert_true(add("none", BULK, 0));
    assert_true(waiting_add(waiting, &kind, &what));
    what.queue_id = "B";
    what.ends_ms = 300;
    assert_true(waiting_add(waiting, &kind, &what));
    sleep_first(10000);
    waiting_rest(waiting, waiting_find(waiting, "B"), 20000);
    assert_null(waiting_ended(waiting, 299));
    assert_int_equal(waiting_up_ms(waiting), 300);
    waiter = waiting_ended(waiting, 1000); /* asleep or at rest: no matter */
    assert_string_equal(waiter->queue_id, "B");
    waiting_set_end(waiting, waiter, 700);
    assert_string_equal(waiting_ended(waiting, 1000)->queue_id, "A");
    waiting_move(waiting, waiting_find(waiting, "A"), 1);
    assert_string_equal(waiting_ended(waiting, 1000)->queue_id, "A");
    what.queue_id = "A"; /* told of again, of a stream whose mail has no end */
    what.ends_ms = 0;
    assert_true(waiting_add(waiting, &kind, &what));
    assert_string_equal(waiting_ended(waiting, 1000)->queue_id, "B");
    waiting_remove(waiting, waiting_find(waiting, "B"));
    assert_null(waiting_ended(waiting, 1000));
    assert_int_equal(waiting_count(waiting), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_priority_then_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_behind_sleeps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_urgent_goes_first_in_its_stream, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_lane_without_room_does_not_hold_up_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_that_rests_does_not_hold_up_its_lane, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_second_of_a_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_of_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_another_provider, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_there_is_a_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_are_bounded_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_some_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_as_the_plain_way_has_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
