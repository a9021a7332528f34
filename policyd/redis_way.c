/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_way.h"

#include "lib/conf.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOVES_MAX = 5, /* redirections in a row that are followed at once */
    SENTINEL_PORT = 26379,
};

void
redis_way_read(struct redis_way *way, const struct conf *conf)
{
    redis_url_parse(conf->store_url, &way->url, NULL); /* the configuration was checked */
    way->sentinels = mem_array(conf->store_sentinels.count, sizeof(char *));
    for (size_t i = 0; i < conf->store_sentinels.count; i++)
        way->sentinels[way->sentinel_count++] = mem_strdup(conf->store_sentinels.items[i]);
    way->master = mem_strdup(conf->store_master);
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

/* Redis writes an IPv6 address without brackets, and no host for the one that we are at. */
static char *
with_brackets(const char *moved, const char *here)
{
    const char *colon = strrchr(moved, ':');
    size_t length = colon != NULL ? (size_t)(colon - moved) : 0;
    const char *host = length > 0 || here == NULL ? moved : here;
    bool bare;

    if (host == here)
        length = strlen(here);
    bare = memchr(host, ':', length) != NULL && host[0] != '[';
    return mem_printf("%s%.*s%s%s", bare ? "[" : "", (int)length, host, bare ? "]" : "",
                      colon != NULL ? colon : "");
}

static int
follow(struct redis_way *way, const char *here, struct redis_step *step)
{
    char *moved = with_brackets(way->moved, here);
    int r = redis_url_host(moved, &step->host, &step->port, NULL);

    step->asking = way->moved_asking;
    free(moved);
    free(way->moved);
    way->moved = NULL; /* once: if it fails, we begin where we were told to */
    if (r == 0 && step->port == 0) {
        free(step->host);
        step->host = NULL;
        r = -EINVAL;
    }
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
                       NULL); /* was checked, too */
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
