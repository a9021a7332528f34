/*
 * Whom to connect to next: as configured, through Sentinels, along a redirection.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"
#include "policyd/redis_way.h"

#include <errno.h>

static char s1[] = "s1:1", s2[] = "s2", s3[] = "[::1]:3", master[] = "main";
static char *sentinels[] = {s1, s2, s3};

static struct redis_way
way_to(const char *url, size_t sentinel_count)
{
    struct conf conf = {.store_url = (char *)url,
                        .store_sentinels = {.items = sentinels, .count = sentinel_count},
                        .store_master = master};
    struct redis_way way = {0};

    redis_way_read(&way, &conf);
    return way;
}

static void
check_next(struct redis_way *way, const char *here, const char *host, uint16_t port, bool sentinel,
           bool asking)
{
    struct redis_step step;

    assert_int_equal(redis_way_next(way, here, &step), 0);
    assert_null(step.path);
    assert_string_equal(step.host, host);
    assert_int_equal(step.port, port);
    assert_int_equal(step.sentinel, sentinel);
    assert_int_equal(step.asking, asking);
    free(step.host);
}

static void
test_as_configured(void **state)
{
    struct redis_way way = way_to("redis://r.test:7/2", 0);
    struct redis_step step;

    (void)state;
    check_next(&way, NULL, "r.test", 7, false, false);
    check_next(&way, "r.test", "r.test", 7, false, false);
    redis_way_clear(&way);
    way = way_to("unix:/run/s?db=3", 0);
    assert_int_equal(redis_way_next(&way, NULL, &step), 0);
    assert_string_equal(step.path, "/run/s");
    assert_null(step.host);
    redis_way_clear(&way);
}

/* Each is asked once, at once; then there is a pause, and it begins with the next. */
static void
test_sentinels(void **state)
{
    struct redis_way way = way_to("redis://:pw@ignored", 3);

    (void)state;
    check_next(&way, NULL, "s1", 1, true, false);
    assert_true(redis_way_next_sentinel(&way));
    check_next(&way, "s1", "s2", 26379, true, false);
    assert_true(redis_way_next_sentinel(&way));
    check_next(&way, "s2", "::1", 3, true, false);
    assert_false(redis_way_next_sentinel(&way));
    check_next(&way, "::1", "s1", 1, true, false);
    assert_true(redis_way_next_sentinel(&way));
    redis_way_found(&way); /* the one that was of use is asked again, and so many others */
    check_next(&way, "m", "s2", 26379, true, false);
    assert_true(redis_way_next_sentinel(&way));
    assert_true(redis_way_next_sentinel(&way));
    assert_false(redis_way_next_sentinel(&way));
    redis_way_clear(&way);
}

static void
test_redirections(void **state)
{
    static const char *const bad[] = {"", "::", ":0", "a", "a:70000"};
    struct redis_way way = way_to("redis://r.test:7", 0);
    struct redis_step step;

    (void)state;
    assert_true(redis_way_move(&way, "other.test:8", false));
    check_next(&way, "r.test", "other.test", 8, false, false);
    check_next(&way, "other.test", "r.test", 7, false, false); /* once */
    assert_true(redis_way_move(&way, ":9", true));
    check_next(&way, "r.test", "r.test", 9, false, true);
    assert_true(redis_way_move(&way, "2001:db8::5:6380", false)); /* Redis writes no brackets */
    check_next(&way, "r.test", "2001:db8::5", 6380, false, false);
    assert_true(redis_way_move(&way, "::1:6381", true));
    check_next(&way, "r.test", "::1", 6381, false, true);
    assert_true(redis_way_move(&way, ":6383", false));
    check_next(&way, "::1", "::1", 6383, false, false);
    redis_way_settle(&way);
    assert_true(redis_way_move(&way, "[::1]:6382", false));
    check_next(&way, "r.test", "::1", 6382, false, false);
    redis_way_settle(&way);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_true(redis_way_move(&way, bad[i], false));
        assert_int_equal(redis_way_next(&way, "r.test", &step), -EINVAL);
    }
    redis_way_settle(&way);
    assert_true(redis_way_move(&way, "no port:", false));
    assert_int_equal(redis_way_next(&way, "r.test", &step), -EINVAL);
    check_next(&way, "r.test", "r.test", 7, false, false);
    for (int i = 1; i < 5; i++)
        assert_true(redis_way_move(&way, "a:1", false));
    assert_false(redis_way_move(&way, "a:1", false)); /* round and round: not at once */
    redis_way_settle(&way);
    assert_true(redis_way_move(&way, "a:1", false));
    redis_way_clear(&way);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_configured),
        cmocka_unit_test(test_sentinels),
        cmocka_unit_test(test_redirections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
