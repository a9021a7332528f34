/*
 * "unix:/path" and "inet:host:port", as text and as sockets.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_ENDPOINT_H
#define LIB_ENDPOINT_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Connections that the kernel keeps for us while we are busy (facts: a full one fails lookups). */
enum { ENDPOINT_BACKLOG = 4096 };

/* Whom a unix socket belongs to; (uid_t)-1, (gid_t)-1: leave as it is. */
struct endpoint_access {
    uid_t owner;
    gid_t group;
    mode_t mode;
};

/* Returns 0 when text is an endpoint, or -EINVAL with the reason. */
int endpoint_check(const char *text, struct err *err);

/* The path of a unix endpoint, pointing into text; NULL for others. */
const char *endpoint_path(const char *text);

/*
 * Remove the socket file that a program left which is gone.  One that is
 * served, or no socket, stays: then the result is negative, with the reason.
 */
int endpoint_clear(const char *text, struct err *err);

/*
 * Listen, non-blocking and close-on-exec.  After
 * endpoint_clear().  Returns the descriptor or a negative errno with the reason.
 */
int endpoint_listen(const char *text, const struct endpoint_access *access, struct err *err);

/* Give a unix socket's file to whom it shall belong.  0 or a negative errno. */
int endpoint_give(const char *path, const struct endpoint_access *access, struct err *err);

/* Connect, blocking.  Returns the descriptor or a negative errno with the reason. */
int endpoint_connect(const char *text, struct err *err);

/* Does the listening socket fd stand for this endpoint?  For sockets from systemd. */
bool endpoint_is(const char *text, int fd);

#endif
