/*
 * Blocks in main.cf and master.cf: what goes in comes out again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/err.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/edit.h"
#include "transport-maps/table.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BEGIN                                                                                  \
    "# postpool: begin -- 'postpool transports remove' takes this out and puts back what was " \
    "here\n"

/* What the tests put in. */
static struct edit_param params[] = {
    {(char[]){"smtpd_milters"}, (char[]){"ours, theirs"}},
    {(char[]){"pp-a_rate"}, (char[]){"2s"}},
};
static struct edit_extra extras[] = {
    {(char[]){"qmgr"}, (char[]){"unix"}, (char[]){"    -o rewrite_service_name=pp-rewrite\n"}},
    {(char[]){"qmgr"}, (char[]){"fifo"}, (char[]){"    -o rewrite_service_name=pp-rewrite\n"}},
    {(char[]){"scan"}, (char[]){"unix"}, (char[]){"    -o smtp_generic_maps=\n"}},
};
static const char services[] = "pp-a unix - - n - 5 smtp\n    -o { a = b c }\n"
                               "pp-rewrite unix - - n - 1 trivial-rewrite\n";

enum {
    PARAMS = sizeof(params) / sizeof(params[0]),
    EXTRAS = sizeof(extras) / sizeof(extras[0]),
};

static char *
put_main(const char *text)
{
    struct edit_file file;
    char *out;

    assert_int_equal(edit_parse_main(text, &file, NULL), 0);
    out = edit_main(&file, params, PARAMS);
    edit_file_clear(&file);
    return out;
}

static char *
put_master(const char *text)
{
    struct edit_file file;
    char *out;

    assert_int_equal(edit_parse_master(text, &file, NULL), 0);
    out = edit_master(&file, extras, EXTRAS, services);
    edit_file_clear(&file);
    return out;
}

static char *
take_out(const char *text, bool master)
{
    struct edit_file file;
    char *plain;

    assert_int_equal((master ? edit_parse_master : edit_parse_main)(text, &file, NULL), 0);
    plain = mem_strdup(file.plain);
    edit_file_clear(&file);
    return plain;
}

/* In, in again, out. */
static void
round_trip(const char *text, bool master)
{
    char *once = master ? put_master(text) : put_main(text);
    char *twice = master ? put_master(once) : put_main(once);
    char *plain = take_out(once, master);

    if (strcmp(once, twice) != 0 || strcmp(plain, text) != 0)
        print_message("of:\n%s|\n", text);
    assert_string_equal(twice, once);
    assert_string_equal(plain, text);
    free(once);
    free(twice);
    free(plain);
}

static void
test_main_round_trips(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "# comment",
        "a = b",
        "a = b\n",
        "smtpd_milters = x",
        "smtpd_milters = x\n",
        "smtpd_milters=x\nsmtpd_milters = y\n",
        "smtpd_milters =\n",
        "smtpd_milters = x,\n  y,\n# no\n\n\t# nor this\n    z\n\n# behind\na = b\n",
        "a = b\nsmtpd_milters = x,\n  y",
        "a = b\nsmtpd_milters = x\n# end\n",
        "a = b\n\n\n",
        "  stray = 1\nsmtpd_milters = x\n",
        "pp-a_rate = 7\nsmtpd_milters = x",
        "smtpd_milters = x\r\na = b\r\n",
        "#| looks like a mark\n#\\ this, too\n",
        "no_equals\n=\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        round_trip(texts[i], false);
}

static void
test_master_round_trips(void **state)
{
    static const char *const texts[] = {
        "",
        "# nothing",
        "qmgr unix n - n 300 1 qmgr",
        "qmgr unix n - n 300 1 qmgr\n",
        ("qmgr\tfifo\tn - n 300 1 oqmgr\n\n# c\n\t-o a=b\n# d\n\n    -v\n\n# e\nsmtp unix - - y - "
         "- "
         "smtp\n"),
        "qmgr unix n - n 300 1 qmgr\nscan unix - - n - 2 smtp -o x=y",
        "qmgr unix n - n 300 1 qmgr\nqmgr unix n - n 300 1 oqmgr\n",
        "   stray\nqmgr unix n - n 300\n  1 qmgr\n",
        "short line\nscan unix - - n - 2 smtp\n\n\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        round_trip(texts[i], true);
}

static void
test_main_text(void **state)
{
    char *text = put_main("a = b\nsmtpd_milters = x,\n# c\n  y\n# d\n");

    (void)state;
    assert_string_equal(text, "a = b\n" BEGIN "#| smtpd_milters = x,\n#| # c\n#|   y\n"
                              "smtpd_milters = ours, theirs\n"
                              "# postpool: end fb2aea39\n"
                              "# d\n" BEGIN "pp-a_rate = 2s\n"
                              "# postpool: end 27cbf54a\n");
    free(text);
}

static void
test_last_setting_counts(void **state)
{
    char *text = put_main("smtpd_milters = x\nb = c\nsmtpd_milters = y\n");

    (void)state;
    assert_true(strncmp(text, "smtpd_milters = x\nb = c\n# postpool: begin", 40) == 0);
    assert_non_null(strstr(text, "#| smtpd_milters = y\n"));
    assert_null(strstr(text, "#| smtpd_milters = x\n"));
    free(text);
}

/* What the site writes behind, before and between the blocks is kept where it is. */
static void
test_changes_elsewhere(void **state)
{
    char *applied = put_main("a = b\nsmtpd_milters = x");
    char *changed = mem_printf("# head\n%sc = d\n", applied);
    char *again = put_main(changed);
    char *plain = take_out(changed, false);

    (void)state;
    assert_string_equal(plain, "# head\na = b\nsmtpd_milters = x\nc = d\n");
    assert_true(strcmp(again + strlen(again) - 6, "c = d\n") == 0);
    free(applied);
    free(changed);
    free(again);
    free(plain);
}

static void
test_edited_block_is_seen(void **state)
{
    char *applied = put_main("a = b\nsmtpd_milters = x\n");
    struct edit_file file;
    char *value;

    (void)state;
    assert_int_equal(edit_parse_main(applied, &file, NULL), 0);
    assert_int_equal(file.edited_line, 0);
    assert_int_equal(file.blocks, 2);
    assert_int_equal(file.param_count, 2);
    edit_file_clear(&file);
    value = strstr(applied, "ours");
    value[0] = 'h';
    assert_int_equal(edit_parse_main(applied, &file, NULL), 0);
    assert_int_equal(file.edited_line, 2);
    assert_string_equal(file.plain, "a = b\nsmtpd_milters = x\n");
    assert_string_equal(edit_find_param(file.params, file.param_count, "smtpd_milters")->value,
                        "hurs, theirs");
    edit_file_clear(&file);
    free(applied);
}

static void
test_marks_that_do_not_pair(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"a = b\n" BEGIN "c = d\n", "line 2: the block that begins here has no '# postpool: end' "
                                    "line; put one behind its last line"},
        {BEGIN "c = d\n" BEGIN "# postpool: end\n",
         "line 1: the block that begins here has no '# postpool: end' line; put one behind its "
         "last line"},
        {"a = b\n\n# postpool: end\n",
         "line 3: '# postpool: end' without a '# postpool: begin' line; take it out"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct edit_file file = {.blocks = 77};
        struct err err;

        assert_int_equal(edit_parse_main(cases[i].text, &file, &err), -EINVAL);
        assert_string_equal(err.msg, cases[i].sentence);
        assert_int_equal(file.blocks, 77);
    }
}

static void
test_master_parts(void **state)
{
    char *text = put_master("qmgr fifo n - n 300 1 oqmgr\n# c\n  -v\nsmtp unix - - y - - smtp\n");
    struct edit_file file;

    (void)state;
    assert_non_null(
        strstr(text, "  -v\n" BEGIN "    -o rewrite_service_name=pp-rewrite\n# postpool"));
    assert_int_equal(edit_parse_master(text, &file, NULL), 0);
    assert_int_equal(file.extra_count, 1);
    assert_string_equal(file.extras[0].service, "qmgr");
    assert_string_equal(file.extras[0].type, "fifo");
    assert_string_equal(file.extras[0].lines, extras[1].lines);
    assert_string_equal(file.services, services);
    edit_file_clear(&file);
    free(text);
}

static void
test_values(void **state)
{
    static const char text[] = "a = 1\nb=2,\n# c\n   3\n\n\t4  \n a = 9\nc =\na  =  5\n";
    static const struct {
        const char *name, *value;
    } cases[] = {{"a", "5"}, {"b", "2,   3\t4   a = 9"}, {"c", ""}, {"d", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *value = cf_value(text, cases[i].name);

        if (cases[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, cases[i].value);
        free(value);
    }
}

static void
test_services(void **state)
{
    struct cf_services found;
    const struct cf_service *smtp;

    (void)state;
    cf_services_parse("smtp inet n - y - - smtpd -o a=1 -oa=2\n"
                      "smtp unix - - y - - /usr/lib/smtp -v -o { b = c d } {-o e=f}\n# x\n"
                      "  -o g=\nshort unix - -\n",
                      &found);
    assert_int_equal(found.count, 2);
    assert_string_equal(cf_service_option(cf_services_find(&found, "smtp", "inet"), "a"), "2");
    smtp = cf_services_find(&found, "smtp", NULL);
    assert_true(cf_service_runs(smtp, "smtp"));
    assert_false(cf_service_runs(smtp, "lib"));
    assert_int_equal(smtp->option_count, 3);
    assert_string_equal(cf_service_option(smtp, "b"), "c d");
    assert_string_equal(cf_service_option(smtp, "e"), "f");
    assert_string_equal(cf_service_option(smtp, "g"), "");
    assert_null(cf_service_option(smtp, "a"));
    assert_null(cf_services_find(&found, "short", NULL));
    cf_services_clear(&found);
}

static void
test_encode(void **state)
{
    struct buf out = {0};

    (void)state;
    table_encode(&out, "smtp:[10.0.0.1]:25 a-Z%");
    assert_string_equal(buf_text(&out), "smtp%3A%5B10.0.0.1%5D%3A25%20a-Z%25");
    buf_clear(&out);
}

/* A small generator; the sequence is the same in each run. */
static unsigned
next_random(unsigned limit)
{
    static uint64_t seed = 42;

    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % limit;
}

static void
add_random_lines(struct buf *out, bool master)
{
    static const char *const main_lines[] = {
        "smtpd_milters = x",
        "smtpd_milters=",
        "pp-a_rate = 9",
        "a = b",
        "# c",
        "",
        "  continued, # ",
        "\t# indented c",
        "   ",
        "nonsense",
        "smtpd_milters",
        "#| kept?",
        "#\\ open?",
        "\tmore",
    };
    static const char *const master_lines[] = {
        "qmgr unix n - n 300 1 qmgr",
        "qmgr fifo n - n 300 1 oqmgr",
        "scan unix - - n - 2 smtp",
        "  -o a=b",
        "\t-o { c = d e }",
        "# c",
        "",
        "   # indented",
        "   ",
        "smtp inet n - y - - smtpd",
        "half unix -",
        "#| kept?",
        "qmgr unix n - n",
        "  300 1 qmgr",
    };
    unsigned count = next_random(12);

    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\n",
                   master ? master_lines[next_random(14)] : main_lines[next_random(14)]);
    if (out->length > 0 && next_random(3) == 0)
        out->data[--out->length] = '\0';
}

/* Do our blocks leave the site's settings as they are, and do ours count? */
static void
check_meaning(const char *applied, const char *plain, bool master)
{
    struct cf_services with;
    struct cf_services without;

    if (!master) {
        char *before = cf_value(plain, "a");
        char *after = cf_value(applied, "a");
        char *ours = cf_value(applied, "pp-a_rate");

        assert_string_equal(after != NULL ? after : "-", before != NULL ? before : "-");
        assert_string_equal(ours, "2s");
        free(before);
        free(after);
        free(ours);
        return;
    }
    cf_services_parse(applied, &with);
    cf_services_parse(plain, &without);
    assert_int_equal(with.count, without.count + 2);
    for (size_t i = 0; i < without.count; i++) {
        const char *const *fields = (const char *const *)without.items[i].fields;
        const struct cf_service *before =
            cf_services_find(&without, fields[CF_NAME], fields[CF_TYPE]);
        const struct cf_service *after = cf_services_find(&with, fields[CF_NAME], fields[CF_TYPE]);
        bool continued =
            strcmp(fields[CF_NAME], "qmgr") == 0 || strcmp(fields[CF_NAME], "scan") == 0;

        assert_int_equal(after->arg_count, before->arg_count + (continued ? 2 : 0));
    }
    cf_services_clear(&with);
    cf_services_clear(&without);
}

/* Any file: in and out is no change, also with something written behind it in between. */
static void
test_random_files(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        bool master = i % 2 == 1;
        struct buf text = {0};
        struct buf tail = {0};
        char *applied;
        char *more;
        char *plain;
        char *expected;
        char *again;
        char *twice;

        add_random_lines(&text, master);
        round_trip(buf_text(&text), master);
        add_random_lines(&tail, master);
        applied = master ? put_master(buf_text(&text)) : put_main(buf_text(&text));
        more = mem_printf("%s%s", applied, buf_text(&tail));
        plain = take_out(more, master);
        /* A block behind an open end had to close it, which stays when lines follow. */
        expected =
            mem_printf("%s%s%s", buf_text(&text),
                       tail.length > 0 && text.length > 0 && text.data[text.length - 1] != '\n' &&
                               applied[strlen(applied) - 1] == '\n'
                           ? "\n"
                           : "",
                       buf_text(&tail));
        assert_string_equal(plain, expected);
        again = master ? put_master(more) : put_main(more);
        twice = master ? put_master(again) : put_main(again);
        assert_string_equal(twice, again);
        check_meaning(again, plain, master);
        free(again);
        again = take_out(twice, master);
        assert_string_equal(again, plain);
        free(again);
        free(twice);
        free(applied);
        free(more);
        free(plain);
        free(expected);
        buf_clear(&text);
        buf_clear(&tail);
    }
}

/* Each pattern of a table compiles, as far as regcomp() can tell. */
static void
test_table_patterns(void **state)
{
    char *tables[] = {table_untag(), table_last_sender("null.key/*", "<>"), table_last_recipient()};

    (void)state;
    assert_non_null(strstr(tables[1], "/^null\\.key\\/\\*$/ go\n"));
    for (size_t i = 0; i < 3; i++) {
        char *saved;

        for (char *line = strtok_r(tables[i], "\n", &saved); line != NULL;
             line = strtok_r(NULL, "\n", &saved)) {
            char *from = strchr(line, '/');
            char *to = strrchr(line, '/');
            regex_t pattern;

            if (*line == '#' || from == NULL)
                continue;
            *to = '\0';
            assert_int_equal(regcomp(&pattern, from + 1, REG_EXTENDED | REG_ICASE), 0);
            regfree(&pattern);
        }
        free(tables[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_round_trips),
        cmocka_unit_test(test_master_round_trips),
        cmocka_unit_test(test_main_text),
        cmocka_unit_test(test_last_setting_counts),
        cmocka_unit_test(test_changes_elsewhere),
        cmocka_unit_test(test_edited_block_is_seen),
        cmocka_unit_test(test_marks_that_do_not_pair),
        cmocka_unit_test(test_master_parts),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_random_files),
        cmocka_unit_test(test_table_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
