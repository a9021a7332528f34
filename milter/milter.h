/*
 * libmilter around the session: callbacks gather, the session decides, the
 * end of the message carries it out.
 *
 * libmilter calls from many threads, never two at once for one connection.
 * Each connection has its own struct session; the configuration is the only
 * thing shared, and it is counted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_MILTER_H
#define MILTER_MILTER_H

struct conf;
struct endpoint_access;
struct err;

/*
 * Make the socket.  conf is the first configuration (a reference is taken).
 * Returns 0 or a negative errno.
 */
int milter_open(struct conf *conf, const struct endpoint_access *access, struct err *err);

/*
 * Serve until SIGTERM or SIGINT.  SIGUSR1 reloads; libmilter keeps SIGHUP for
 * itself and ends.  Returns the exit status.
 */
int milter_run(void);

#endif
