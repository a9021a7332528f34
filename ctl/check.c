/*
 * postpool check: is this configuration right?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: postpool check [--json] [FILE]\n"
    "\n"
    "Reads the configuration, or FILE, and prints every mistake and warning with file and line.\n"
    "Nothing else is touched, nobody is asked.\n";

static void
print_json(bool fine, const struct conf_problems *problems)
{
    struct buf text = {0};
    struct json json = {.out = &text};

    json_open(&json, NULL, '{');
    json_bool(&json, "good", fine);
    json_open(&json, "problems", '[');
    for (size_t i = 0; i < problems->count; i++) {
        json_open(&json, NULL, '{');
        json_bool(&json, "warning", problems->items[i].warning);
        json_text(&json, "text", problems->items[i].text);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    puts(buf_text(&text));
    buf_clear(&text);
}

static void
print_problems(const struct conf_problems *problems)
{
    bool colour = ctl_colour();

    for (size_t i = 0; i < problems->count; i++) {
        const char *start = problems->items[i].warning ? "\033[33m" : "\033[31m";

        printf("%s%s%s\n", colour ? start : "", problems->items[i].text, colour ? "\033[0m" : "");
    }
}

int
ctl_check(const struct ctl *ctl, int argc, char **argv)
{
    const char *file = argc > 1 ? argv[1] : ctl->file;
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    int r, status;

    if (!ctl_arguments(argc, argv, 1, usage, &status))
        return status;
    r = conf_load(file, &conf, &problems);
    if (ctl->json) {
        print_json(r == 0, &problems);
    } else {
        print_problems(&problems);
        if (r == 0)
            printf("%s: good: %zu addresses, %zu pools, %zu streams\n", file,
                   conf->snapshot->address_count, conf->snapshot->pool_count,
                   conf->snapshot->stream_count);
        else
            printf("%s: %zu mistake%s\n", file, problems.error_count,
                   problems.error_count == 1 ? "" : "s");
    }
    conf_problems_clear(&problems);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_USAGE;
}
