/*
 * SPDX-License-Identifier: MIT
 */
#include "bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

void
measure_fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

double
measure_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
measure_quantile(double *values, int count, double part)
{
    int at = (int)(part * count);

    qsort(values, (size_t)count, sizeof(*values), compare);
    return values[at < count ? at : count - 1];
}

int
measure_connect(const char *path, double limit_ms)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    double end = measure_now_us() + limit_ms * 1000;
    struct timespec pause = {0, 20 * 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    if (fd < 0)
        measure_fail("socket");
    while (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        if (measure_now_us() > end)
            measure_fail(path);
        nanosleep(&pause, NULL);
    }
    return fd;
}
