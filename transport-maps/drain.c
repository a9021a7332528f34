/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/drain.h"

#include "lib/clock.h"
#include "transport-maps/postfix.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 100, COMMAND_MAX = 1024 };

struct process {
    char program[32];
    int64_t started_ms;        /* wall clock */
    char command[COMMAND_MAX]; /* arguments, a NUL behind each and one more at the end */
};

/* Read /proc/PID/NAME into at most size bytes, the last two of them NUL. */
static bool
read_proc(const char *pid, const char *name, char *buffer, size_t size)
{
    char path[64];
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%.16s/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    memset(buffer, 0, size);
    length = read(fd, buffer, size - 2);
    close(fd);
    return length > 0;
}

/* Is it a child of parent?  Then fill *process. */
static bool
load_process(const char *pid, int parent, struct process *process)
{
    char stat[1024];
    char *open_paren;
    char *close_paren;
    int ppid = 0;
    unsigned long long started = 0; /* ticks since boot */

    if (!read_proc(pid, "stat", stat, sizeof(stat)))
        return false;
    open_paren = strchr(stat, '(');
    close_paren = strrchr(stat, ')');
    if (open_paren == NULL || close_paren == NULL ||
        sscanf(close_paren + 1,
               " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ppid, &started) != 2 ||
        ppid != parent)
        return false;
    *close_paren = '\0';
    snprintf(process->program, sizeof(process->program), "%s", open_paren + 1);
    process->started_ms = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) +
                          (int64_t)(started * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
    return read_proc(pid, "cmdline", process->command, sizeof(process->command));
}

/* master(8) gives the service's name behind -n where it is not the program's. */
static const char *
service_of(const struct process *process)
{
    const char *arg = process->command;

    while (*arg != '\0') {
        bool is_name = strcmp(arg, "-n") == 0;

        arg += strlen(arg) + 1;
        if (is_name)
            return arg;
    }
    return "";
}

/* When it came to its place: the bytes of a file that was renamed to there are older. */
static int64_t
changed_ms(const char *path)
{
    struct stat status;

    if (path == NULL || stat(path, &status) < 0)
        return 0;
    return (int64_t)status.st_ctim.tv_sec * 1000 + status.st_ctim.tv_nsec / 1000000;
}

static void
count(const struct drain *drain, int master, size_t *deliveries, size_t *intake)
{
    DIR *proc = opendir("/proc");
    int64_t since_ms = changed_ms(drain->intake_since);
    struct dirent *entry;

    *deliveries = *intake = 0;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        const struct cf_service *service;
        struct process process;

        if (!isdigit((unsigned char)entry->d_name[0]) ||
            !load_process(entry->d_name, master, &process))
            continue;
        service = cf_services_find(drain->services, service_of(&process), NULL);
        if (service != NULL && !cf_service_runs(service, "trivial-rewrite"))
            (*deliveries)++;
        else if (process.started_ms < since_ms &&
                 (strcmp(process.program, "smtpd") == 0 || strcmp(process.program, "cleanup") == 0))
            (*intake)++;
    }
    if (proc != NULL)
        closedir(proc);
}

void
drain_wait(const struct drain *drain, size_t *ret_deliveries, size_t *ret_intake)
{
    const struct timespec step = {0, STEP_MS * 1000000L};
    int64_t deadline = clock_ms(CLOCK_MONOTONIC) + DRAIN_TIME_MAX_MS;
    int master = postfix_master(drain->queue_directory);

    *ret_deliveries = *ret_intake = 0;
    while (master > 0) {
        count(drain, master, ret_deliveries, ret_intake);
        if ((*ret_deliveries == 0 && *ret_intake == 0) || clock_ms(CLOCK_MONOTONIC) >= deadline)
            break;
        nanosleep(&step, NULL);
    }
}
