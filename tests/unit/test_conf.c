/*
 * Reading the configuration: what is taken, what is refused and in what words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/require.h"
#include "engine/snapshot.h"
#include "engine/week.h"
#include "engine/zone.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The parts of the smallest configuration. */
#define ADDRESSES "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
#define POOLS "pools: { p = { addresses = ( \"a1\" ); }; };\n"
#define STREAMS "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"

static void
test_values(void **state)
{
    struct conf *conf = unit_conf(
        ADDRESSES
        "pools: { p = { addresses = ( { name = \"a1\"; weight = 2.5; } ); concurrency = 3; "
        "rate_delay = "
        "\"2s\"; recipient_limit = 4; tls = \"may\"; }; };\n" STREAMS
        "node = \"mta1\"; watchdog = \"2s\"; bypass = ( \"B.test\", \"a.test\" );\n"
        "listen: { mode = \"0600\"; clients = 7; }; milter: { strip = ( \"X-A\", \"X-B\" ); };\n");
    const struct pool *pool = snapshot_find_pool(conf->snapshot, "p");

    (void)state;
    assert_string_equal(conf->node, "mta1");
    assert_int_equal(conf->watchdog_ms, 2000);
    assert_int_equal(conf->listen_mode, 0600);
    assert_int_equal(conf->clients, 7);
    assert_int_equal(conf->strip.count, 2);
    assert_int_equal(conf->internal_count, 2); /* the default: loopback */
    assert_string_equal(conf->stream_header, "X-Postpool-Stream");
    assert_true(pool->members[0].weight == 2.5);
    assert_int_equal(pool->concurrency, 3);
    assert_int_equal(pool->rate_delay_s, 2);
    assert_int_equal(pool->recipient_limit, 4);
    assert_string_equal(pool->tls, "may");
    assert_int_equal(conf->snapshot->addresses[0].maxproc, 20);
    assert_ptr_equal(conf->snapshot->addresses[0].of, pool);
    assert_true(snapshot_is_bypass(conf->snapshot, "b.test"));
    conf_unref(conf);
}

/* Beside the store's file, unless it is said where; and what a stream's kind is. */
static void
test_figures(void **state)
{
    struct conf *conf = unit_conf(ADDRESSES POOLS STREAMS "store: { path = \"/a/b/c.db\"; };\n");

    (void)state;
    assert_string_equal(conf->figures_path, "/a/b/figures.db");
    assert_int_equal(conf->figures_keep_ms, INT64_C(90) * 24 * 3600 * 1000);
    assert_int_equal(conf->figures_thin, 2000);
    assert_int_equal(conf->figures_most, 50);
    conf_unref(conf);
    conf = unit_conf(
        ADDRESSES POOLS
        "streams: ( { name = \"default\"; pool = \"p\"; kind = \"bulk\"; match = (); } );\n"
        "figures: { path = \"none\"; keep = \"1d\"; };\n");
    assert_string_equal(conf->figures_path, "none");
    assert_int_equal(conf->figures_keep_ms, INT64_C(24) * 3600 * 1000);
    assert_string_equal(conf->snapshot->streams[0].kind, "bulk");
    conf_unref(conf);
}

/* When mail of a stream leaves, and when it is too late. */
static void
test_times_of_a_stream(void **state)
{
    struct conf *conf =
        unit_conf(ADDRESSES POOLS
                  "streams: ( { name = \"x\"; pool = \"p\"; hours = \"mon 10:00-12:00\";\n"
                  "             time_zone = \"CET-1CEST,M3.5.0,M10.5.0/3\"; deadline = \"10m\";\n"
                  "             slo = \"30s\"; slo_share = 95;\n"
                  "             match = ( { sender = \"*@a.test\"; } ); },\n"
                  "           { name = \"default\"; pool = \"p\"; match = (); } );\n");
    const struct stream *stream = &conf->snapshot->streams[0];
    int64_t until_s;

    (void)state;
    assert_int_equal(stream->hours->count, 1);
    assert_int_equal(stream->hours->ranges[0].from, 600);
    assert_int_equal(zone_offset_s(stream->zone, 1795132800, &until_s), 3600);
    assert_int_equal(stream->deadline_ms, 600 * 1000);
    assert_int_equal(stream->slo_ms, 30 * 1000);
    assert_int_equal(stream->slo_share, 95);
    stream++;
    assert_null(stream->hours);
    assert_int_equal(stream->deadline_ms, 0);
    assert_int_equal(stream->slo_ms, 0);
    assert_int_equal(stream->slo_share, 99);
    conf_unref(conf);
}

static void
test_streams(void **state)
{
    struct conf *conf =
        unit_conf(ADDRESSES POOLS
                  "streams: ( { name = \"x\"; pool = \"p\"; priority = -3; active = 0;\n"
                  "             require = ( \"one_from\", \"one_click\", \"one_from\" );\n"
                  "             unmet = \"reject\"; match = ( { sender = \"*@a.test\"; } ); },\n"
                  "           { name = \"default\"; pool = \"p\"; match = (); } );\n"
                  "wake: { rate = 7; config_directory = \"/etc/postfix-out\"; };\n");
    const struct stream *streams = conf->snapshot->streams;

    (void)state;
    assert_int_equal(streams[0].priority, -3);
    assert_int_equal(streams[0].active, 0);
    assert_int_equal(streams[1].priority, 0);
    assert_int_equal(streams[1].active, 5000);
    assert_int_equal(streams[0].require,
                     REQUIRE_BIT(REQUIRE_ONE_FROM) | REQUIRE_BIT(REQUIRE_ONE_CLICK));
    assert_int_equal(streams[0].unmet, UNMET_REJECT);
    assert_int_equal(streams[1].require, 0);
    assert_int_equal(streams[1].unmet, UNMET_WARN);
    assert_int_equal(conf->snapshot->require, streams[0].require);
    assert_int_equal(conf->wake_rate, 7);
    assert_int_equal(conf->wake_processes, 4);
    assert_int_equal(conf->wake_timeout_ms, 10 * 1000);
    assert_string_equal(conf->wake_postqueue, "/usr/sbin/postqueue");
    assert_string_equal(conf->wake_config_directory, "/etc/postfix-out");
    conf_unref(conf);
}

static void
test_lists(void **state)
{
    struct conf *conf = unit_conf(ADDRESSES POOLS STREAMS
                                  "lists: ( { zone = \"Zen.Test.\"; },\n"
                                  "         { name = \"own\"; zone = \"own.test\"; codes = ( "
                                  "\"127.0.0.2\", \"127.0.1.0/24\" );\n"
                                  "           action = \"suspend\"; every = \"10m\"; } );\n");

    (void)state;
    assert_int_equal(conf->list_count, 2);
    assert_string_equal(conf->lists[0].zone, "zen.test");
    assert_string_equal(conf->lists[0].name, "zen.test");
    assert_int_equal(conf->lists[0].code_count, 1);
    assert_int_equal(conf->lists[0].codes[0].prefix, 8);
    assert_int_equal(conf->lists[0].action, DNSLIST_REPORT);
    assert_int_equal(conf->lists[0].every_ms, 3600 * 1000);
    assert_string_equal(conf->lists[1].name, "own");
    assert_int_equal(conf->lists[1].code_count, 2);
    assert_int_equal(conf->lists[1].codes[1].prefix, 24);
    assert_int_equal(conf->lists[1].action, DNSLIST_SUSPEND);
    assert_int_equal(conf->lists[1].every_ms, 600 * 1000);
    conf_unref(conf);
}

/* A rung's own ladder follows it, and each pool stands on a ladder once. */
static void
test_ladder(void **state)
{
    struct conf *conf =
        unit_conf("addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
                  "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\", \"s\" ); }; q = { "
                  "addresses = ( \"a1\" ); overflow = ( "
                  "\"r\" ); }; r = { addresses = ( \"a1\" ); overflow = ( \"s\" ); }; s = { "
                  "addresses = ( \"a1\" ); }; };\n" STREAMS);
    const struct pool *pool = snapshot_find_pool(conf->snapshot, "p");

    (void)state;
    assert_int_equal(pool->overflow_count, 3);
    assert_string_equal(pool->overflow[0]->name, "q");
    assert_string_equal(pool->overflow[1]->name, "r");
    assert_string_equal(pool->overflow[2]->name, "s");
    conf_unref(conf);
}

static void
collect(void *arg, const char *line)
{
    buf_printf(arg, "%s\n", line);
}

static void
test_diff(void **state)
{
    struct conf *before = unit_conf(ADDRESSES POOLS STREAMS "node = \"x\";");
    struct conf *after =
        unit_conf("addresses: { a1 = { ip = \"192.0.2.9\"; helo = \"a1.test\"; }; a2 = { ip = "
                  "\"192.0.2.2\"; helo = \"a2.test\"; }; };\n"
                  "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n" STREAMS);
    struct buf text = {0};

    (void)state;
    assert_int_equal(conf_diff(before, after, collect, &text), 5);
    assert_string_equal(buf_text(&text),
                        "~ addresses.a1.ip = \"192.0.2.9\" (was \"192.0.2.1\")\n"
                        "+ addresses.a2.helo = \"a2.test\"\n"
                        "+ addresses.a2.ip = \"192.0.2.2\"\n"
                        "- node = \"x\"\n"
                        "~ pools.p.addresses = ( \"a1\", \"a2\" ) (was ( \"a1\" ))\n");
    assert_int_equal(conf_diff(before, before, collect, &text), 0);
    buf_clear(&text);
    conf_unref(before);
    conf_unref(after);
}

/* So many addresses beside a1, pools beside p, and streams beside default. */
static struct conf *
conf_of_many(int addresses, int pools, int streams)
{
    struct buf text = {0};
    struct conf *conf;

    buf_puts(&text, "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n");
    for (int i = 1; i <= addresses; i++)
        buf_printf(&text, "b%d = { ip = \"198.51.100.%d\"; helo = \"b.test\"; };\n", i, i);
    buf_puts(&text, "};\npools: { p = { addresses = ( \"a1\" ); };\n");
    for (int i = 1; i <= pools; i++)
        buf_printf(&text, "q%d = { addresses = ( \"a1\" ); };\n", i);
    buf_puts(&text, "};\nstreams: (");
    for (int i = 1; i <= streams; i++)
        buf_printf(&text,
                   "{ name = \"s%d\"; pool = \"p\"; match = ( { sender = \"*@x.test\"; } ); },\n",
                   i);
    buf_puts(&text, "{ name = \"default\"; pool = \"p\"; match = (); } );\n");
    conf = unit_conf(buf_text(&text));
    buf_clear(&text);
    return conf;
}

static void
assert_short(struct conf *before, struct conf *after, size_t count, const char *wanted)
{
    struct buf text = {0};

    assert_int_equal(conf_diff_short(before, after, collect, &text), count);
    assert_string_equal(buf_text(&text), wanted);
    buf_clear(&text);
    conf_unref(before);
    conf_unref(after);
}

static void
test_diff_in_few_lines(void **state)
{
    (void)state;
    assert_short(conf_of_many(1, 1, 0), conf_of_many(1, 1, 0), 0, "");
    assert_short(conf_of_many(0, 1, 0), conf_of_many(1, 0, 0), 3,
                 "+ addresses.b1.helo = \"b.test\"\n"
                 "+ addresses.b1.ip = \"198.51.100.1\"\n"
                 "- pools.q1.addresses = ( \"a1\" )\n");
    assert_short(conf_of_many(0, 1, 0), conf_of_many(10, 0, 0), 21,
                 "+ addresses: 10 members, 20 settings\n"
                 "- pools.q1.addresses = ( \"a1\" )\n");
    assert_short(conf_of_many(0, 0, 5), conf_of_many(1, 0, 0), 23,
                 "+ addresses.b1: 2 settings\n"
                 "~ streams = ( default ) (was ( s1, s2, s3, s4, s5, default ))\n"
                 "- streams.s1: 4 settings\n- streams.s2: 4 settings\n- streams.s3: 4 settings\n"
                 "- streams.s4: 4 settings\n- streams.s5: 4 settings\n");
    assert_short(conf_of_many(0, 0, 9), conf_of_many(0, 0, 0), 37,
                 "~ streams: 9 members, 37 settings\n");
    assert_short(conf_of_many(8, 0, 0), conf_of_many(0, 8, 6), 49,
                 "- addresses.b1: 2 settings\n- addresses.b2: 2 settings\n"
                 "- addresses.b3: 2 settings\n- addresses.b4: 2 settings\n"
                 "- addresses.b5: 2 settings\n- addresses.b6: 2 settings\n"
                 "- addresses.b7: 2 settings\n- addresses.b8: 2 settings\n"
                 "+ pools.q1.addresses = ( \"a1\" )\n+ pools.q2.addresses = ( \"a1\" )\n"
                 "+ pools.q3.addresses = ( \"a1\" )\n+ pools.q4.addresses = ( \"a1\" )\n"
                 "+ pools.q5.addresses = ( \"a1\" )\n+ pools.q6.addresses = ( \"a1\" )\n"
                 "+ pools.q7.addresses = ( \"a1\" )\n+ pools.q8.addresses = ( \"a1\" )\n"
                 "~ streams = ( s1, s2, s3, s4, s5, s6, default ) (was ( default ))\n"
                 "+ streams.s1: 4 settings\n+ streams.s2: 4 settings\n+ streams.s3: 4 settings\n"
                 "and 12 more\n");
}

/* What is very long is cut, and not within a character. */
static void
test_diff_of_long_lines(void **state)
{
    static const char begin[] = "+ streams.s.match.1.value = \"";
    struct conf *before = unit_conf(ADDRESSES POOLS STREAMS), *after;
    struct buf text = {0}, told = {0};
    size_t length = 0;
    const char *line;

    (void)state;
    buf_puts(&text, ADDRESSES POOLS "streams: ( { name = \"s\"; pool = \"p\"; match = ( { header = "
                                    "\"X-A\"; value = \"");
    for (int i = 0; i < 400; i++)
        buf_puts(&text, "\xc3\xa9");
    buf_puts(&text, "\"; } ); }, { name = \"default\"; pool = \"p\"; match = (); } );\n");
    after = unit_conf(buf_text(&text));
    assert_int_equal(conf_diff_short(before, after, collect, &told), 6);
    line = strstr(buf_text(&told), begin);
    assert_non_null(line);
    line += strlen(begin);
    while (strncmp(line + length, "\xc3\xa9", 2) == 0)
        length += 2;
    assert_int_equal(strncmp(line + length, " ...\n", 5), 0);
    assert_in_range(strlen(begin) + length, 499, 500);
    buf_clear(&text);
    buf_clear(&told);
    conf_unref(before);
    conf_unref(after);
}

/* A password, or the key in a list's zone, is in no log. */
static void
test_diff_of_secrets(void **state)
{
    struct conf *before = unit_conf(
        ADDRESSES POOLS STREAMS
        "store: { type = \"redis\"; url = \"redis://u:secret1@h\"; };\n"
        "lists: ( { name = \"zen\"; zone = \"key1.zen.test\"; }, { zone = \"one.test\"; } );\n");
    struct conf *after = unit_conf(
        ADDRESSES POOLS STREAMS
        "store: { type = \"redis\"; url = \"redis://u:secret2@h\"; };\n"
        "lists: ( { name = \"zen\"; zone = \"key2.zen.test\"; }, { zone = \"two.test\"; } );\n");
    struct buf text = {0};

    (void)state;
    assert_int_equal(conf_diff(before, after, collect, &text), 3);
    assert_string_equal(buf_text(&text), "~ lists.2.zone = \"two.test\" (was \"one.test\")\n"
                                         "~ lists.zen.zone = (not shown)\n"
                                         "~ store.url = (not shown)\n");
    buf_clear(&text);
    conf_unref(before);
    conf_unref(after);
}

static void
write_file(const char *folder, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

/* @include is relative to the file, and mistakes name the file they are in. */
static void
test_files(void **state)
{
    char folder[] = "/tmp/postpool-conf.XXXXXX";
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    char *file, *said;

    (void)state;
    assert_non_null(mkdtemp(folder));
    file = mem_printf("%s/main.conf", folder);
    write_file(folder, "main.conf", "@include \"site.conf\"\n");
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS);
    assert_int_equal(conf_load(file, &conf, &problems), 0);
    conf_unref(conf);
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS "nodee = \"x\";\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    /* a libconfig before 1.7.3 has the name as it was written, a later one its path */
    said = mem_printf("%s/site.conf:4: nodee: unknown key, did you mean \"node\"?", folder);
    assert_true(unit_says(&problems, said) || unit_says(&problems, strrchr(said, '/') + 1));
    free(said);
    write_file(folder, "main.conf", "pools: { };\n@include \"site.conf\"\n");
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS);
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(unit_says(&problems, "site.conf:2: the same name twice in one group; every name "
                                     "may stand once: pools"));
    /* libconfig would end the program over a folder, and not name a file that is missing */
    write_file(folder, "main.conf", "# one\n@include \".\"\n@include \"no.conf\"\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(unit_says(&problems, ".: Is a directory"));
    said = mem_printf("%s:3: @include \"no.conf\": %s/no.conf: No such file or directory", file,
                      folder);
    assert_true(unit_says(&problems, said));
    free(said);
    write_file(folder, "main.conf", "@include \"main.conf\"\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(unit_says(&problems,
                          "main.conf:1: @include \"main.conf\" is 10 files deep; does it "
                          "include itself?"));
    write_file(folder, "main.conf", "/* @include \".\" */ # \"\n@include \"site.conf\" // \"\n");
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS);
    assert_int_equal(conf_load(file, &conf, &problems), 0);
    conf_unref(conf);
    free(file);
    file = mem_printf("%s/none.conf", folder);
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    said = mem_printf("%s: No such file or directory", file);
    assert_true(unit_says(&problems, said));
    free(said);
    free(file);
    conf_problems_clear(&problems);
    said = mem_printf("rm -r %s", folder);
    assert_int_equal(system(said), 0);
    free(said);
}

static void
test_secret(void **state)
{
    char path[] = "/tmp/postpool-secret.XXXXXX";
    int fd = mkstemp(path);
    char *text = mem_printf(ADDRESSES POOLS STREAMS "tag_secret_file = \"%s\";", path);
    char *said =
        mem_printf("text: tag_secret_file: %s holds fewer than 16 bytes; make one with: head -c 32 "
                   "/dev/urandom > FILE",
                   path);
    struct conf_problems problems = {0};
    struct conf *one = NULL, *two = NULL;

    (void)state;
    assert_int_equal(conf_load_text(text, &one, &problems), -EINVAL);
    assert_true(unit_says(&problems, said));
    assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    assert_int_equal(conf_load_text(text, &one, &problems), 0);
    assert_true(one->secret_known);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(conf_load_text(text, &two, &problems), 0);
    assert_memory_not_equal(one->secret, two->secret, sizeof(one->secret));
    conf_unref(one);
    conf_unref(two);
    conf_problems_clear(&problems);
    unlink(path);
    close(fd);
    free(text);
    free(said);
}

static void
name_in_manual(void *arg, const char *path, const char *initial, const char *help)
{
    const char *dot = strrchr(path, '.');
    char *item = mem_printf(".It Ic %s", dot != NULL ? dot + 1 : path);

    (void)initial;
    assert_true(strlen(help) > 10);
    if (strstr(arg, item) == NULL)
        fail_msg("postpool.conf(5) does not tell of %s (%s)", path, item);
    free(item);
}

/* The manual names every key. */
static void
test_manual(void **state)
{
    const char *source = getenv("srcdir");
    char *path = mem_printf("%s/docs/man/postpool.conf.5", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    struct buf text = {0};
    char line[4096];

    (void)state;
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof(line), file) != NULL)
        buf_puts(&text, line);
    fclose(file);
    conf_each_key(name_in_manual, text.data);
    buf_clear(&text);
    free(path);
}

static void
test_example(void **state)
{
    (void)state;
    conf_unref(unit_example());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_times_of_a_stream),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_in_few_lines),
        cmocka_unit_test(test_diff_of_long_lines),
        cmocka_unit_test(test_diff_of_secrets),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_example),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
