/*
 * Blocks in main.cf and master.cf: putting in and taking out is nothing.
 *
 * Input: a byte with what to put in, then the text of the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/edit.h"

#include <string.h>

static struct edit_param params[] = {
    {(char *)"smtpd_milters", (char *)"unix:/run/postpool/milter, inet:127.0.0.1:8891"},
    {(char *)"recipient_canonical_maps", (char *)"pcre:/etc/postfix/postpool/untag"},
    {(char *)"a", (char *)"b = c"},
    {(char *)"pp-a1_destination_rate_delay", (char *)"1s"},
};
enum { PARAMS = sizeof(params) / sizeof(*params) };

static struct edit_extra extras[] = {
    {(char *)"qmgr", (char *)"unix", (char *)"    -o rewrite_service_name=pp-rewrite\n"},
    {(char *)"smtp", (char *)"inet",
     (char *)"    -o { smtpd_milters = unix:/m }\n    -o milter_default_action=tempfail\n"},
    {(char *)"a", (char *)"unix", (char *)"    -o a=b\n"},
};
enum { EXTRAS = sizeof(extras) / sizeof(*extras) };

static const char services[] =
    "pp-rewrite unix - - n - - trivial-rewrite\n    -o a=b\npp-a1 unix - - n - 20 smtp\n";

/* The part of the work that depends on the kind of file. */
struct kind {
    bool master;
    size_t first, count; /* of params or extras */
    const char *services;
};

static int
take_apart(const struct kind *kind, const char *text, struct edit_file *ret_file, struct err *err)
{
    return kind->master ? edit_parse_master(text, ret_file, err)
                        : edit_parse_main(text, ret_file, err);
}

static char *
put_in(const struct kind *kind, const struct edit_file *file)
{
    return kind->master ? edit_master(file, extras + kind->first, kind->count, kind->services)
                        : edit_main(file, params + kind->first, kind->count);
}

static char *
take_out(const struct kind *kind, const struct edit_file *file)
{
    return kind->master ? edit_master(file, NULL, 0, "") : edit_main(file, NULL, 0);
}

/* Is what was put in there to be found again? */
static void
check_found(const struct kind *kind, const struct edit_file *file)
{
    MUST(file->edited_line == 0);
    if (kind->master) {
        MUST(strcmp(file->services, kind->services) == 0);
        MUST(file->extra_count <= kind->count);
        return;
    }
    MUST(file->param_count == kind->count);
    for (size_t i = 0; i < kind->count; i++) {
        const struct edit_param *given = &params[kind->first + i];
        const struct edit_param *found =
            edit_find_param(file->params, file->param_count, given->name);

        MUST(found != NULL && strcmp(found->value, given->value) == 0);
    }
}

/* Postfix must read what we meant, at least in a file that no hand has mixed with ours. */
static void
check_meaning(const struct kind *kind, const char *applied)
{
    for (size_t i = 0; i < kind->count; i++) {
        const struct edit_param *param = &params[kind->first + i];
        char *value = cf_value(applied, param->name);

        MUST(value != NULL && strcmp(value, param->value) == 0);
        free(value);
    }
}

/* The text without blocks, of a file that may have had some. */
static void
check_round_trip(const struct kind *kind, const struct edit_file *plain)
{
    char *applied = put_in(kind, plain), *again, *removed;
    struct edit_file file;
    struct err err;

    MUST(take_apart(kind, applied, &file, &err) == 0);
    MUST(strcmp(file.plain, plain->plain) == 0);
    check_found(kind, &file);
    again = put_in(kind, &file);
    MUST(strcmp(again, applied) == 0);
    removed = take_out(kind, &file);
    MUST(strcmp(removed, plain->plain) == 0);
    if (!kind->master && plain->blocks == 0)
        check_meaning(kind, applied);
    edit_file_clear(&file);
    free(removed);
    free(again);
    free(applied);
}

static void
check_text(const struct kind *kind, const char *text)
{
    struct edit_file file, plain;
    struct err err = {""};

    if (take_apart(kind, text, &file, &err) < 0) {
        MUST(err.msg[0] != '\0');
        return;
    }
    if (file.blocks == 0) {
        MUST(strcmp(file.plain, text) == 0);
        check_round_trip(kind, &file);
    } else {
        char *composed = put_in(kind, &file);
        char *removed = take_out(kind, &file);

        MUST(strcmp(removed, file.plain) == 0);
        /* Kept lines may themselves look like marks, where somebody wrote them by hand. */
        if (take_apart(kind, removed, &plain, NULL) == 0) {
            if (plain.blocks == 0)
                check_round_trip(kind, &file);
            edit_file_clear(&plain);
        }
        free(removed);
        free(composed);
    }
    edit_file_clear(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned what = fuzz_byte(&input);
    struct kind kind = {.master = what & 1, .services = what & 2 ? services : ""};
    size_t limit = kind.master ? EXTRAS : PARAMS;
    char *text = fuzz_text(&input);

    kind.first = (what >> 2) % limit;
    kind.count = (what >> 4) % (limit - kind.first + 1);
    check_text(&kind, text);
    free(text);
    return 0;
}
