/*
 * Where a Redis is: what is taken, what is refused, and what is never said.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/err.h"
#include "lib/redis_url.h"

#include <errno.h>

static const struct good {
    const char *text;
    const char *path, *host;
    int port;
    const char *user, *password;
    int database;
    const char *printed;
} good[] = {
    {"", NULL, NULL, 6379, NULL, NULL, 0, "redis://:6379/0"},
    {"redis://r.example", NULL, "r.example", 6379, NULL, NULL, 0, "redis://r.example:6379/0"},
    {"redis://r.example/", NULL, "r.example", 6379, NULL, NULL, 0, "redis://r.example:6379/0"},
    {"redis://192.0.2.1:7000/3", NULL, "192.0.2.1", 7000, NULL, NULL, 3,
     "redis://192.0.2.1:7000/3"},
    {"redis://[2001:db8::1]:7000", NULL, "2001:db8::1", 7000, NULL, NULL, 0,
     "redis://[2001:db8::1]:7000/0"},
    {"redis://:secret@r", NULL, "r", 6379, NULL, "secret", 0, "redis://r:6379/0"},
    {"redis://pp:a%3ab%40c%2F%25@r/1", NULL, "r", 6379, "pp", "a:b@c/%", 1, "redis://r:6379/1"},
    {"redis://pp:with:colons@and@r", NULL, "r", 6379, "pp", "with:colons@and", 0,
     "redis://r:6379/0"},
    {"redis://pp:x@/2", NULL, NULL, 6379, "pp", "x", 2, "redis://:6379/2"},
    {"rediss://r", NULL, "r", 6379, NULL, NULL, 0, "rediss://r:6379/0"},
    {"unix:/run/redis/s", "/run/redis/s", NULL, 6379, NULL, NULL, 0, "unix:/run/redis/s"},
    {"unix:/run/redis/s?db=12", "/run/redis/s", NULL, 6379, NULL, NULL, 12,
     "unix:/run/redis/s?db=12"},
    {"unix:pp:x@/s", "/s", NULL, 6379, "pp", "x", 0, "unix:/s"},
    {"unix:/run/a@/s", "/run/a@/s", NULL, 6379, NULL, NULL, 0, "unix:/run/a@/s"},
};

static const struct bad {
    const char *text, *why;
} bad[] = {
    {"r.example:6379", "begins with none of redis://, rediss://, unix:"},
    {"http://r", "begins with none of redis://, rediss://, unix:"},
    {"redis://r:0", "the port is no number from 1 to 65535"},
    {"redis://r:65536", "the port is no number from 1 to 65535"},
    {"redis://r:", "the port is no number from 1 to 65535"},
    {"redis://r:1x", "the port is no number from 1 to 65535"},
    {"redis://[::1", "a [ without its ]"},
    {"redis://[]", "there is no host"},
    {"redis://a b", "the host has a character that no host has"},
    {"redis://r/x", "the database is no number from 0 to 9999"},
    {"redis://r/10000", "the database is no number from 0 to 9999"},
    {"redis://u:secret%4@r", "the password is no percent-encoded text; a % in it is written %25"},
    {"redis://u:secret%00@r", "the password is no percent-encoded text; a % in it is written %25"},
    {"redis://%zz:secret@r", "the user is no percent-encoded text; a % in it is written %25"},
    {"redis://u:@r", "the password is empty; write user:password or leave the login out"},
    {"redis://:@r", "the password is empty; write user:password or leave the login out"},
    {"unix:u:@/s", "the password is empty; write user:password or leave the login out"},
    {"redis://secret@r", "one word before the @; write user:password, or :password without a user"},
    {"redis://@r", "one word before the @; write user:password, or :password without a user"},
    {"unix:secret@/s", "one word before the @; write user:password, or :password without a user"},
    {"redis://u:sec/ret@r", "a / in user or password is written %2F"},
    {"redis://:/secret@r/1", "a / in user or password is written %2F"},
    {"unix:u:sec/ret@/s", "a / in user or password is written %2F"},
    {"unix:s", "unix: wants a path that begins with a slash"},
    {"unix:secret/s", "unix: wants a path that begins with a slash"},
    {"unix:/s?database=1", "behind the path only ?db=NUMBER is known"},
    {"unix:/s?db=x", "the database is no number from 0 to 9999"},
};

static void
check_text(const char *is, const char *wanted)
{
    if (wanted == NULL)
        assert_null(is);
    else
        assert_string_equal(is, wanted);
}

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct redis_url url;
        struct err err;
        char *printed;

        if (redis_url_parse(good[i].text, &url, &err) < 0)
            fail_msg("%s: %s", good[i].text, err.msg);
        check_text(url.path, good[i].path);
        check_text(url.host, good[i].host);
        check_text(url.user, good[i].user);
        check_text(url.password, good[i].password);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.database, good[i].database);
        printed = redis_url_print(&url);
        assert_string_equal(printed, good[i].printed);
        free(printed);
        redis_url_clear(&url);
    }
}

static void
test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct redis_url url = {.database = 77};
        struct err err;

        if (redis_url_parse(bad[i].text, &url, &err) != -EINVAL)
            fail_msg("%s was taken", bad[i].text);
        assert_string_equal(err.msg, bad[i].why);
        assert_int_equal(url.database, 77);
    }
}

static void
test_too_long(void **state)
{
    char text[2000];
    struct redis_url url;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "redis://", 8);
    assert_int_equal(redis_url_parse(text, &url, NULL), -EINVAL);
    memcpy(text, "unix:/xx", 8);
    text[800] = '\0';
    assert_int_equal(redis_url_parse(text, &url, NULL), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
