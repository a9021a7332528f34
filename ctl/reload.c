/*
 * postpool reload: both daemons take the configuration file anew.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool reload [--json]\n"
    "\n"
    "Checks the configuration file, and has both daemons take it anew when it is good.  Prints\n"
    "what the policy daemon says changed; the milter tells of it in its log.\n"
    "New addresses: \"postpool transports apply\" before it; addresses that go: after it.\n";

/* The file may be older than the process that has the number now. */
static bool
is_milter(long pid)
{
    char path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(name, sizeof(name), file) == NULL)
        name[0] = '\0';
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
    return strcmp(name, "postpool-milter") == 0;
}

/* Signal the milter.  Returns NULL, or why not; the text is static. */
static const char *
signal_milter(const struct conf *conf)
{
    static char why[600];
    FILE *file = fopen(conf->milter_pid_file, "re");
    long pid = 0;
    int found;

    if (file == NULL) {
        snprintf(why, sizeof(why), "%s: %s; is postpool-milter running?", conf->milter_pid_file,
                 strerror(errno));
        return why;
    }
    found = fscanf(file, "%ld", &pid);
    fclose(file);
    if (found != 1 || pid <= 1) {
        snprintf(why, sizeof(why), "%s holds no process id", conf->milter_pid_file);
        return why;
    }
    if (!is_milter(pid)) {
        snprintf(why, sizeof(why), "process %ld of %s is no postpool-milter", pid,
                 conf->milter_pid_file);
        return why;
    }
    if (kill((pid_t)pid, SIGUSR1) < 0) {
        snprintf(why, sizeof(why), "process %ld of %s: %s", pid, conf->milter_pid_file,
                 strerror(errno));
        return why;
    }
    return NULL;
}

static void
print_json(const char *policyd, const char *milter)
{
    struct buf text = {0};
    struct json json = {.out = &text};

    json_open(&json, NULL, '{');
    json_text(&json, "milter_error", milter);
    buf_printf(&text, ",\"policyd\":%.*s", policyd != NULL ? (int)strcspn(policyd, "\n") : 4,
               policyd != NULL ? policyd : "null");
    json_close(&json, '}');
    puts(buf_text(&text));
    buf_clear(&text);
}

/* policyd's text is printed as it comes: "taken over" or "refused", then its lines. */
static void
print_text(const char *policyd, const char *milter)
{
    if (policyd != NULL)
        printf("postpool-policyd: %s", policyd);
    if (milter != NULL)
        fprintf(stderr, "postpool-milter: %s\n", milter);
    else
        printf("postpool-milter: asked to take it over; its log tells\n");
}

int
ctl_reload(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    char *answer = NULL;
    const char *milter;
    bool taken;
    int status;

    if (!ctl_arguments(argc, argv, 0, usage, &status))
        return status;
    if (ctl_load(ctl->file, &conf) < 0) {
        fprintf(stderr, "postpool: %s is refused; the daemons go on with what they have\n",
                ctl->file);
        return CTL_USAGE;
    }
    taken = ctl_ask(conf, ctl->json ? "reload json" : "reload", &answer) == 0 &&
            (strncmp(answer, "taken over", 10) == 0 || strstr(answer, "\"taken\":true") != NULL);
    milter = signal_milter(conf);
    if (ctl->json)
        print_json(answer, milter);
    else
        print_text(answer, milter);
    free(answer);
    conf_unref(conf);
    return taken && milter == NULL ? CTL_GOOD : CTL_BAD_NEWS;
}
