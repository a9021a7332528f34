/*
 * Where a Redis is, as one text.
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *     rediss://...                        the same with TLS
 *     unix:[[USER]:PASSWORD@]/PATH[?db=DATABASE]
 *
 * USER and PASSWORD are percent-decoded; HOST may be an IPv6 address in square
 * brackets.  A single word before the @ is a mistake: some read it as the user.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_REDIS_URL_H
#define LIB_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct redis_url {
    char *path; /* owned; a unix socket; NULL: host and port */
    char *host; /* owned; NULL with a path, and where no host was given */
    uint16_t port;
    bool tls;
    char *user;     /* owned; NULL: none */
    char *password; /* owned; NULL: none */
    int database;
};

/*
 * Returns 0, or -EINVAL with the reason, which never has the password in it,
 * and *ret_url untouched.  "" is allowed, and has all defaults but no host.
 */
int redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err);
void redis_url_clear(struct redis_url *url);

/* "host:port", "[::1]:port" into its parts; port 0: none was given.  The caller owns *ret_host. */
int redis_url_host(const char *text, char **ret_host, uint16_t *ret_port, struct err *err);

/* As text without user and password; the caller owns it. */
char *redis_url_print(const struct redis_url *url);

#endif
