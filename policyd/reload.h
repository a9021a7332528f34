/*
 * Loading a configuration beside the loop: a file with 10,000 addresses takes
 * longer to read than a lookup may wait.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_RELOAD_H
#define POLICYD_RELOAD_H

#include "lib/conf.h"

struct event_base;
struct reload;
struct roster;

/*
 * What came of it.  conf is NULL when the file was refused, roster also when
 * this host's addresses could not be told; both are the callee's.
 */
typedef void reload_done_fn(void *arg, struct conf *conf, struct roster *roster,
                            const struct conf_problems *problems);

/*
 * Load file in a thread and call done(arg, ...) from the loop, exactly once.
 * NULL when no thread could be made; done is then not called.
 */
struct reload *reload_start(struct event_base *base, const char *file, reload_done_fn *done,
                            void *arg);

/* Wait for the thread and forget what it loaded; done is not called any more.  Takes NULL. */
void reload_cancel(struct reload *reload);

/*
 * conf_unref() beside the loop: 10,000 addresses take some milliseconds.
 */
void reload_let_go(struct conf *conf);

#endif
