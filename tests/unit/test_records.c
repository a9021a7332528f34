/*
 * Records in the store of one host, through its interface: versions, what is
 * there at the start, and how many there can be.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/record.h"
#include "policyd/sqlite_file.h"
#include "policyd/sqlite_records.h"
#include "policyd/store.h"

#include <event2/event.h>
#include <unistd.h>

static char folder[] = "/tmp/postpool-test-XXXXXX";
static char path[64];

/* What the owner of the store was told. */
struct world {
    struct event_base *base;
    struct conf *conf;
    struct store *store;
    char told[4000]; /* a line for each event */
    uint64_t version;
    int puts, records;
};

static void
tell(struct world *w, const char *what, const char *key, const void *bytes, size_t length)
{
    size_t used = strlen(w->told);

    snprintf(w->told + used, sizeof(w->told) - used, "%s %s %.*s\n", what, key, (int)length,
             length > 0 ? (const char *)bytes : "");
}

static void
on_put(void *arg, const char *key, bool written, uint64_t version, const void *bytes, size_t length)
{
    struct world *w = arg;

    tell(w, written ? "written" : "refused", key, bytes, length);
    assert_int_equal(version == 0, length == 0);
    w->version = version;
    w->puts++;
}

static void
on_record(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct world *w = arg;

    tell(w, "record", key, bytes, length);
    w->version = version;
}

static void
on_records(void *arg)
{
    ((struct world *)arg)->records++;
}

static void
ignore_up(void *arg, bool up)
{
    (void)arg;
    (void)up;
}

static void
world_open(struct world *w)
{
    struct store_events events = {.on_up = ignore_up,
                                  .on_put = on_put,
                                  .on_record = on_record,
                                  .on_records = on_records,
                                  .arg = w};
    struct err err;

    w->told[0] = '\0';
    w->records = 0;
    if (store_open(w->base, w->conf, &events, &w->store, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(w->records, 0); /* from the loop */
    while (w->records == 0)
        event_base_loop(w->base, EVLOOP_ONCE);
}

static void
put(struct world *w, const char *key, uint64_t version, const char *text)
{
    int before = w->puts;

    store_put(w->store, key, version, text, strlen(text));
    assert_int_equal(w->puts, before);
    while (w->puts == before)
        event_base_loop(w->base, EVLOOP_ONCE);
}

static void
says(struct world *w, const char *expected)
{
    assert_string_equal(w->told, expected);
    w->told[0] = '\0';
}

static int
set_up(void **state)
{
    static struct world w;
    char *text;

    if (path[0] == '\0' && mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/state.db", folder);
    unlink(path);
    w = (struct world){.base = event_base_new()};
    text = mem_printf("%s store: { path = \"%s\"; };\n", unit_site, path);
    w.conf = unit_conf(text);
    free(text);
    *state = &w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    conf_unref(w->conf);
    event_base_free(w->base);
    unlink(path);
    return 0;
}

static void
test_versions(void **state)
{
    struct world *w = *state;
    uint64_t first, second;

    world_open(w);
    says(w, "");
    put(w, "a", 0, "one");
    first = w->version;
    says(w, "written a one\n");
    put(w, "a", 0, "again"); /* it is there */
    says(w, "refused a one\n");
    assert_true(w->version == first);
    put(w, "a", first, "two");
    second = w->version;
    assert_true(second > first);
    says(w, "written a two\n");
    put(w, "a", first, "late");
    says(w, "refused a two\n");
    put(w, "a", first, ""); /* nor is it removed */
    says(w, "refused a two\n");
    put(w, "b", second, "what is not there has version 0");
    says(w, "refused b \n");
    assert_true(w->version == 0);
    store_close(w->store);
}

static void
test_kept(void **state)
{
    struct world *w = *state;
    uint64_t version;

    world_open(w);
    put(w, "a", 0, "one");
    put(w, "b", 0, "two");
    version = w->version;
    store_close(w->store);
    world_open(w);
    says(w, "record a one\nrecord b two\n");
    assert_true(w->version == version);
    put(w, "b", version, "");
    says(w, "written b \n");
    put(w, "b", 0, "three");
    assert_true(w->version > version); /* another than the one that somebody may know */
    store_put(w->store, "a", 1, "nobody hears of it", 5);
    store_close(w->store);
    world_open(w);
    says(w, "record a one\nrecord b three\n");
    store_close(w->store);
}

/* Each may be NULL. */
static void
test_nobody_listens(void **state)
{
    struct world *w = *state;
    struct store_events events = {.on_up = ignore_up};
    struct err err;

    world_open(w);
    put(w, "a", 0, "one");
    store_close(w->store);
    assert_int_equal(store_open(w->base, w->conf, &events, &w->store, &err), 0);
    store_put(w->store, "b", 0, "two", 3);
    event_base_loop(w->base, EVLOOP_ONCE);
    store_close(w->store);
    world_open(w);
    says(w, "record a one\nrecord b two\n");
    store_close(w->store);
}

static void
test_bounds(void **state)
{
    struct sqlite_records records = {0};
    struct sqlite_file *file;
    struct record_put *one;
    static char large[STORE_RECORD_MAX + 1];
    struct record record = {7, large, sizeof(large)};
    struct err err;
    char key[32];

    (void)state;
    assert_int_equal(sqlite_file_open(path, &file, &err), 0);
    assert_int_equal(sqlite_file_record_save(file, "too large", &record, NULL), 0);
    assert_int_equal(sqlite_file_begin(file, NULL), 0);
    record.length = 1;
    for (int i = 1; i < STORE_RECORDS_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(sqlite_file_record_save(file, key, &record, NULL), 0);
    }
    assert_int_equal(sqlite_file_commit(file, 1000000, NULL), 0);
    assert_int_equal(sqlite_records_load(&records, file, NULL), 0);
    assert_int_equal(records.all_count, STORE_RECORDS_MAX - 1);
    sqlite_records_clear(&records);

    one = record_put_new("more", 0, "x", 1); /* no room */
    assert_int_equal(sqlite_records_put(&records, file, one, 1000, NULL), 0);
    assert_true(!one->written && one->full);
    record_put_free(one);
    one = record_put_new("1", 7, "x", 1); /* it is there already */
    assert_int_equal(sqlite_records_put(&records, file, one, 1000, NULL), 0);
    assert_true(one->written && one->there.version == 1000);
    record_put_free(one);
    one = record_put_new("2", 7, NULL, 0);
    assert_int_equal(sqlite_records_put(&records, file, one, 1000, NULL), 0);
    assert_true(one->written && one->there.version == 0);
    record_put_free(one);
    sqlite_records_undone(&records); /* as if: it is counted anew */
    one = record_put_new("more", 0, "x", 1);
    assert_int_equal(sqlite_records_put(&records, file, one, 1000, NULL), 0);
    assert_true(one->written && one->there.version == 1002);
    record_put_free(one);
    sqlite_file_close(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    rmdir(folder);
    return failed;
}
