/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/difference.h"

#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/plan.h"
#include "transport-maps/run.h"
#include "transport-maps/site.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct differences *differences, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add(struct differences *differences, const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    text = mem_vprintf(format, ap);
    va_end(ap);
    differences->items =
        mem_resize(differences->items, differences->count + 1, sizeof(differences->items[0]));
    differences->items[differences->count++] = text;
}

static void
compare_main(const struct site *site, const struct plan *plan, struct differences *differences)
{
    const struct edit_file *file = &site->main;

    for (size_t i = 0; i < plan->param_count; i++) {
        const struct edit_param *found =
            edit_find_param(file->params, file->param_count, plan->params[i].name);
        char *value = cf_value(site->main_text, plan->params[i].name);

        if (found == NULL)
            add(differences, "main.cf: %s is missing", plan->params[i].name);
        else if (value == NULL || strcmp(value, found->value) != 0)
            add(differences, "main.cf: %s is set again behind our block", found->name);
        else if (strcmp(found->value, plan->params[i].value) != 0)
            add(differences, "main.cf: %s is %s, not %s", found->name, found->value,
                plan->params[i].value);
        free(value);
    }
    for (size_t i = 0; i < file->param_count; i++) {
        if (edit_find_param(plan->params, plan->param_count, file->params[i].name) == NULL)
            add(differences, "main.cf: %s is no longer needed", file->params[i].name);
    }
    if (file->edited_line > 0)
        add(differences, "main.cf: our block in line %zu was changed by hand", file->edited_line);
}

/* The same text of a service in both? */
static bool
is_same_service(const char *text_a, const struct cf_service *a, const char *text_b,
                const struct cf_service *b)
{
    char *joined_a = cf_join(text_a, &a->line);
    char *joined_b = cf_join(text_b, &b->line);
    bool same = strcmp(joined_a, joined_b) == 0;

    free(joined_a);
    free(joined_b);
    return same;
}

static void
compare_services(const struct site *site, const struct plan *plan, struct differences *differences)
{
    const char *present_text = site->master.services;
    struct cf_services planned;
    struct cf_services present;

    cf_services_parse(plan->services, &planned);
    cf_services_parse(present_text, &present);
    differences->services = planned.count;
    for (size_t i = 0; i < planned.count; i++) {
        const struct cf_service *service = &planned.items[i];
        const char *name = service->fields[CF_NAME];
        const struct cf_service *found = cf_services_find(&present, name, "unix");

        if (found == NULL)
            add(differences, "master.cf: service %s is missing", name);
        else if (!is_same_service(plan->services, service, present_text, found))
            add(differences, "master.cf: service %s is out of date", name);
        else
            differences->services_present++;
    }
    for (size_t i = 0; i < present.count; i++) {
        const char *name = present.items[i].fields[CF_NAME];

        if (cf_services_find(&planned, name, NULL) == NULL)
            add(differences, "master.cf: service %s is no longer needed", name);
    }
    cf_services_clear(&planned);
    cf_services_clear(&present);
}

static const struct edit_extra *
find_extra(const struct edit_extra *extras, size_t count, const struct edit_extra *like)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(extras[i].service, like->service) == 0 &&
            strcmp(extras[i].type, like->type) == 0)
            return &extras[i];
    }
    return NULL;
}

static void
compare_extras(const struct site *site, const struct plan *plan, struct differences *differences)
{
    const struct edit_file *file = &site->master;

    for (size_t i = 0; i < plan->extra_count; i++) {
        const struct edit_extra *found =
            find_extra(file->extras, file->extra_count, &plan->extras[i]);

        if (found == NULL)
            add(differences, "master.cf: the options for %s are missing", plan->extras[i].service);
        else if (strcmp(found->lines, plan->extras[i].lines) != 0)
            add(differences, "master.cf: the options for %s are out of date", found->service);
    }
    for (size_t i = 0; i < file->extra_count; i++) {
        if (find_extra(plan->extras, plan->extra_count, &file->extras[i]) == NULL)
            add(differences, "master.cf: the options for %s are no longer needed",
                file->extras[i].service);
    }
    if (file->edited_line > 0)
        add(differences, "master.cf: our block in line %zu was changed by hand", file->edited_line);
}

static void
compare_tables(const struct site *site, const struct plan *plan, struct differences *differences)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        char *path = mem_printf("%s/postpool/%s", site->dir, plan->tables[i].name);
        char *text = NULL;
        const char *planned = plan->tables[i].text;

        file_read(path, &text, NULL);
        if (planned != NULL && text == NULL)
            add(differences, "%s is missing", path);
        else if (planned == NULL && text != NULL)
            add(differences, "%s is no longer needed", path);
        else if (planned != NULL && strcmp(planned, text) != 0)
            add(differences, "%s is out of date", path);
        free(text);
        free(path);
    }
}

void
differences_make(const struct site *site, const struct plan *plan, struct differences *differences)
{
    *differences = (struct differences){0};
    compare_services(site, plan, differences);
    compare_extras(site, plan, differences);
    compare_main(site, plan, differences);
    compare_tables(site, plan, differences);
}

void
differences_clear(struct differences *differences)
{
    for (size_t i = 0; i < differences->count; i++)
        free(differences->items[i]);
    free(differences->items);
    *differences = (struct differences){0};
}

/* Run diff(1) over two files in dir. */
static int
run_diff(const char *path, const char *old_path, const char *new_path, char **ret_diff,
         struct err *err)
{
    char *new_label = mem_printf("%s (postpool)", path);
    const char *argv[] = {"diff",    "-u",     "--label", path, "--label",
                          new_label, old_path, new_path,  NULL};
    struct run_result result = {0};
    int r = run(argv, NULL, NULL, &result, err);

    if (r == 0 && result.status > 1)
        r = err_set(err, -EIO, "diff: %s", result.said);
    if (r == 0) {
        *ret_diff = result.out;
        result.out = NULL;
    }
    run_result_clear(&result);
    free(new_label);
    return r;
}

int
difference_unified(const char *path, const char *before, const char *after, char **ret_diff,
                   struct err *err)
{
    const char *base = getenv("TMPDIR");
    char *dir = mem_printf("%s/postpool-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");
    char *old_path;
    char *new_path;
    int r;

    if (mkdtemp(dir) == NULL) {
        r = err_set(err, -errno, "%s: %s", dir, strerror(errno));
        free(dir);
        return r;
    }
    old_path = mem_printf("%s/old", dir);
    new_path = mem_printf("%s/new", dir);
    r = file_write(old_path, before, err);
    if (r == 0)
        r = file_write(new_path, after, err);
    if (r == 0)
        r = run_diff(path, old_path, new_path, ret_diff, err);
    unlink(old_path);
    unlink(new_path);
    rmdir(dir);
    free(old_path);
    free(new_path);
    free(dir);
    return r;
}
