/*
 * Pages: what one host counted in one hour, written, read, and kept by another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/err.h"
#include "policyd/hours_pages.h"
#include "tests/unit/hours_world.h"

#include <errno.h>

#define OTHER "0123456789abcdef"

static const char *const names[TALLIES_NAMES] = {"bulk", "pool", "b1", "one"};

static struct buf told;

static void
tell(void *arg, const struct tallies_cell *cell)
{
    (void)arg;
    buf_printf(&told, "%d", (int)cell->kind);
    for (int i = 0; i < hours_page_names(cell->kind); i++)
        buf_printf(&told, " %s", cell->names[i]);
    for (int i = 0; i < hours_page_counters(cell->kind); i++)
        if (cell->tally.counts[i] > 0)
            buf_printf(&told, " %d=%d", i, (int)cell->tally.counts[i]);
    buf_puts(&told, "; ");
}

static bool
reads(const char *text, size_t length, const char *expected)
{
    char node[HOURS_PAGE_NODE_SIZE];
    bool is = hours_page_read(text, length, node, tell, NULL);

    if (is)
        assert_string_equal(node, "mta2");
    if (expected != NULL)
        assert_string_equal(buf_text(&told), expected);
    buf_clear(&told);
    return is;
}

/* What is written is read. */
static void
test_written(void **state)
{
    static const char *const odd[] = {"a b:\n", "", ""};
    struct tally tally = {{[TALLY_SENT] = 7, [TALLY_COUNTERS - 1] = 7}};
    struct hours_page page;

    (void)state;
    hours_page_begin(&page, "mta2");
    hours_page_add(&page, TALLIES_MAIL, names, &tally);
    hours_page_add(&page, TALLIES_ACCOUNTS, odd, &tally);
    hours_page_add(&page, TALLIES_SUSPENDED, names, &(struct tally){{60000}});
    hours_page_end(&page);
    assert_true(reads(page.text.data, page.text.length,
                      "0 bulk pool b1 one 0=7 46=7; 1 a b:\n   0=7 46=7; 2 bulk pool 0=60000; "));
    for (size_t i = 0; i < page.text.length; i++) { /* never past the end; at a row's end: less */
        char *part = mem_strndup(page.text.data, i);
        bool whole = i > 0 && part[i - 1] == '\n' && (i == page.text.length || i < 20);

        if (reads(part, i, NULL) && !whole)
            assert_int_equal(part[i - 1], '\n');
        free(part);
    }
    hours_page_clear(&page);
}

/* What is not written so is no page. */
static void
test_no_page(void **state)
{
    static const char *const texts[] = {
        "",
        "postpool-hour 1 mta2",
        "postpool-hour 1 \n",
        "postpool-hour 2 mta2\n",
        "postpool-hour 1 mt a2\n",
        "postpool-hour 1 mta2\n\n",
        "postpool-hour 1 mta2\nx1:a\n",
        "postpool-hour 1 mta2\ns1:a1:b 0=1",
        "postpool-hour 1 mta2\ns1:a1:b 1=1\n",
        "postpool-hour 1 mta2\ns1:a1:b 0=-1\n",
        "postpool-hour 1 mta2\ns1:a1:b 0=9999999999999999999999\n",
        "postpool-hour 1 mta2\ns1:a9:b 0=1\n",
        "postpool-hour 1 mta2\ns1:a256:b 0=1\n",
        "postpool-hour 1 mta2\ns:a1:b 0=1\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (reads(texts[i], strlen(texts[i]), NULL))
            fail_msg("%s", texts[i]);
    assert_false(reads("postpool-hour 1 mta2\ns1:\0"
                       "1:b 0=1\n",
                       33, NULL));
    assert_true(reads("postpool-hour 1 mta2\ns1:a1:b 0=1\n", 33, "2 a b 0=1; "));
}

static void
count_rows(void *arg, const struct tallies_cell *cell)
{
    uint64_t *sums = arg;

    sums[cell->kind] += cell->tally.counts[TALLY_SENT];
    sums[TALLIES_KINDS]++;
}

/* A page is bounded, and the sums in it are right. */
static void
test_bounds(void **state)
{
    static char longest[256];
    uint64_t sums[TALLIES_KINDS + 1] = {0};
    char node[HOURS_PAGE_NODE_SIZE];
    struct tally full;
    struct hours_page page;

    (void)state;
    memset(longest, 'x', 255);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        full.counts[i] = UINT64_MAX;
    hours_page_begin(&page, "mta2");
    for (int kind = 0; kind < TALLIES_KINDS; kind++)
        for (int i = 0; i < 5000; i++) {
            const char *const long_names[] = {longest, longest, longest, longest};

            hours_page_add(&page, (enum tallies_kind)kind, i < 10 ? long_names : names,
                           i == 0 ? &full : &(struct tally){{[TALLY_SENT] = 1}});
        }
    hours_page_end(&page);
    assert_true(page.text.length <= HOURS_PAGE_MAX);
    assert_int_equal(page.rows[TALLIES_MAIL], HOURS_PAGE_MAIL);
    assert_int_equal(page.merged[TALLIES_MAIL], 5000 - HOURS_PAGE_MAIL);
    assert_int_equal(page.merged[TALLIES_ACCOUNTS], 5000 - HOURS_PAGE_ACCOUNTS);
    assert_true(hours_page_read(page.text.data, page.text.length, node, count_rows, sums));
    for (int kind = 0; kind < TALLIES_KINDS; kind++)
        assert_int_equal(sums[kind], (UINT64_C(1) << 40) + 4999);
    assert_int_equal(sums[TALLIES_KINDS], HOURS_PAGE_MAIL + HOURS_PAGE_ACCOUNTS +
                                              HOURS_PAGE_SUSPENDED + HOURS_PAGE_UNMET +
                                              TALLIES_KINDS);
    hours_page_clear(&page);
}

/* ---------------------------------------------------------------- in the file */

static int64_t left;

/* "480001:3 " for each that is shown, the newest first, as of now. */
static void
assert_shown(const char *expected)
{
    struct hours_version version = {INT64_MAX, 0};
    struct buf text = {0};
    struct hours_page page;

    while (hours_pages_next(hours_world.file, "mta1", version.hour, &version, &page, &left, NULL) ==
           1) {
        buf_printf(&text, "%d:%d ", (int)(version.hour - HOUR), (int)version.version);
        assert_int_equal(hours_pages_shown(hours_world.file, &version, NULL), 0);
        hours_page_clear(&page);
    }
    assert_string_equal(buf_text(&text), expected);
    buf_clear(&text);
}

static void
send(int64_t hour, int count)
{
    if (hours_world.batch == NULL)
        hours_world_begin();
    hours_world_mail(hour, "bulk", "pool", "b1", "one")->counts[TALLY_SENT] += (uint64_t)count;
    hours_world_account(hour, "a.test", "bulk", "pool")->counts[TALLY_SENT] += (uint64_t)count;
    hours_world_commit();
}

/* What changed is shown, newest first and once; what is not there any more, again. */
static void
test_changes(void **state)
{
    struct hours_version there[] = {{HOUR + 1, 2}, {HOUR, 3}, {5, 5}};

    (void)state;
    assert_shown("");
    send(HOUR, 1);
    assert_shown("0:2 ");
    assert_shown("");
    send(HOUR, 1);
    send(HOUR + 1, 1);
    assert_shown("1:4 0:3 ");
    hours_world_reopen();
    assert_shown("");
    assert_int_equal(hours_pages_compare(hours_world.file, there, 3, NULL), 0);
    assert_shown("1:4 "); /* another version is there, and it is the newest */
    there[0] = (struct hours_version){HOUR + 1, 4};
    there[1] = (struct hours_version){HOUR, 3};
    assert_int_equal(hours_pages_compare(hours_world.file, there, 2, NULL), 0);
    assert_shown("1:4 "); /* always the newest */
    assert_int_equal(hours_pages_compare(hours_world.file, there, 0, NULL), 0);
    assert_shown("1:4 0:3 ");
}

static struct hours_page
page_of(const char *node, int sent)
{
    struct tally tally = {{[TALLY_SENT] = (uint64_t)sent}};
    struct hours_page page;

    hours_page_begin(&page, node);
    hours_page_add(&page, TALLIES_MAIL, (const char *const[]){"bulk", "pool", "b2", "one"}, &tally);
    hours_page_add(&page, TALLIES_ACCOUNTS, (const char *const[]){"c.test", "bulk", "pool"},
                   &tally);
    hours_page_add(&page, TALLIES_SUSPENDED, (const char *const[]){"b1", ""},
                   &(struct tally){{5000}});
    hours_page_add(&page, TALLIES_UNMET, (const char *const[]){"bulk", "one_click"}, &tally);
    hours_page_end(&page);
    return page;
}

static bool
take(const char *id, int64_t hour, int64_t version, const char *node, int sent)
{
    struct hours_page page = page_of(node, sent);
    bool odd;
    struct err err;

    if (hours_pages_take(hours_world.file, id, &(struct hours_version){hour, version},
                         page.text.data, page.text.length, &odd, &err) < 0)
        fail_msg("%s", err.msg);
    hours_page_clear(&page);
    return !odd;
}

static void
assert_sent(enum hours_by by, const char *expected)
{
    struct hours_sums sums = hours_world_sums_of(by, 0, INT64_MAX);
    struct buf text = {0};

    for (size_t i = 0; i < sums.count; i++)
        buf_printf(&text, "%s=%d/%d ", sums.items[i].name,
                   (int)sums.items[i].tally.counts[TALLY_SENT], (int)sums.items[i].suspended_ms);
    assert_string_equal(buf_text(&text), expected);
    buf_clear(&text);
    hours_sums_clear(&sums);
}

static void
collect(void *arg, const char *node)
{
    (void)arg;
    buf_printf(&told, "%s ", node);
}

static void
on_pair(void *arg, const char *first, const char *second, uint64_t count)
{
    (void)arg;
    buf_printf(&told, "%s/%s=%d ", first, second, (int)count);
}

static void
assert_unmet(const char *node, const char *expected)
{
    const struct hours_scope scope = {0, INT64_MAX, "mta1", node};

    assert_int_equal(
        hours_sums_pairs(hours_world.file, HOURS_STREAM_UNMET, &scope, on_pair, NULL, NULL), 0);
    assert_string_equal(buf_text(&told), expected);
    buf_clear(&told);
}

/* What messages miss is shown to other hosts, and counts together with theirs. */
static void
test_unmet(void **state)
{
    struct hours_version version;
    struct hours_page page;

    (void)state;
    hours_world_unmet(HOUR, "bulk", "one_click")->counts[0] = 7;
    hours_world_unmet(HOUR, "bulk", "one_from")->counts[0] = 100;
    send(HOUR, 1);
    assert_true(take(OTHER, HOUR, 1, "mta2", 10));
    assert_true(take(OTHER, HOUR, 2, "mta2", 20));
    assert_unmet(NULL, "bulk/one_from=100 bulk/one_click=27 ");
    assert_unmet("mta1", "bulk/one_from=100 bulk/one_click=7 ");
    assert_unmet("mta2", "bulk/one_click=20 ");
    assert_int_equal(
        hours_pages_next(hours_world.file, "mta1", INT64_MAX, &version, &page, &left, NULL), 1);
    assert_string_equal(buf_text(&page.text), "postpool-hour 1 mta1\n"
                                              "m4:bulk4:pool2:b13:one 0=1\n"
                                              "a6:a.test4:bulk4:pool 0=1\n"
                                              "u4:bulk8:one_from 0=100\n"
                                              "u4:bulk9:one_click 0=7\n");
    hours_page_clear(&page);
}

/* Sums are of all hosts, or of one; a page replaces the one before. */
static void
test_sums(void **state)
{
    (void)state;
    *hours_world_suspended(HOUR, "b1", NULL) = (struct tally){{8000}};
    send(HOUR, 1);
    assert_true(take(OTHER, HOUR, 1, "mta2", 10));
    assert_true(take(OTHER, HOUR, 2, "mta2", 20));
    assert_true(take(OTHER, HOUR + 1, 2, "mta2", 5));
    assert_sent(HOURS_BY_ADDRESS, "b2=25/0 b1=1/13000 "); /* the longer one of an hour */
    assert_sent(HOURS_BY_ACCOUNT, "c.test=25/0 a.test=1/0 ");
    assert_sent(HOURS_BY_NODE, "mta2=25/0 mta1=1/0 ");
    hours_world.node = "mta1";
    assert_sent(HOURS_BY_ADDRESS, "b1=1/8000 ");
    hours_world.node = "mta2";
    assert_sent(HOURS_BY_ADDRESS, "b2=25/0 b1=0/10000 ");
    hours_world.node = "mta3";
    assert_sent(HOURS_BY_ADDRESS, "");
    hours_world.node = NULL;
    assert_true(take("fedcba9876543210", HOUR, 1, "mta1", 100)); /* of a file that it lost */
    hours_world_reopen();
    assert_sent(HOURS_BY_NODE, "mta1=101/0 mta2=25/0 ");
    hours_pages_nodes(hours_world.file, 0, INT64_MAX, collect, NULL, NULL);
    assert_string_equal(buf_text(&told), "mta1 mta2 ");
    buf_clear(&told);
}

/* What is no page changes nothing, and is not wanted again; likewise what is gone. */
static void
test_odd(void **state)
{
    static const char half[] = "postpool-hour 1 mta2\nm4:bulk4:pool2:b91:x 0=9\nm4";
    struct hours_version there[4];
    size_t count = 4;
    bool odd;

    (void)state;
    assert_true(take(OTHER, HOUR, 1, "mta2", 10));
    assert_int_equal(hours_pages_take(hours_world.file, OTHER, &(struct hours_version){HOUR, 2},
                                      half, strlen(half), &odd, NULL),
                     0);
    assert_true(odd);
    assert_int_equal(hours_pages_take(hours_world.file, OTHER, &(struct hours_version){HOUR + 1, 2},
                                      NULL, 0, &odd, NULL),
                     0);
    assert_false(odd);
    assert_sent(HOURS_BY_NODE, "mta2=10/0 ");
    there[0] = (struct hours_version){HOUR, 2};
    there[1] = (struct hours_version){HOUR + 1, 2};
    there[2] = (struct hours_version){HOUR + 2, 2};
    there[3] = (struct hours_version){HOUR - 9, 2};
    assert_int_equal(hours_pages_wanted(hours_world.file, OTHER, HOUR - 8, there, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(there[0].hour, HOUR + 2);
}

/* Old hours of others go with those of this host, and are not fetched again. */
static void
test_trimmed(void **state)
{
    struct hours_version there[] = {{HOUR, 1}, {HOUR + 3, 1}, {HOUR + 1, 1}};
    size_t count = 3;

    (void)state;
    send(HOUR + 2, 1);
    assert_true(take(OTHER, HOUR, 1, "mta2", 10));
    hours_world.limits.rows = 3;
    assert_int_equal(
        hours_file_trim(hours_world.file, &hours_world.limits, HOUR * INT64_C(3600000), NULL), 1);
    assert_sent(HOURS_BY_NODE, "mta1=1/0 ");
    assert_int_equal(hours_pages_wanted(hours_world.file, OTHER, 0, there, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(there[0].hour, HOUR + 3); /* the newest first */
    assert_int_equal(there[1].hour, HOUR + 1);
}

static void
test_id(void **state)
{
    char id[HOURS_ID_SIZE];

    (void)state;
    strcpy(id, hours_pages_id(hours_world.file));
    assert_true(hours_pages_is_id(id, strlen(id)));
    hours_world_reopen();
    assert_string_equal(hours_pages_id(hours_world.file), id);
    assert_false(hours_pages_is_id("0123456789abcdeX", 16));
    assert_false(hours_pages_is_id("0123", 4));
}

static int
run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_no_page),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test_setup_teardown(test_changes, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_unmet, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_sums, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_odd, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_trimmed, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_id, hours_world_setup, hours_world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
    return hours_world_run(run);
}
