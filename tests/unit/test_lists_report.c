/*
 * What is told of DNS lists, when there is more than fits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/lists_inside.h"

enum { ADDRESSES = 3000 };

/* How often does text stand in all? */
static size_t
times(const char *all, const char *text)
{
    size_t count = 0;

    for (const char *at = all; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* A last list has the only address that is listed, and clear ones of the first would fill it all.
 */
static void
test_listed_are_told(void **state)
{
    static char names[2][2] = {"x", "y"};
    struct dnslist known[2] = {{.name = names[0], .zone = names[0]},
                               {.name = names[1], .zone = names[1]}};
    static char name[] = "a1";
    struct address address = {.name = name};
    const struct address *addresses[ADDRESSES];
    struct survey_address *found;
    struct asked_list items[2];
    struct lists lists = {
        .addresses = addresses, .address_count = ADDRESSES, .items = items, .count = 2};
    struct ip *ips = mem_array(ADDRESSES, sizeof(*ips));
    struct buf text = {0};
    struct json json = {.out = &text};

    (void)state;
    for (size_t i = 0; i < ADDRESSES; i++) {
        addresses[i] = &address;
        ips[i].family = 4;
    }
    for (size_t i = 0; i < 2; i++) {
        items[i] = (struct asked_list){.lists = &lists, .list = &known[i]};
        items[i].survey = survey_new(&known[i], ips, ADDRESSES, NULL, NULL);
        for (size_t j = 0; j < ADDRESSES; j++) {
            found = (struct survey_address *)survey_address(items[i].survey, j);
            found->finding = SURVEY_CLEAR;
        }
    }
    found = (struct survey_address *)survey_address(items[1].survey, ADDRESSES - 1);
    found->finding = SURVEY_LISTED;
    lists_print(&lists, NULL, &json);
    assert_int_equal(times(buf_text(&text), "\"state\":\"listed\""), 1);
    assert_int_equal(times(buf_text(&text), "\"state\":\"clear\""), LISTS_ROWS_MAX - 1);
    assert_int_equal(times(buf_text(&text), "\"omitted\":2000"), 1);
    buf_clear(&text);
    lists_print(&lists, &text, NULL);
    assert_int_equal(times(buf_text(&text), "LISTED"), 1);
    assert_int_equal(times(buf_text(&text), "\nand 2000 more\n"), 1);
    buf_clear(&text);
    for (size_t i = 0; i < 2; i++)
        survey_free(items[i].survey);
    free(ips);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listed_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
