/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"
#include "lib/mem.h"

const char unit_site[] = "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; };\n"
                         "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; };\n"
                         "             b1 = { ip = \"127.0.1.3\"; helo = \"b1.test\"; }; };\n"
                         "pools: { fast = { addresses = ( \"a1\", \"a2\" ); };\n"
                         "         bulk = { addresses = ( \"b1\" ); }; };\n"
                         "streams: ( { name = \"tx\"; pool = \"fast\"; match = ( { header = "
                         "\"X-Stream\"; value = \"tx\"; } ); },\n"
                         "           { name = \"client\"; pool = \"bulk\"; match = ( { sender = "
                         "\"*@client.test\"; } ); },\n"
                         "           { name = \"bulk\"; pool = \"bulk\"; match = ( { header = "
                         "\"List-Unsubscribe\"; } ); },\n"
                         "           { name = \"default\"; pool = \"fast\"; match = (); } );\n"
                         "bypass = ( \"internal.test\" );\n";

struct conf *
unit_conf(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (conf_load_text(text, &conf, &problems) < 0) {
        for (size_t i = 0; i < problems.count; i++)
            print_error("%s\n", problems.items[i].text);
        fail_msg("the configuration of the test is refused");
    }
    conf_problems_clear(&problems);
    memset(conf->secret, 7, sizeof(conf->secret));
    conf->secret_known = true;
    return conf;
}

struct conf *
unit_conf_with(const char *more)
{
    char *text = mem_printf("%s%s", unit_site, more);
    struct conf *conf = unit_conf(text);

    free(text);
    return conf;
}

struct conf *
unit_example(void)
{
    const char *source = getenv("srcdir");
    char *path = mem_printf("%s/docs/postpool.conf.example", source != NULL ? source : ".");
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (conf_load(path, &conf, &problems) < 0)
        fail_msg("%s", problems.items[0].text);
    conf_problems_clear(&problems);
    free(path);
    return conf;
}

struct conf_problems
unit_problems(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (conf_load_text(text, &conf, &problems) == 0)
        conf_unref(conf);
    return problems;
}

bool
unit_says(const struct conf_problems *problems, const char *text)
{
    for (size_t i = 0; i < problems->count; i++)
        if (strcmp(problems->items[i].text, text) == 0)
            return true;
    for (size_t i = 0; i < problems->count; i++)
        print_error("said: %s\n", problems->items[i].text);
    print_error("but not: %s\n", text);
    return false;
}
