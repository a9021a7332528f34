/*
 * Warm-up in the configuration: what it holds, and in what words mistakes are refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/schedule.h"
#include "engine/zone.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/zone_file.h"

#include <unistd.h>

#define POOLS "pools: { p = { addresses = ( \"a1\" ); }; };\n"
#define STREAMS "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"

struct mistake {
    const char *text, *said;
};

static void
test_values(void **state)
{
    struct conf *conf = unit_conf(
        "addresses: {\n"
        "  a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { schedule = \"standard\"; "
        "started = \"1970-01-11\"; }; };\n"
        "  a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; warmup = { schedule = \"slow\"; started "
        "= "
        "\"2026-11-20\"; }; };\n"
        "  a3 = { ip = \"192.0.2.3\"; helo = \"a3.test\"; }; };\n"
        "pools: { p = { addresses = ( \"a1\", \"a2\", \"a3\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
        "providers: { yahoo = { domains = ( \"yahoo.com\" ); }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n"
        "warmup: { time_zone = \"-05:30\"; idle = \"10d\"; back = 2; schedules: {\n"
        "  slow = { days = ( 5, 10 ); hour = 50; shares = { yahoo = 20; }; }; }; };\n");
    const struct address *addresses = conf->snapshot->addresses;
    int64_t until_s;

    (void)state;
    assert_ptr_equal(addresses[0].schedule, schedule_preset("standard"));
    assert_int_equal(addresses[0].started, 10);
    assert_string_equal(addresses[1].schedule->name, "slow");
    assert_int_equal(addresses[1].schedule->stage_count, 2);
    assert_int_equal(schedule_day(addresses[1].schedule, 1, NULL), 10);
    assert_int_equal(schedule_hour(addresses[1].schedule, 1, NULL), 5);
    assert_int_equal(schedule_day(addresses[1].schedule, 0, "yahoo"), 1);
    assert_null(addresses[2].schedule);
    assert_true(conf->snapshot->has_caps);
    assert_true(conf->snapshot->provider_caps);
    assert_int_equal(zone_offset_s(conf->warmup_zone, 0, &until_s), -(5 * 3600 + 30 * 60));
    assert_int_equal(conf->warmup.used_percent, 70);
    assert_int_equal(conf->warmup.accepted_percent, 90);
    assert_int_equal(conf->warmup.back_stages, 2);
    assert_int_equal(conf->warmup.idle_days, 10);
    assert_int_equal(conf->warmup.again_stages, 7);
    conf_unref(conf);
}

static void
test_a_table_in_its_address(void **state)
{
    struct conf *conf = unit_conf(
        "addresses: {\n"
        "  a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { schedule = {\n"
        "    days = ( 7, 20, 70 ); hour = 50; shares = { yahoo = 20; }; };\n"
        "    started = \"2026-11-20\"; }; };\n"
        "  a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; warmup = { started = \"2026-11-20\";\n"
        "    schedule = { days = [ 100 ]; }; }; }; };\n"
        "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n" STREAMS
        "providers: { yahoo = { domains = ( \"yahoo.com\" ); }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n");
    const struct schedule *first = conf->snapshot->addresses[0].schedule;
    const struct schedule *other = conf->snapshot->addresses[1].schedule;

    (void)state;
    assert_string_equal(first->name, "own");
    assert_int_equal(first->stage_count, 3);
    assert_int_equal(schedule_day(first, 0, NULL), 7);
    assert_int_equal(schedule_day(first, 2, NULL), 70);
    assert_int_equal(schedule_hour(first, 1, NULL), 10);
    assert_int_equal(schedule_day(first, 0, "yahoo"), 1);
    assert_int_equal(other->stage_count, 1);
    assert_int_equal(other->hour_percent, 20);
    assert_int_equal(schedule_day(other, 0, NULL), 100);
    assert_int_equal(schedule_day(other, 0, "yahoo"), 100);
    assert_int_equal(conf->snapshot->schedule_count, 0);
    assert_true(conf->snapshot->provider_caps);
    conf_unref(conf);
}

/* How far the days are from those of UTC, then. */
static void
assert_zone(const char *zone, int64_t at_s, int32_t offset_s)
{
    char *text = mem_printf("warmup: { time_zone = \"%s\"; };", zone);
    struct conf *conf = unit_conf_with(text);
    int64_t until_s;

    print_message("%s\n", text);
    assert_int_equal(zone_offset_s(conf->warmup_zone, at_s, &until_s), offset_s);
    conf_unref(conf);
    free(text);
}

static void
test_time_zones(void **state)
{
    const int64_t winter_s = 1767225600, summer_s = 1782864000; /* the first of January, of July */

    (void)state;
    assert_zone("UTC", winter_s, 0);
    assert_zone("+00:00", winter_s, 0);
    assert_zone("+02:00", winter_s, 7200);
    assert_zone("-14:59", summer_s, -(14 * 3600 + 59 * 60));
    assert_zone("CET-1CEST,M3.5.0,M10.5.0/3", winter_s, 3600);
    assert_zone("CET-1CEST,M3.5.0,M10.5.0/3", summer_s, 7200);
    if (access(ZONE_FOLDER "/Europe/Berlin", R_OK) == 0) {
        assert_zone("Europe/Berlin", winter_s, 3600);
        assert_zone("Europe/Berlin", summer_s, 7200);
    }
}

/* Only where something warms up does it matter that it cannot be read. */
static void
test_zone_of_the_host(void **state)
{
    static const char address[] =
        "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { schedule = "
        "\"standard\"; started = \"2026-11-20\"; }; }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n" POOLS STREAMS;
    struct conf_problems problems;
    struct conf *conf;
    int64_t until_s;

    (void)state;
    setenv("TZ", "CET-1", 1);
    conf = unit_conf(address);
    assert_int_equal(zone_offset_s(conf->warmup_zone, 0, &until_s), 3600);
    conf_unref(conf);
    conf = unit_conf_with("");
    assert_int_equal(zone_offset_s(conf->warmup_zone, 0, &until_s), 3600);
    conf_unref(conf);
    setenv("TZ", "/nowhere", 1);
    problems = unit_problems(address);
    assert_true(unit_says(&problems, "text:1: warning: addresses.a1.warmup: /nowhere: No such file "
                                     "or directory -- days are taken to be those of UTC"));
    conf_problems_clear(&problems);
    problems = unit_problems(unit_site);
    for (size_t i = 0; i < problems.count; i++)
        assert_null(strstr(problems.items[i].text, "/nowhere"));
    conf_problems_clear(&problems);
    conf = unit_conf_with("");
    assert_null(conf->warmup_zone);
    conf_unref(conf);
    unsetenv("TZ");
}

static void
assert_engaged(const char *more, const char *path, const uint32_t *days)
{
    struct conf *conf = unit_conf_with(more);
    size_t weeks = 0;

    print_message("%s\n", more);
    assert_string_equal(conf->engagement_path, path);
    for (; days[weeks] > 0; weeks++)
        assert_int_equal(conf->snapshot->engaged_days[weeks], days[weeks]);
    assert_int_equal(conf->snapshot->engaged_weeks, weeks);
    conf_unref(conf);
}

static void
test_engaged(void **state)
{
    (void)state;
    assert_engaged("", "/var/lib/postpool/engagement",
                   (const uint32_t[]){30, 30, 60, 60, 90, 90, 0});
    assert_engaged("store: { path = \"/srv/p/state.db\"; };", "/srv/p/engagement",
                   (const uint32_t[]){30, 30, 60, 60, 90, 90, 0});
    assert_engaged("warmup: { engagement = \"none\"; engaged = (); };", "none",
                   (const uint32_t[]){0});
    assert_engaged("warmup: { engagement = \"/srv/e\"; engaged = ( \"7d\", \"7d\", \"3660d\" ); };",
                   "/srv/e", (const uint32_t[]){7, 7, 3660, 0});
}

static const struct mistake of_warmup[] = {
    {"warmup = 5;", "warmup: is a number, a group { ... } is needed"},
    {"warmup: { sending_days = 70; };",
     "warmup.sending_days: unknown key, did you mean \"sending_day\"?"},
    {"warmup: { sending_day = 0; };", "warmup.sending_day: 0 is outside 1 to 100"},
    {"warmup: { accepted = 101; };", "warmup.accepted: 101 is outside 1 to 100"},
    {"warmup: { idle = \"36h\"; };", "warmup.idle: whole days are needed, such as \"30d\""},
    {"warmup: { idle = \"12h\"; };", "warmup.idle: \"12h\" is outside 1d to 3660d"},
    {"warmup: { time_zone = \"Europe/Nowhere\"; };",
     "warmup.time_zone: " ZONE_FOLDER "/Europe/Nowhere: No such file or directory; write "
     "\"local\", a name such as \"Europe/Berlin\", or how much later than UTC it is there, such as "
     "\"+02:00\""},
    {"warmup: { time_zone = \"/etc/passwd\"; };",
     "warmup.time_zone: \"/etc/passwd\" is no name of a time zone; write \"local\", "},
    {"warmup: { time_zone = \"+15:00\"; };",
     "warmup.time_zone: " ZONE_FOLDER "/+15:00: No such file or directory; write \"local\", "},
    {"warmup: { engagement = \"engagement\"; };",
     "warmup.engagement: \"engagement\" is no file, write an absolute path such as "
     "\"/var/lib/postpool/engagement\", or \"none\""},
    {"warmup: { engaged = ( \"30\" ); };",
     "warmup.engaged: \"30\" is no time of a week, write whole days that do not shrink from week "
     "to week, such as \"30d\", \"30d\", \"60d\""},
    {"warmup: { engaged = ( \"30d\", \"20d\" ); };",
     "warmup.engaged: \"20d\" is no time of a week"},
    {"warmup: { engaged = ( \"36h\" ); };", "warmup.engaged: \"36h\" is no time of a week"},
    {"warmup: { engaged = ( \"0d\" ); };", "warmup.engaged: \"0d\" is no time of a week"},
    {"warmup: { engaged = ( \"3661d\" ); };", "warmup.engaged: \"3661d\" is no time of a week"},
    {"warmup: { engaged = ( \"1d\", \"1d\", \"1d\", \"1d\", \"1d\", \"1d\", \"1d\", \"1d\", "
     "\"1d\", "
     "\"1d\", \"1d\", \"1d\", \"1d\", \"1d\" ); };",
     "warmup.engaged: 14 weeks are too many, write at most 13"},
    {"warmup: { hint = 5; };", "warmup.hint: is a number, a group { ... } is needed"},
    {"warmup: { hint = { heder = \"X\"; }; };",
     "warmup.hint.heder: unknown key, did you mean \"header\"?"},
    {"warmup: { hint = { header = \"X Y\"; match = (); }; };",
     "warmup.hint.header: \"X Y\" is no header name"},
    {"warmup: { hint = { header = \"Subject\"; match = (); }; };",
     "warmup.hint.header: \"Subject\" belongs to the message itself and cannot be taken away; take "
     "a name such as \"X-Engagement\""},
    {"warmup: { hint = { header = \"x-postpool-stream\"; match = (); }; };",
     "warmup.hint.header: \"x-postpool-stream\" has a meaning already, take a name of its own such "
     "as \"X-Engagement\""},
    {"warmup: { hint = { header = \"X-Postpool-Mark\"; match = (); }; };",
     "warmup.hint.header: \"X-Postpool-Mark\" has a meaning already"},
    {"warmup: { hint = { match = (); }; };",
     "warmup.hint: values and match need the header that they are about"},
    {"warmup: { hint = { header = \"X\"; }; };",
     "warmup.hint: match is missing: whose hints count, such as ( { sasl_user = \"app\"; } ); () "
     "for all of the site's own mail"},
    {"warmup: { hint = { header = \"X\"; match = ( { user = \"app\"; } ); }; };",
     "warmup.hint.match.1.user: unknown key"},
    {"warmup: { hint = { header = \"X\"; match = ( { client = \"10\"; } ); }; };",
     "warmup.hint.match.1.client: \"10\" is no address or network"},
    {"warmup: { hint = { header = \"X\"; match = (); values = ( \"high\" ); }; };",
     "warmup.hint.values: a group of words is needed, { high = \"7d\"; low = \"never\"; }"},
    {"warmup: { hint = { header = \"X\"; match = (); values = { high = 7; }; }; };",
     "warmup.hint.values.high: is a number, a text in quotes is needed"},
    {"warmup: { hint = { header = \"X\"; match = (); values = { high = \"7\"; }; }; };",
     "warmup.hint.values.high: \"7\" is no time, write whole days up to \"3660d\", such as "
     "\"7d\", or \"never\""},
    {"warmup: { hint = { header = \"X\"; match = (); values = { high = \"36h\"; }; }; };",
     "warmup.hint.values.high: \"36h\" is no time"},
    {"warmup: { hint = { header = \"X\"; match = (); values = { high = \"3661d\"; }; }; };",
     "warmup.hint.values.high: \"3661d\" is no time"},
    {"warmup: { hint = { header = \"X\"; match = (); values = { high = \"7d\"; High = "
     "\"8d\"; }; }; };",
     "warmup.hint.values.High: is there already as high, letter case means nothing"},
    {"warmup: { schedules = 5; };", "warmup.schedules: a group of schedules is needed, { slow = { "
                                    "days = ( 50, 100, 200 ); }; }"},
    {"warmup: { schedules: { slow = 5; }; };",
     "warmup.schedules.slow: a group is needed, { days = ( 50, 100, 200 ); }"},
    {"warmup: { schedules: { slow = { }; }; };",
     "warmup.schedules.slow: days is missing: The most recipients of a day, stage by stage."},
    {"warmup: { schedules: { slow = { day = ( 1 ); days = ( 1 ); }; }; };",
     "warmup.schedules.slow.day: unknown key, did you mean \"days\"?"},
    {"warmup: { schedules: { slow = { days = 5; }; }; };",
     "warmup.schedules.slow.days: is a number, a list of numbers is needed, ( ..., ... )"},
    {"warmup: { schedules: { slow = { days = (); }; }; };",
     "warmup.schedules.slow.days: holds 0 stages, there must be 1 to 90"},
    {"warmup: { schedules: { slow = { days = ( 5, \"6\" ); }; }; };",
     "warmup.schedules.slow.days.2: a whole number from 1 to 1000000000 is needed"},
    {"warmup: { schedules: { slow = { days = ( 5, 5 ); }; }; };",
     "warmup.schedules.slow.days.2: 5 is no more than the 5 before it, stages must grow"},
    {"warmup: { schedules: { slow = { days = ( 5 ); hour = 0; }; }; };",
     "warmup.schedules.slow.hour: 0 is outside 1 to 100"},
    {"warmup: { schedules: { slow = { days = ( 5 ); shares = 5; }; }; };",
     "warmup.schedules.slow.shares: a group of shares is needed, { yahoo = 10; outlook = 20; }"},
    {"warmup: { schedules: { slow = { days = ( 5 ); shares = { oter = 5; }; }; }; };",
     "warmup.schedules.slow.shares.oter: there is no provider oter, did you mean \"other\"?"},
    {"warmup: { schedules: { slow = { days = ( 5 ); shares = { other = 0; }; }; }; };",
     "warmup.schedules.slow.shares.other: a whole number from 1 to 100 is needed"},
    {"warmup: { schedules: { Slow = { days = ( 5 ); }; }; };",
     "warmup.schedules.Slow: a schedule's name must be up to 32 lower-case letters, digits and "
     "\"-\", starting with a letter"},
    {"warmup: { schedules: { standard = { days = ( 5 ); }; }; };",
     "warmup.schedules.standard: standard is there already, give this one another name"},
};

static void
test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(of_warmup); i++) {
        char *text = mem_printf("%s%s\n", unit_site, of_warmup[i].text);
        struct conf_problems problems = unit_problems(text);
        bool said = false;

        print_message("%s\n", of_warmup[i].text);
        for (size_t j = 0; j < problems.count; j++)
            said |= strstr(problems.items[j].text, of_warmup[i].said) != NULL;
        assert_true(said);
        conf_problems_clear(&problems);
        free(text);
    }
}

static void
assert_warmup(const char *address, const char *more, const char *said)
{
    char *text = mem_printf(
        "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; %s }; };\n%s" POOLS STREAMS,
        address, more);
    struct conf_problems problems = unit_problems(text);

    print_message("%s\n", address);
    assert_true(unit_says(&problems, said));
    conf_problems_clear(&problems);
    free(text);
}

#define WARMUP(schedule, started) \
    "warmup = { schedule = \"" schedule "\"; started = \"" started "\"; };"
#define TABLE(keys) "warmup = { schedule = { " keys " }; started = \"2026-11-20\"; };"
#define CAPS(lengths) "caps = { hour = 5; windows = ( " lengths " ); };"
#define WINDOW(length, count) "{ length = \"" length "\"; recipients = " count "; }"
#define LOG "feedback: { log = \"/var/log/mail.log\"; };\n"

static void
test_addresses_that_warm_up(void **state)
{
    (void)state;
    assert_warmup("warmup = { schedule = \"standard\"; };", LOG,
                  "text:1: addresses.a1.warmup: started is missing: The date of its first day; a "
                  "later one begins it anew.");
    assert_warmup("warmup = { started = \"2026-11-20\"; };", LOG,
                  "text:1: addresses.a1.warmup: schedule is missing: \"conservative\", "
                  "\"standard\", \"aggressive\", one of warmup.schedules, or a table of its own.");
    assert_warmup(WARMUP("standard", "20.11.2026"), LOG,
                  "text:1: addresses.a1.warmup.started: \"20.11.2026\" is no date, write one such "
                  "as \"2026-11-27\"");
    assert_warmup(WARMUP("standart", "2026-11-20"), LOG,
                  "text:1: addresses.a1.warmup.schedule: \"standart\" is none of \"conservative\", "
                  "\"standard\", \"aggressive\", and warmup.schedules, did you mean \"standard\"?");
    assert_warmup("warmup = { schedule = 5; started = \"2026-11-20\"; };", LOG,
                  "text:1: addresses.a1.warmup.schedule: is a number, a text in quotes is needed");
    assert_warmup(TABLE(""), LOG,
                  "text:1: addresses.a1.warmup.schedule: days is missing: The most recipients of a "
                  "day, stage by stage.");
    assert_warmup(TABLE("days = ( 5, 4 );"), LOG,
                  "text:1: addresses.a1.warmup.schedule.days.2: 4 is no more than the 5 before it, "
                  "stages must grow");
    assert_warmup(TABLE("days = ( 5 ); hours = 3;"), LOG,
                  "text:1: addresses.a1.warmup.schedule.hours: unknown key, did you mean "
                  "\"hour\"?");
    assert_warmup(
        TABLE("days = ( 5 ); shares = { oter = 5; };"), LOG,
        "text:1: addresses.a1.warmup.schedule.shares.oter: there is no provider oter, did "
        "you mean \"other\"?");
    assert_warmup(TABLE("days = ( 5 );")
                      CAPS(WINDOW("10m", "1") "," WINDOW("2h", "6") "," WINDOW("3h", "7")),
                  LOG,
                  "text:1: addresses.a1.warmup: beside a warm-up the address may have caps over 2 "
                  "windows other than hour and day");
    assert_warmup(WARMUP("standard", "2026-11-20"), "",
                  "text:1: addresses.a1.warmup: a warm-up depends on what becomes of the mail, so "
                  "feedback.log must say where that is told");
    assert_warmup(WARMUP("standard", "2026-11-20")
                      CAPS(WINDOW("10m", "1") "," WINDOW("2h", "6") "," WINDOW("3h", "7")),
                  LOG,
                  "text:1: addresses.a1.warmup: beside a warm-up the address may have caps over 2 "
                  "windows other than hour and day");
    assert_warmup(
        WARMUP("standard", "2026-11-20"),
        LOG "providers: { yahoo = { domains = ( \"yahoo.com\" ); caps = { minute = 1; windows = "
            "(" WINDOW("10m", "2") "," WINDOW("2h", "6") " ); }; }; };\n",
        "text:1: addresses.a1.warmup: the schedule has a share of yahoo, which then may have caps "
        "over 2 windows other than hour and day");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_a_table_in_its_address),
        cmocka_unit_test(test_time_zones),
        cmocka_unit_test(test_zone_of_the_host),
        cmocka_unit_test(test_engaged),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_addresses_that_warm_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
