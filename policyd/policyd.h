/*
 * The worker of postpool-policyd: what it holds and its life.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POLICYD_H
#define POLICYD_POLICYD_H

#include "lib/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct policyd_start {
    struct conf *conf; /* not ours; a reference is taken */
    int lookup;        /* listening sockets */
    int control;
    int policy;       /* -1: none */
    int alive_fd;     /* a byte goes here now and then; -1: none */
    bool notify;      /* tell systemd */
    uint64_t beat_ms; /* how often the sign of life is given */
};

/*
 * Serve until SIGTERM or SIGINT.  SIGHUP reloads.  Returns the exit status:
 * 0 after a signal.
 */
int policyd_run(const struct policyd_start *start);

#endif
