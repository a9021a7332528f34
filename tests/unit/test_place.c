/*
 * Places in logs: as text and back, and which of two is behind the other.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "policyd/place.h"

#define ID "977de309324440418f4bdbbd61cfb6e8"

static const char *const texts[] = {
    "",
    "file 1234567890123 98765 fedcba9876543210",
    "journal s=" ID ";i=2af;b=00000000000000000000000000000001;m=a;t=66135e61b9db7;x=420a",
    "pipe",
    "pipe 1:2:0 ffffffffffffffff:18446744073709551615:32767",
    "pipe 1:1:0 2:1:0 3:1:0 4:1:0",
};

static void
test_text(void **state)
{
    static const char *const odd[] = {
        "file",     "file 1 2",     "file 1 2 3 4", "file x 2 3",
        "journal",  "journal ",     "pipe 1",       "pipe 0:1:0",
        "pipe 1:1", "pipe 1:1:0 x", "files 1 2 3",  "pipe 1:1:0 2:1:0 3:1:0 4:1:0 5:1:0",
    };
    struct place place, before = {.kind = PLACE_PIPE};
    char text[PLACE_TEXT_SIZE], longest[400];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(place_parse(texts[i], &place));
        place_print(&place, text);
        assert_string_equal(text, texts[i]);
    }
    for (size_t i = 0; i < COUNT(odd); i++) {
        place = before;
        assert_false(place_parse(odd[i], &place));
        assert_memory_equal(&place, &before, sizeof(place));
    }
    snprintf(longest, sizeof(longest), "journal %0*d", SYSJOURNAL_CURSOR_SIZE - 1, 0);
    assert_true(place_parse(longest, &place));
    place_print(&place, text);
    assert_string_equal(text, longest);
    snprintf(longest, sizeof(longest), "journal %0*d", SYSJOURNAL_CURSOR_SIZE, 0);
    assert_false(place_parse(longest, &place));
}

static void
test_reached(void **state)
{
    static const struct {
        const char *place, *reached;
        bool has;
    } cases[] = {
        {"", "", true},
        {"file 1 10 a", "file 1 10 b", true},
        {"file 1 11 a", "file 1 10 a", true},
        {"file 1 9 a", "file 1 10 a", false},
        {"file 2 11 a", "file 1 10 a", false},
        {"file 1 10 a", "", false},
        {"file 1 10 a", "pipe", false},
        {"journal s=" ID ";i=100;b=1", "journal s=" ID ";i=ff;b=2", true},
        {"journal s=" ID ";i=ff", "journal s=" ID ";i=ff", true},
        {"journal s=" ID ";i=fe;b=1", "journal s=" ID ";i=ff;b=1", false},
        {"journal s=0;i=fff;b=1", "journal s=" ID ";i=ff;b=1", false},
        {"journal nonsense", "journal nonsense", false},
        {"pipe 1:5:0", "pipe 1:5:0", true},
        {"pipe 2:1:0 1:6:0", "pipe 1:5:9", true},
        {"pipe 1:5:8", "pipe 1:5:9", false},
        {"pipe 1:4:10", "pipe 1:5:9", false},
        {"pipe 1:5:0", "pipe 1:5:0 2:1:0", false},
        {"pipe 1:5:0", "pipe", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct place place, reached;

        assert_true(place_parse(cases[i].place, &place));
        assert_true(place_parse(cases[i].reached, &reached));
        if (place_has_reached(&place, &reached) != cases[i].has)
            fail_msg("%s | %s", cases[i].place, cases[i].reached);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
