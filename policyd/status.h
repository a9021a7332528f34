/*
 * What "status" on the control socket answers: JSON, or tables to read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STATUS_H
#define POLICYD_STATUS_H

#include <time.h>

struct breakers;
struct conf;
struct engagements;
struct figures;
struct hours;
struct lists;
struct mx;
struct pace;
struct roster;
struct policy_server;
struct server;
struct slo;
struct volume;
struct standings;
struct warmups;

/* All not ours. */
struct status {
    const struct conf *conf;
    const struct roster *roster;
    const struct figures *figures;
    const struct server *server;        /* NULL: not ready yet */
    const struct policy_server *policy; /* NULL: none */
    struct volume *volume;
    const struct feedback *feedback;
    time_t started;
    const struct mx *mx;
    struct breakers *breakers;
    const struct pace *pace;
    const struct lists *lists;
    const struct hours *hours;
    const struct slo *slo;
    struct warmups *warmups;
    struct standings *standings;
    const struct engagements *engagements;
};

/* The caller frees them. */
char *status_json(const struct status *status);
char *status_text(const struct status *status);

#endif
