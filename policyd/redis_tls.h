/*
 * TLS to a Redis, where hiredis has it.
 *
 * hiredis alone would take any name in the certificate and not tell what was
 * wrong, so the context is OpenSSL's and ours.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_TLS_H
#define POLICYD_REDIS_TLS_H

#include <stdbool.h>

struct conf;
struct err;
struct redisContext;
struct redis_tls;

/* Is it built in? */
bool redis_tls_is_there(void);

/* As store.tls_... of conf say. */
struct redis_tls *redis_tls_new(const struct conf *conf);
void redis_tls_free(struct redis_tls *tls);

/*
 * The connection, which may be on its way, speaks TLS from now on.  The other
 * side's certificate must be for store.tls_name, or for host if that is not
 * set.  The files are read again each time, so that a renewed certificate is
 * used.  Returns 0, -EINVAL for what the files hold, -EPROTO.
 */
int redis_tls_start(struct redis_tls *tls, struct redisContext *connection, const char *host,
                    struct err *err);

/* Did TLS end the last connection?  Then err says why.  Only in its disconnect callback. */
bool redis_tls_failed(const struct redis_tls *tls, struct err *err);

#endif
