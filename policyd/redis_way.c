/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_way.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOVES_MAX = 5, /* redirections in a row that are followed at once */
    SENTINEL_PORT = 26379,
};

static int
read_sentinels(struct redis_way *way, const struct conf *conf, struct err *err)
{
    way->sentinels = mem_array(conf->store_sentinels.count, sizeof(char *));
    for (size_t i = 0; i < conf->store_sentinels.count; i++) {
        char *host;
        uint16_t port;
        int r = redis_url_host(conf->store_sentinels.items[i], &host, &port, err);

        if (r < 0)
            return err_add(err, r, "store.sentinels: \"%s\"", conf->store_sentinels.items[i]);
        free(host);
        way->sentinels[way->sentinel_count++] = mem_strdup(conf->store_sentinels.items[i]);
    }
    return 0;
}

int
redis_way_read(struct redis_way *way, const struct conf *conf, struct err *err)
{
    int r = redis_url_parse(conf->store_url, &way->url, err);

    if (r < 0)
        return err_add(err, r, "store.url");
#ifndef HAVE_HIREDIS_SSL
    if (way->url.tls)
        return err_set(err, -ENOTSUP,
                       "store.url: rediss:// needs hiredis with TLS, and this "
                       "postpool was built with one that has none");
#endif
    r = read_sentinels(way, conf, err);
    if (r < 0)
        return r;
    if (way->sentinel_count == 0 && way->url.path == NULL && way->url.host == NULL)
        return err_set(err, -EINVAL, "store.url: it names no host, and there are no sentinels");
    way->master = mem_strdup(conf->store_master);
    return 0;
}

void
redis_way_clear(struct redis_way *way)
{
    redis_url_clear(&way->url);
    for (size_t i = 0; i < way->sentinel_count; i++)
        free(way->sentinels[i]);
    free(way->sentinels);
    free(way->master);
    free(way->moved);
    *way = (struct redis_way){0};
}

static int
follow(struct redis_way *way, const char *here, struct redis_step *step)
{
    char *moved = way->moved;
    int r = 0;

    way->moved = NULL; /* once: if it fails, we begin where we were told to */
    step->asking = way->moved_asking;
    if (moved[0] == ':' && here != NULL) {
        step->host = mem_strdup(here);
        step->port = (uint16_t)atoi(moved + 1);
    } else {
        r = redis_url_host(moved, &step->host, &step->port, NULL);
    }
    free(moved);
    return r;
}

int
redis_way_next(struct redis_way *way, const char *here, struct redis_step *ret_step)
{
    struct redis_step step = {0};
    int r = 0;

    if (way->moved != NULL) {
        r = follow(way, here, &step);
    } else if (way->sentinel_count > 0) {
        step.sentinel = true;
        redis_url_host(way->sentinels[way->sentinel], &step.host, &step.port,
                       NULL); /* was read before */
        if (step.port == 0)
            step.port = SENTINEL_PORT;
    } else if (way->url.path != NULL) {
        step.path = way->url.path;
    } else {
        step.host = mem_strdup(way->url.host);
        step.port = way->url.port;
    }
    *ret_step = step;
    return r;
}

bool
redis_way_next_sentinel(struct redis_way *way)
{
    way->sentinel = (way->sentinel + 1) % way->sentinel_count;
    if (++way->tried < way->sentinel_count)
        return true;
    way->tried = 0;
    return false;
}

bool
redis_way_move(struct redis_way *way, const char *where, bool asking)
{
    free(way->moved);
    way->moved = mem_strdup(where);
    way->moved_asking = asking;
    return way->moves++ < MOVES_MAX;
}

void
redis_way_found(struct redis_way *way)
{
    way->tried = 0;
}

void
redis_way_settle(struct redis_way *way)
{
    way->moves = 0;
}
