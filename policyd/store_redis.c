/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/err.h"

#include <errno.h>

static int
open_store(struct event_base *base, const struct conf *conf, const struct store_events *events,
           struct store **ret_store, struct err *err)
{
    (void)base;
    (void)conf;
    (void)events;
    (void)ret_store;
    return err_set(err, -ENOSYS, "store.type: redis is not there yet");
}

const struct store_kind store_redis = {.open = open_store};
