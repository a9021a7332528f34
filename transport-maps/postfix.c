/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/postfix.h"

#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/edit.h"
#include "transport-maps/run.h"
#include "transport-maps/site.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* master(8) listens as soon as it has read master.cf. */
enum { SOCKET_TIME_MAX_MS = 30000, SOCKET_STEP_MS = 20 };

/* Run a program that must succeed; what names it in the reason. */
static int
run_well(const char *const argv[], const char *what, struct run_result *ret_result, struct err *err)
{
    struct run_result result = {0};
    int r = run(argv, NULL, NULL, &result, err);

    if (r == 0 && result.status != 0) {
        char *complaint = run_complaint(&result);

        r = err_set(err, -EINVAL, "%s: %s", what, complaint);
        free(complaint);
    }
    if (r == 0 && ret_result != NULL)
        *ret_result = result;
    else
        run_result_clear(&result);
    return r;
}

pid_t
postfix_master(const char *queue_directory)
{
    char *path = mem_printf("%s/pid/master.pid", queue_directory);
    char *text = NULL;
    pid_t pid = file_read(path, &text, NULL) == 0 ? atoi(text) : 0;

    free(text);
    free(path);
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) ? pid : 0;
}

bool
postfix_runs(const char *dir, const char *queue_directory)
{
    const char *argv[] = {"postfix", "-c", dir, "status", NULL};
    struct run_result result = {0};
    /* It takes a second to say no. */
    bool runs = postfix_master(queue_directory) != 0 && run(argv, NULL, NULL, &result, NULL) == 0 &&
                result.status == 0;

    run_result_clear(&result);
    return runs;
}

int
postfix_reload(const char *dir, struct err *err)
{
    const char *argv[] = {"postfix", "-c", dir, "reload", NULL};

    return run_well(argv, "postfix reload", NULL, err);
}

/* Does somebody listen there?  Master leaves the file of a service that is gone. */
static bool
is_served(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool served = false;

    if (fd >= 0 && strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        served = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    }
    if (fd >= 0)
        close(fd);
    return served;
}

int
postfix_wait_service(const char *queue_directory, const char *service, struct err *err)
{
    const struct timespec step = {0, SOCKET_STEP_MS * 1000000L};
    char *path = mem_printf("%s/private/%s", queue_directory, service);
    int waited_ms = 0;
    int r = 0;

    while (!is_served(path)) {
        if (waited_ms >= SOCKET_TIME_MAX_MS) {
            r = err_set(err, -ETIMEDOUT, "Postfix does not serve %s after %d s", path,
                        SOCKET_TIME_MAX_MS / 1000);
            break;
        }
        nanosleep(&step, NULL);
        waited_ms += SOCKET_STEP_MS;
    }
    free(path);
    return r;
}

void
postfix_sweep(const char *queue_directory, const struct cf_services *services)
{
    for (size_t i = 0; i < services->count; i++) {
        char *path =
            mem_printf("%s/private/%s", queue_directory, services->items[i].fields[CF_NAME]);
        struct stat status;

        if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
            unlink(path);
        free(path);
    }
}

/* Lines, sorted, so that thousands can be looked up. */
struct lines {
    char **items;
    size_t count;
};

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* postconf prints one blank for several, and none at the end. */
static void
squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        bool blank = *from == ' ' || *from == '\t';

        if (!blank)
            *to++ = *from;
        else if (to > text && to[-1] != ' ')
            *to++ = ' ';
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

/* Split "name = value" lines in place; text must outlive lines. */
static void
lines_split(char *text, struct lines *lines)
{
    char *saved;
    size_t room = 0;

    *lines = (struct lines){0};
    for (char *line = strtok_r(text, "\n", &saved); line != NULL;
         line = strtok_r(NULL, "\n", &saved)) {
        squeeze(line);
        if (lines->count == room) {
            room = room > 0 ? room * 2 : 256;
            lines->items = mem_resize(lines->items, room, sizeof(lines->items[0]));
        }
        lines->items[lines->count++] = line;
    }
    if (lines->count > 1)
        qsort(lines->items, lines->count, sizeof(lines->items[0]), compare_lines);
}

static int
lines_expect(const struct lines *lines, const char *file, char *wanted, struct err *err)
{
    int r = 0;

    squeeze(wanted);
    if (lines->count == 0 || bsearch(&wanted, lines->items, lines->count, sizeof(lines->items[0]),
                                     compare_lines) == NULL)
        r = err_set(err, -EBADMSG, "%s: Postfix does not read '%s' there, as it was written", file,
                    wanted);
    free(wanted);
    return r;
}

/* main.cf: our parameters, and the site's where none of ours stands. */
static int
read_back_main(const char *dir, const char *text, struct err *err)
{
    struct edit_file file = {0};
    struct run_result result = {0};
    struct lines lines = {0};
    const char **argv = NULL;
    size_t argc = 0;
    int r = edit_parse_main(text, &file, err);

    if (r < 0)
        return r;
    argv = mem_array(file.param_count + 16, sizeof(argv[0]));
    argv[argc++] = "postconf";
    argv[argc++] = "-c";
    argv[argc++] = dir;
    for (size_t i = 0; i < file.param_count; i++)
        argv[argc++] = file.params[i].name;
    for (size_t i = 0; site_changed[i] != NULL; i++) {
        if (edit_find_param(file.params, file.param_count, site_changed[i]) == NULL)
            argv[argc++] = site_changed[i];
    }
    r = run_well(argv, "Postfix does not accept main.cf", &result, err);
    if (r < 0)
        goto out;
    lines_split(result.out, &lines);
    for (size_t i = 0; r == 0 && i < file.param_count; i++)
        r = lines_expect(&lines, "main.cf",
                         mem_printf("%s = %s", file.params[i].name, file.params[i].value), err);
    for (size_t i = 0; r == 0 && site_changed[i] != NULL; i++) {
        char *value;

        if (edit_find_param(file.params, file.param_count, site_changed[i]) != NULL)
            continue;
        value = cf_value(text, site_changed[i]);
        r = lines_expect(&lines, "main.cf",
                         mem_printf("%s = %s", site_changed[i], value != NULL ? value : ""), err);
        free(value);
    }
out:
    run_result_clear(&result);
    edit_file_clear(&file);
    free(lines.items);
    free(argv);
    return r;
}

/* All services as postconf sees them, against the same lines as we see them. */
static int
read_back_services(const char *dir, const struct cf_services *services, struct err *err)
{
    const char *argv[] = {"postconf", "-c", dir, "-M", NULL};
    struct run_result result = {0};
    struct cf_services found = {0};
    int r = run_well(argv, "Postfix does not accept master.cf", &result, err);

    if (r < 0)
        return r;
    cf_services_parse(result.out, &found);
    if (found.count != services->count)
        r = err_set(err, -EBADMSG, "master.cf: Postfix finds %zu services there, not %zu",
                    found.count, services->count);
    for (size_t i = 0; r == 0 && i < found.count; i++) {
        for (size_t j = 0; r == 0 && j < CF_FIELDS; j++) {
            if (strcmp(found.items[i].fields[j], services->items[i].fields[j]) != 0)
                r = err_set(err, -EBADMSG, "master.cf: Postfix reads '%s' for '%s' in service %s",
                            found.items[i].fields[j], services->items[i].fields[j],
                            services->items[i].fields[CF_NAME]);
        }
    }
    cf_services_clear(&found);
    run_result_clear(&result);
    return r;
}

/* Is the service ours, or continued by us? */
static bool
is_ours(const struct edit_file *file, const struct cf_services *added,
        const struct cf_service *service)
{
    const char *name = service->fields[CF_NAME];
    const char *type = service->fields[CF_TYPE];

    for (size_t i = 0; i < file->extra_count; i++) {
        if (strcmp(file->extras[i].service, name) == 0 && strcmp(file->extras[i].type, type) == 0)
            return true;
    }
    return cf_services_find(added, name, type) != NULL;
}

/* The -o options of one service. */
static int
read_back_options(const struct lines *lines, const struct cf_service *service, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < service->option_count; i++) {
        const char *name = service->options[i].name;

        r = lines_expect(lines, "master.cf",
                         mem_printf("%s/%s/%s = %s", service->fields[CF_NAME],
                                    service->fields[CF_TYPE], name,
                                    cf_service_option(service, name)),
                         err);
    }
    return r;
}

static int
read_back_master(const char *dir, const char *text, struct err *err)
{
    const char *argv[] = {"postconf", "-c", dir, "-P", NULL};
    struct edit_file file = {0};
    struct cf_services services = {0};
    struct cf_services added = {0};
    struct run_result result = {0};
    struct lines lines = {0};
    int r = edit_parse_master(text, &file, err);

    if (r < 0)
        return r;
    cf_services_parse(text, &services);
    cf_services_parse(file.services, &added);
    r = read_back_services(dir, &services, err);
    if (r == 0 && file.blocks > 0)
        r = run_well(argv, "Postfix does not accept master.cf", &result, err);
    if (r == 0 && file.blocks > 0) {
        lines_split(result.out, &lines);
        for (size_t i = 0; r == 0 && i < services.count; i++) {
            if (is_ours(&file, &added, &services.items[i]))
                r = read_back_options(&lines, &services.items[i], err);
        }
    }
    free(lines.items);
    run_result_clear(&result);
    cf_services_clear(&added);
    cf_services_clear(&services);
    edit_file_clear(&file);
    return r;
}

int
postfix_read_back(const char *dir, const char *main_text, const char *master_text, struct err *err)
{
    int r = read_back_master(dir, master_text, err);

    return r == 0 ? read_back_main(dir, main_text, err) : r;
}
