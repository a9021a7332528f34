/*
 * The guard: a small process that holds the listening sockets and keeps a
 * worker running on them.
 *
 * A lookup server that hangs stops all mail of the host, and Postfix waits 100 s
 * for it; one that is gone costs next to nothing.  So the worker sends a sign
 * of life several times in the watchdog's time, and the guard kills it when
 * none comes.  The sockets stay open meanwhile: connections wait in them for
 * the next worker, and Postfix does not see that one ended.
 *
 * With systemd's own watchdog (WatchdogSec=) there is no guard: systemd does
 * the same and holds the sockets, too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_GUARD_H
#define POLICYD_GUARD_H

#include <stdbool.h>
#include <stdint.h>

typedef int guard_work_fn(void *arg, int alive_fd, bool first);

/*
 * Run work(arg, alive_fd, first) in child processes, one after the other, until
 * the guard gets SIGTERM or SIGINT, which it hands on.  SIGHUP is handed on, too.
 * first: no worker was up before.  The worker writes a byte to alive_fd at least every watchdog_ms
 * / 4 and ends when that fails: then the guard is gone.  ready(arg) is called in the guard when the
 * first worker is up.
 *
 * Returns the exit status: 0 after a signal.  A worker that ends by itself is
 * started anew, at once the first time and then after a growing pause; one
 * that never came up ends the guard with its status.
 */
int guard_run(int64_t watchdog_ms, guard_work_fn *work, void (*ready)(void *arg), void *arg);

#endif
