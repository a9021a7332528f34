/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_tls.h"

#ifdef HAVE_HIREDIS_SSL

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct redis_tls {
    char *ca, *cert, *key; /* owned; files; NULL: the system's CAs, no certificate */
    char *expected;        /* owned; whose certificate it must be; NULL: the host's */
    SSL *ssl;              /* of the last connection, which has it, too */
    char *name;            /* owned; that its certificate must have */
};

bool
redis_tls_is_there(void)
{
    return true;
}

static char *
copy(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

struct redis_tls *
redis_tls_new(const struct conf *conf)
{
    struct redis_tls *tls = mem_new(sizeof(*tls));

    tls->ca = copy(conf->store_tls_ca);
    tls->cert = copy(conf->store_tls_cert);
    tls->key = copy(conf->store_tls_key);
    tls->expected = copy(conf->store_tls_name);
    return tls;
}

void
redis_tls_free(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls->ca);
    free(tls->cert);
    free(tls->key);
    free(tls->expected);
    free(tls->name);
    free(tls);
}

/* What OpenSSL said first, and nothing of it stays for hiredis to stumble over. */
static const char *
reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = NULL;

    if (ERR_SYSTEM_ERROR(code))
        text = strerror(ERR_GET_REASON(code));
    else if (code != 0)
        text = ERR_reason_error_string(code);
    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

static int
bad_file(struct err *err, const char *key, const char *path)
{
    return err_set(err, -EINVAL, "store.%s: %s: %s", key, path, reason());
}

static int
read_files(const struct redis_tls *tls, SSL_CTX *context, struct err *err)
{
    if (tls->ca == NULL)
        SSL_CTX_set_default_verify_paths(context);
    else if (SSL_CTX_load_verify_locations(context, tls->ca, NULL) != 1)
        return bad_file(err, "tls_ca", tls->ca);
    if (tls->cert == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, tls->cert) != 1)
        return bad_file(err, "tls_cert", tls->cert);
    if (SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1)
        return bad_file(err, "tls_key", tls->key);
    return 0;
}

/* An address stands elsewhere in a certificate, and no server is asked for by it (RFC 6066). */
static bool
expect(SSL *ssl, const char *name)
{
    struct in6_addr ip;

    if (inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool
has_failed(const SSL *ssl, const char *name, struct err *err)
{
    long verdict = SSL_get_verify_result(ssl);

    if (verdict != X509_V_OK) {
        ERR_clear_error();
        err_set(err, 0, "the certificate of %s is not accepted: %s", name,
                X509_verify_cert_error_string(verdict));
        return true;
    }
    if (ERR_peek_error() == 0)
        return false;
    err_set(err, 0, "TLS with %s: %s", name, reason());
    return true;
}

int
redis_tls_start(struct redis_tls *tls, struct redisContext *connection, const char *host,
                struct err *err)
{
    const char *name = tls->expected != NULL ? tls->expected : host;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    int r;

    ERR_clear_error();
    if (context == NULL)
        return err_set(err, -EPROTO, "TLS: %s", reason());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    r = read_files(tls, context, err);
    if (r < 0)
        goto out;
    ssl = SSL_new(context);
    if (ssl == NULL || !expect(ssl, name)) {
        r = err_set(err, -EPROTO, "TLS for %s: %s", name, reason());
        goto out;
    }
    if (redisInitiateSSL(connection, ssl) != REDIS_OK) {
        r = -EPROTO;
        if (!has_failed(ssl, name, err))
            err_set(err, r, "%s", connection->errstr);
        goto out;
    }
    SSL_up_ref(ssl); /* one is the connection's now */
    SSL_free(tls->ssl);
    free(tls->name);
    tls->ssl = ssl;
    tls->name = mem_strdup(name);
    ssl = NULL;
out:
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return r;
}

bool
redis_tls_failed(const struct redis_tls *tls, struct err *err)
{
    return tls->ssl != NULL && has_failed(tls->ssl, tls->name, err);
}

#else

#include <errno.h>
#include <stddef.h>

bool
redis_tls_is_there(void)
{
    return false;
}

struct redis_tls *
redis_tls_new(const struct conf *conf)
{
    (void)conf;
    return NULL;
}

void
redis_tls_free(struct redis_tls *tls)
{
    (void)tls;
}

int
redis_tls_start(struct redis_tls *tls, struct redisContext *connection, const char *host,
                struct err *err)
{
    (void)tls;
    (void)connection;
    (void)host;
    (void)err;
    return -EPROTO;
}

bool
redis_tls_failed(const struct redis_tls *tls, struct err *err)
{
    (void)tls;
    (void)err;
    return false;
}

#endif
