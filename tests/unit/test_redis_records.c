/*
 * Records in Redis, as the script keeps them: versions, what is told to whom, what is forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/redis_world.h"

/* A call of record or records by a node; the reply is the caller's to free. */
static redisReply *
ask_record(const struct redis_world *w, size_t node, const char *name, uint64_t version,
           bool restores, const char *value, struct redis_answer *ret_answer)
{
    struct redis_caller who = redis_world_caller(w, &w->nodes[node]);
    struct redis_args args = {0};
    redisReply *reply;

    redis_script_begin(&args, &who, name != NULL ? "record" : "records", "records");
    if (name != NULL)
        redis_args_add(&args, name, strlen(name));
    redis_args_print(&args, "%llu", (unsigned long long)version);
    if (name != NULL) {
        redis_args_print(&args, "%d", restores);
        redis_args_add(&args, value, strlen(value));
    }
    reply = redis_world_run(&args);
    redis_script_answer(reply, ret_answer);
    assert_int_equal(ret_answer->status, REDIS_OK_THERE);
    return reply;
}

/* Put value if version is there; the version then, 0: it was not written. */
static uint64_t
put_record(const struct redis_world *w, const char *name, uint64_t version, const char *value)
{
    struct redis_answer answer;
    redisReply *reply = ask_record(w, 0, name, version, false, value, &answer);

    if (answer.written)
        assert_string_equal(answer.value, value);
    freeReplyObject(reply);
    return answer.written ? answer.version : 0;
}

/* How many are told of that are above version; 1000 and more: these are all. */
static size_t
count_records(const struct redis_world *w, uint64_t version)
{
    struct redis_answer answer;
    redisReply *reply = ask_record(w, 1, NULL, version, false, NULL, &answer);
    size_t count = answer.list->elements / 3 + (answer.all ? 1000 : 0);

    assert_int_equal(answer.version, answer.records);
    freeReplyObject(reply);
    return count;
}

static void
test_records(void **state)
{
    struct redis_world w = {
        .prefix = "records", .now_ms = 1000000000, .node_count = 2, .lives = 100};
    struct redis_answer answer;
    redisReply *reply;
    uint64_t first, second;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(w.nodes[i].name, sizeof(w.nodes[i].name), "mta%zu", i);
        redis_world_beat(&w, &w.nodes[i], true);
    }
    assert_int_equal(count_records(&w, 0), 1000);
    first = put_record(&w, "a", 0, "one");
    assert_true(first > 0);
    assert_int_equal(put_record(&w, "a", 0, "two"), 0);
    assert_int_equal(put_record(&w, "a", 0, "one"), first); /* repeated */
    second = put_record(&w, "b", 0, "x y\n");
    assert_true(second > first);
    assert_int_equal(count_records(&w, 0), 1002);
    assert_int_equal(count_records(&w, first), 1);
    assert_int_equal(count_records(&w, second), 0);
    assert_true(put_record(&w, "a", first, "two") > second);
    assert_int_equal(put_record(&w, "b", first, ""), 0);
    assert_int_equal(put_record(&w, "b", second, ""), 0); /* removed: there is no version */
    assert_int_equal(count_records(&w, 0), 1001);
    assert_int_equal(count_records(&w, second), 2); /* with the one that is gone */
    second = put_record(&w, "b", 0, "anew");
    assert_true(second > 0);

    /* What is lost is put back by who knows a newer version, and by nobody else. */
    reply = ask_record(&w, 1, "a", 1, true, "old", &answer);
    assert_string_equal(answer.value, "two");
    freeReplyObject(reply);
    reply = ask_record(&w, 1, "b", second + 7, true, "newer", &answer);
    assert_string_equal(answer.value, "newer");
    assert_true(answer.version > second + 7);
    freeReplyObject(reply);
}

/* Of those that were removed the oldest are forgotten; who was away for long hears of all. */
static void
test_removed_records(void **state)
{
    struct redis_world w = {
        .prefix = "graves", .now_ms = 1000000000, .node_count = 2, .lives = 100};
    uint64_t since = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(w.nodes[i].name, sizeof(w.nodes[i].name), "mta%zu", i);
        redis_world_beat(&w, &w.nodes[i], true);
    }
    for (int i = 0; i < 1100; i++) {
        char name[16];
        uint64_t version;

        snprintf(name, sizeof(name), "n%d", i);
        version = put_record(&w, name, 0, "x");
        assert_true(version > 0);
        put_record(&w, name, version, "");
        if (i == 0)
            since = version;
    }
    assert_int_equal(count_records(&w, since), 1100); /* before any is forgotten */
    assert_int_equal(count_records(&w, since), 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_removed_records),
        cmocka_unit_test(redis_world_assert_expiry),
    };

    return cmocka_run_group_tests(tests, redis_world_setup, redis_world_teardown);
}
