/*
 * The inside of struct volume, for volume.c and volume_status.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_VOLUME_INSIDE_H
#define POLICYD_VOLUME_INSIDE_H

#include "engine/hash.h"
#include "policyd/volume.h"

#include <stddef.h>

struct event;
struct grants;
struct store;

struct volume {
    struct event_base *base; /* not ours */
    struct conf *conf;       /* not ours */
    struct meters *meters;   /* NULL: nothing has caps */
    struct grants *grants;
    uint8_t grant_secret[HASH_KEY_SIZE];
    struct store *store; /* NULL: none is needed, or it cannot be opened */
    struct event *sweep;
    struct event *retry; /* a store that could not be opened at a reload */
    size_t swept;        /* where the next sweep begins */
    struct event *late;  /* the first leases did not come in time */
    size_t preparing;    /* first answers that are waited for */
    void (*ready)(void *arg);
    void *ready_arg;
    void (*on_room)(void *arg);
    void *arg; /* not ours */
    struct volume_figures figures;
    uint64_t accounts_refused; /* as far as the log has said */
    int64_t accounts_told_ms;
};

#endif
