/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/redis_url.h"

#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define PERCENT "; a %% in it is written %%25"

enum {
    PORT = 6379,
    URL_MAX = 1024,
    HOST_MAX_LENGTH = 253,
    DATABASE_MAX = 9999,
};

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: a percent sign without two hexadecimal digits, or a NUL byte. */
static char *
decode(const char *text, size_t length)
{
    char *out = mem_array(length + 1, 1);
    size_t count = 0;

    for (size_t i = 0; i < length; i++) {
        int high = -1, low = -1;

        if (text[i] != '%') {
            out[count++] = text[i];
            continue;
        }
        if (i + 2 < length) {
            high = hex(text[i + 1]);
            low = hex(text[i + 2]);
        }
        if (high < 0 || low < 0 || high + low == 0) {
            free(out);
            return NULL;
        }
        out[count++] = (char)(high * 16 + low);
        i += 2;
    }
    return out;
}

/* Digits alone, no more than most; -1: not so. */
static int
number(const char *text, size_t length, int most)
{
    int value = 0;

    if (length == 0 || length > 5)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value <= most ? value : -1;
}

static int
parse_login(const char *text, size_t length, struct redis_url *url, struct err *err)
{
    const char *colon = memchr(text, ':', length);

    if (colon == NULL) /* others read it as the user, or as the password */
        return err_set(err, -EINVAL,
                       "one word before the @; write user:password, or :password without a user");
    if (colon + 1 == text + length)
        return err_set(err, -EINVAL,
                       "the password is empty; write user:password or leave the login out");
    url->password = decode(colon + 1, length - (size_t)(colon + 1 - text));
    if (url->password == NULL)
        return err_set(err, -EINVAL, "the password is no percent-encoded text" PERCENT);
    if (colon == text)
        return 0;
    url->user = decode(text, (size_t)(colon - text));
    return url->user != NULL ? 0
                             : err_set(err, -EINVAL, "the user is no percent-encoded text" PERCENT);
}

static int
no_slash(struct err *err)
{
    return err_set(err, -EINVAL, "a / in user or password is written %%2F");
}

static int
parse_host(const char *text, size_t length, char **ret_host, uint16_t *ret_port, struct err *err)
{
    const char *end = text + length, *host = text, *behind;
    size_t host_length;
    int port = 0;

    if (length > 0 && text[0] == '[') {
        behind = memchr(text, ']', length);
        if (behind == NULL)
            return err_set(err, -EINVAL, "a [ without its ]");
        host = text + 1;
        host_length = (size_t)(behind - host);
        behind++;
    } else {
        behind = memchr(text, ':', length);
        behind = behind != NULL ? behind : end;
        host_length = (size_t)(behind - text);
    }
    if (host_length == 0 || host_length > HOST_MAX_LENGTH)
        return err_set(err, -EINVAL, "there is no host");
    for (size_t i = 0; i < host_length; i++)
        if (host[i] <= ' ' || host[i] > '~' || strchr("/?#@[]", host[i]) != NULL)
            return err_set(err, -EINVAL, "the host has a character that no host has");
    if (behind < end) {
        port = *behind == ':' ? number(behind + 1, (size_t)(end - behind - 1), 65535) : -1;
        if (port < 1)
            return err_set(err, -EINVAL, "the port is no number from 1 to 65535");
    }
    *ret_host = mem_strndup(host, host_length);
    *ret_port = (uint16_t)port;
    return 0;
}

int
redis_url_host(const char *text, char **ret_host, uint16_t *ret_port, struct err *err)
{
    return parse_host(text, strlen(text), ret_host, ret_port, err);
}

static int
parse_database(const char *text, struct redis_url *url, struct err *err)
{
    url->database = text[0] != '\0' ? number(text, strlen(text), DATABASE_MAX) : 0;
    return url->database >= 0
               ? 0
               : err_set(err, -EINVAL, "the database is no number from 0 to %d", DATABASE_MAX);
}

static int
parse_network(const char *text, struct redis_url *url, struct err *err)
{
    const char *slash = strchr(text, '/');
    const char *end = slash != NULL ? slash : text + strlen(text);
    const char *at = memrchr(text, '@', (size_t)(end - text));
    int r = 0;

    if (slash != NULL && strchr(slash, '@') != NULL)
        return no_slash(err);
    if (at != NULL) {
        r = parse_login(text, (size_t)(at - text), url, err);
        text = at + 1;
    }
    if (r == 0 && text < end)
        r = parse_host(text, (size_t)(end - text), &url->host, &url->port, err);
    if (url->port == 0)
        url->port = PORT;
    return r == 0 && slash != NULL ? parse_database(slash + 1, url, err) : r;
}

static int
parse_unix(const char *text, struct redis_url *url, struct err *err)
{
    const char *slash = strchr(text, '/');
    const char *question = slash != NULL ? strchr(slash, '?') : NULL;
    size_t length = question != NULL ? (size_t)(question - slash)
                    : slash != NULL  ? strlen(slash)
                                     : 0;
    int r = 0;

    if (slash != NULL && slash > text && slash[-1] != '@' && strstr(slash, "@/") != NULL)
        return no_slash(err);
    if (slash == NULL || (slash > text && slash[-1] != '@'))
        return err_set(err, -EINVAL, "unix: wants a path that begins with a slash");
    if (length >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return err_set(err, -EINVAL, "the path is too long for a unix socket");
    if (slash > text)
        r = parse_login(text, (size_t)(slash - 1 - text), url, err);
    if (r < 0)
        return r;
    url->path = mem_strndup(slash, length);
    if (question == NULL)
        return 0;
    if (strncmp(question, "?db=", 4) != 0)
        return err_set(err, -EINVAL, "behind the path only ?db=NUMBER is known");
    return parse_database(question + 4, url, err);
}

int
redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err)
{
    struct redis_url url = {.port = PORT};
    int r;

    if (strlen(text) > URL_MAX)
        return err_set(err, -EINVAL, "longer than %d characters", URL_MAX);
    if (text[0] == '\0') {
        r = 0;
    } else if (strncmp(text, "redis://", 8) == 0) {
        r = parse_network(text + 8, &url, err);
    } else if (strncmp(text, "rediss://", 9) == 0) {
        url.tls = true;
        r = parse_network(text + 9, &url, err);
    } else if (strncmp(text, "unix:", 5) == 0) {
        r = parse_unix(text + 5, &url, err);
    } else {
        r = err_set(err, -EINVAL, "begins with none of redis://, rediss://, unix:");
    }
    if (r < 0)
        redis_url_clear(&url);
    else
        *ret_url = url;
    return r;
}

void
redis_url_clear(struct redis_url *url)
{
    free(url->path);
    free(url->host);
    free(url->user);
    if (url->password != NULL)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    *url = (struct redis_url){0};
}

char *
redis_url_print(const struct redis_url *url)
{
    const char *host = url->host != NULL ? url->host : "";
    bool brackets = strchr(host, ':') != NULL;

    if (url->path != NULL)
        return url->database > 0 ? mem_printf("unix:%s?db=%d", url->path, url->database)
                                 : mem_printf("unix:%s", url->path);
    return mem_printf("redis%s://%s%s%s:%u/%d", url->tls ? "s" : "", brackets ? "[" : "", host,
                      brackets ? "]" : "", url->port, url->database);
}
