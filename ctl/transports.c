/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/transports.h"

#include "ctl/ctl.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "transport-maps/apply.h"
#include "transport-maps/difference.h"
#include "transport-maps/finding.h"
#include "transport-maps/plan.h"
#include "transport-maps/postfix.h"
#include "transport-maps/site.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: postpool transports render|diff|apply|remove|status [--config-dir DIR] [--json]\n"
    "                           [--force]\n"
    "\n"
    "  render   what would be put where\n"
    "  diff     how that changes main.cf and master.cf\n"
    "  apply    put it in, read it back, reload Postfix when it runs\n"
    "  remove   take all of it out again, byte for byte\n"
    "  status   is it in, and up to date?\n"
    "\n"
    "  --config-dir DIR   where main.cf is (default: Postfix's own)\n"
    "  --force            apply: although something is refused; remove: although mail with a\n"
    "                     tag is still in the queue\n"
    "  --json             status, diff and render: print data as JSON\n";

/* One call of the command. */
struct task {
    bool json;
    bool force;
    const char *dir; /* NULL: Postfix's default */
    struct conf *conf;
    struct site *site;
    struct plan plan;
    struct findings findings;
};

static const char *
level_name(enum finding_level level)
{
    static const char *const names[] = {"note", "warning", "refused"};

    return names[level];
}

static int
fail(const struct err *err)
{
    fprintf(stderr, "postpool: %s\n", err->msg);
    return CTL_BAD_NEWS;
}

static void
print_findings(FILE *out, const struct task *task)
{
    for (size_t i = 0; i < task->findings.count; i++)
        fprintf(out, "%s: %s\n", level_name(task->findings.items[i].level),
                task->findings.items[i].text);
}

static void
json_findings(struct json *json, const struct task *task)
{
    json_open(json, "findings", '[');
    for (size_t i = 0; i < task->findings.count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "level", level_name(task->findings.items[i].level));
        json_text(json, "text", task->findings.items[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
print_json(struct buf *text)
{
    puts(buf_text(text));
    buf_clear(text);
}

/* "+ " before each line, so that what would be written can be told from what is said. */
static void
print_block(const char *title, const char *text)
{
    printf("%s\n", title);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        printf("    %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
    printf("\n");
}

static void
render_json(const struct task *task)
{
    const struct plan *plan = &task->plan;
    struct buf text = {0};
    struct json json = {.out = &text};

    json_open(&json, NULL, '{');
    json_text(&json, "config_directory", task->site->dir);
    json_open(&json, "tables", '{');
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (plan->tables[i].text != NULL)
            json_text(&json, plan->tables[i].name, plan->tables[i].text);
    }
    json_close(&json, '}');
    json_text(&json, "services", plan->services);
    json_open(&json, "options", '{');
    for (size_t i = 0; i < plan->extra_count; i++) {
        char *name = mem_printf("%s/%s", plan->extras[i].service, plan->extras[i].type);

        json_text(&json, name, plan->extras[i].lines);
        free(name);
    }
    json_close(&json, '}');
    json_open(&json, "parameters", '{');
    for (size_t i = 0; i < plan->param_count; i++)
        json_text(&json, plan->params[i].name, plan->params[i].value);
    json_close(&json, '}');
    json_findings(&json, task);
    json_close(&json, '}');
    print_json(&text);
}

static int
render(struct task *task)
{
    const struct plan *plan = &task->plan;
    struct buf params = {0};

    if (task->json) {
        render_json(task);
        return CTL_GOOD;
    }
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        char *title = mem_printf("%s/postpool/%s:", task->site->dir, plan->tables[i].name);

        if (plan->tables[i].text != NULL)
            print_block(title, plan->tables[i].text);
        free(title);
    }
    print_block("master.cf, new services:", plan->services);
    for (size_t i = 0; i < plan->extra_count; i++) {
        char *title =
            mem_printf("master.cf, added to %s %s:", plan->extras[i].service, plan->extras[i].type);

        print_block(title, plan->extras[i].lines);
        free(title);
    }
    for (size_t i = 0; i < plan->param_count; i++)
        buf_printf(&params, "%s = %s\n", plan->params[i].name, plan->params[i].value);
    print_block("main.cf:", buf_text(&params));
    buf_clear(&params);
    print_findings(stdout, task);
    return CTL_GOOD;
}

/* The diff of one file, or without diff(1) the text as it would be. */
static int
make_diff(const char *path, const char *before, const char *after, char **ret_diff, struct err *err)
{
    int r = difference_unified(path, before, after, ret_diff, err);

    if (r == -ENOENT) {
        *ret_diff = strcmp(before, after) == 0 ? mem_strdup("")
                                               : mem_printf("%s would be:\n%s", path, after);
        r = 0;
    }
    return r;
}

static int
diff(struct task *task)
{
    const struct site *site = task->site;
    const struct plan *plan = &task->plan;
    char *texts[2 + TABLE_COUNT] = {NULL};
    struct buf out = {0};
    struct json json = {.out = &out};
    struct err err;
    bool differs = false;
    int r = 0;

    json_open(&json, NULL, '{');
    json_open(&json, "files", '[');
    for (size_t i = 0; r == 0 && i < 2 + TABLE_COUNT; i++) {
        const struct plan_table *table = i >= 2 ? &plan->tables[i - 2] : NULL;
        char *path = table != NULL ? mem_printf("%s/postpool/%s", site->dir, table->name)
                                   : mem_strdup(i == 0 ? site->main_path : site->master_path);
        char *before = NULL;
        char *after = i == 0   ? plan_main(&site->main, plan->params, plan->param_count, PLAN_ALL)
                      : i == 1 ? plan_master(&site->master, plan->extras, plan->extra_count,
                                             plan->services, PLAN_ALL)
                               : mem_strdup(table->text != NULL ? table->text : "");

        file_read(path, &before, NULL);
        r = make_diff(path, before != NULL ? before : "", after, &texts[i], &err);
        if (r == 0 && *texts[i] != '\0') {
            differs = true;
            json_open(&json, NULL, '{');
            json_text(&json, "path", path);
            json_text(&json, "diff", texts[i]);
            json_close(&json, '}');
        }
        free(before);
        free(after);
        free(path);
    }
    json_close(&json, ']');
    json_bool(&json, "differs", differs);
    json_close(&json, '}');
    for (size_t i = 0; r == 0 && !task->json && i < 2 + TABLE_COUNT; i++)
        fputs(texts[i], stdout);
    if (r == 0 && task->json)
        puts(buf_text(&out));
    for (size_t i = 0; i < 2 + TABLE_COUNT; i++)
        free(texts[i]);
    buf_clear(&out);
    if (r < 0)
        return fail(&err);
    return differs ? CTL_BAD_NEWS : CTL_GOOD;
}

static void
on_say(void *arg, const char *sentence)
{
    (void)arg;
    printf("%s\n", sentence);
    fflush(stdout);
}

static void
say_edited(const char *path, const struct edit_file *file)
{
    if (file->edited_line > 0)
        printf("%s: our block in line %zu was changed by hand; it is made anew\n", path,
               file->edited_line);
}

/* Postfix may run before the daemons do, but its mail waits for them. */
static void
warn_if_silent(const char *program, const char *endpoint)
{
    struct err err;
    int fd = endpoint_connect(endpoint, &err);

    if (fd >= 0)
        close(fd);
    else
        printf("%s: %s does not answer, and until it does mail is deferred: %s\n",
               level_name(FINDING_WARN), program, err.msg);
}

static int
apply(struct task *task)
{
    struct apply apply = {
        .site = task->site, .plan = &task->plan, .force = task->force, .say = on_say};
    struct err err;

    print_findings(stdout, task);
    if (apply_is_current(&apply)) {
        printf("%s: nothing to change\n", task->site->dir);
        return CTL_GOOD;
    }
    if (task->findings.refused > 0 && !task->force) {
        fprintf(stderr, "postpool: nothing was changed, see what is refused above\n");
        return CTL_BAD_NEWS;
    }
    warn_if_silent("postpool-policyd", task->conf->lookup);
    warn_if_silent("postpool-milter", task->conf->milter_socket);
    say_edited(task->site->main_path, &task->site->main);
    say_edited(task->site->master_path, &task->site->master);
    return apply_put(&apply, &err) < 0 ? fail(&err) : CTL_GOOD;
}

static int
take_out(struct task *task)
{
    struct apply apply = {.site = task->site, .force = task->force, .say = on_say};
    char *untag = mem_printf("%s/postpool/%s", task->site->dir, table_names[TABLE_UNTAG]);
    char *text = NULL;
    bool there = task->site->main.blocks > 0 || task->site->master.blocks > 0 ||
                 file_read(untag, &text, NULL) == 0;
    struct err err;

    free(text);
    free(untag);
    if (!there) {
        printf("%s: nothing of postpool's is there\n", task->site->dir);
        return CTL_GOOD;
    }
    return apply_remove(&apply, &err) < 0 ? fail(&err) : CTL_GOOD;
}

static bool
is_running(const struct task *task)
{
    return postfix_runs(task->site->dir, site_expanded(task->site, "queue_directory"));
}

static const char *
state_name(const struct task *task, bool current)
{
    if (current)
        return "applied";
    if (task->site->main.blocks == 0 && task->site->master.blocks == 0)
        return "not applied";
    return "out of date";
}

static void
status_json(const struct task *task, const struct differences *differences, bool current)
{
    struct buf text = {0};
    struct json json = {.out = &text};

    json_open(&json, NULL, '{');
    json_text(&json, "state", state_name(task, current));
    json_text(&json, "config_directory", task->site->dir);
    json_text(&json, "mail_version", site_expanded(task->site, "mail_version"));
    json_bool(&json, "running", is_running(task));
    json_number(&json, "services", (long long)differences->services);
    json_number(&json, "services_present", (long long)differences->services_present);
    json_open(&json, "differences", '[');
    for (size_t i = 0; i < differences->count; i++)
        json_text(&json, NULL, differences->items[i]);
    json_close(&json, ']');
    json_findings(&json, task);
    json_close(&json, '}');
    print_json(&text);
}

static int
status(struct task *task)
{
    struct apply apply = {.site = task->site, .plan = &task->plan};
    bool current = apply_is_current(&apply);
    struct differences differences;

    differences_make(task->site, &task->plan, &differences);
    if (task->json) {
        status_json(task, &differences, current);
    } else {
        printf("%s: %s; %zu of %zu services as configured; Postfix %s %s\n", task->site->dir,
               state_name(task, current), differences.services_present, differences.services,
               site_expanded(task->site, "mail_version"),
               is_running(task) ? "runs" : "does not run");
        for (size_t i = 0;
             task->site->main.blocks + task->site->master.blocks > 0 && i < differences.count; i++)
            printf("%s\n", differences.items[i]);
        print_findings(stdout, task);
    }
    differences_clear(&differences);
    return current ? CTL_GOOD : CTL_BAD_NEWS;
}

static const struct verb {
    const char *name;
    int (*run)(struct task *task);
    bool needs_plan; /* and so the configuration; remove must work without */
    bool may_lack;   /* works where there is no main.cf */
} verbs[] = {
    {"render", render, true, true},  {"diff", diff, true, false},
    {"apply", apply, true, false},   {"remove", take_out, false, false},
    {"status", status, true, false},
};

static int
run_verb(const struct ctl *ctl, const struct verb *verb, struct task *task)
{
    struct err err;
    int r;

    if (verb->needs_plan && ctl_load(ctl->file, &task->conf) < 0)
        return CTL_USAGE;
    r = site_load(task->dir, verb->may_lack, &task->site, &err);
    if (r < 0) {
        fail(&err);
        return r == -ENOENT || r == -ENOTDIR ? CTL_USAGE : CTL_BAD_NEWS;
    }
    if (verb->needs_plan) {
        if (plan_make(task->conf, task->site, &task->plan, &err) < 0)
            return fail(&err);
        findings_make(task->conf, task->site, &task->findings);
    }
    return verb->run(task);
}

/* Returns the verb, or NULL after *ret_status was set to what to end with. */
static const struct verb *
parse(int argc, char **argv, struct task *task, int *ret_status)
{
    static const struct option options[] = {
        {"config-dir", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"force", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static char program[] = "postpool";
    int option;

    *ret_status = CTL_USAGE;
    argv[0] = program; /* for getopt's own complaints */
    optind = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'd') {
            task->dir = optarg;
        } else if (option == 'j') {
            task->json = true;
        } else if (option == 'f') {
            task->force = true;
        } else {
            *ret_status = option == 'h' ? CTL_GOOD : CTL_USAGE;
            fputs(usage, option == 'h' ? stdout : stderr);
            return NULL;
        }
    }
    for (size_t i = 0; argc - optind == 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, argv[optind]) == 0)
            return &verbs[i];
    }
    if (optind < argc)
        fprintf(stderr, "postpool: transports knows no \"%s%s\"\n\n", argv[optind],
                optind + 1 < argc ? " ..." : "");
    fputs(usage, stderr);
    return NULL;
}

int
ctl_transports(const struct ctl *ctl, int argc, char **argv)
{
    struct task task = {.json = ctl->json};
    int result;
    const struct verb *verb = parse(argc, argv, &task, &result);

    if (verb != NULL)
        result = run_verb(ctl, verb, &task);
    findings_clear(&task.findings);
    plan_clear(&task.plan);
    site_free(task.site);
    conf_unref(task.conf);
    return result;
}
