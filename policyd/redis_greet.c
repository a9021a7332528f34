/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_greet.h"

#include "lib/redis_url.h"
#include "policyd/redis_sent.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An error is the end, whatever the step. */
static bool
is_well(struct redis_greet *greet, const redisReply *reply)
{
    if (reply == NULL)
        return false;
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    greet->on_fail(greet->arg, reply->str);
    return false;
}

static void
on_step(void *arg, const redisReply *reply)
{
    is_well(arg, reply);
}

static void
on_info(void *arg, const redisReply *reply)
{
    struct redis_greet *greet = arg;
    const char *line;
    size_t length;

    if (!is_well(greet, reply))
        return;
    line = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "run_id:") : NULL;
    length = line != NULL ? strspn(line + 7, "0123456789abcdef") : 0;
    if (length == 0 || length > REDIS_RUN_ID_MAX) {
        greet->on_fail(greet->arg, "INFO does not tell a run_id");
        return;
    }
    memcpy(greet->run_id, line + 7, length);
    greet->run_id[length] = '\0';
}

static void
on_role(void *arg, const redisReply *reply)
{
    struct redis_greet *greet = arg;

    if (!is_well(greet, reply))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "master") != 0) {
        greet->on_fail(greet->arg, "it is no master");
        return;
    }
    greet->on_ready(greet->arg, greet->run_id);
}

void
redis_greet(struct redis_greet *greet, struct redis_sent *sent, struct redisAsyncContext *ac,
            const struct redis_url *url)
{
    char database[16];

    if (url->user != NULL)
        redis_sent_words(sent, ac, on_step, greet, "AUTH", url->user, url->password, NULL);
    else if (url->password != NULL)
        redis_sent_words(sent, ac, on_step, greet, "AUTH", url->password, NULL);
    snprintf(database, sizeof(database), "%d", url->database);
    if (url->database > 0)
        redis_sent_words(sent, ac, on_step, greet, "SELECT", database, NULL);
    redis_sent_words(sent, ac, on_info, greet, "INFO", "server", NULL);
    redis_sent_words(sent, ac, on_role, greet, "ROLE", NULL);
}

static void
on_master(void *arg, const redisReply *reply)
{
    struct redis_greet *greet = arg;
    int port;

    if (!is_well(greet, reply))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        greet->on_fail(greet->arg, "it does not know the master");
        return;
    }
    port = atoi(reply->element[1]->str);
    if (port < 1 || port > 65535) {
        greet->on_fail(greet->arg, "it tells a strange port");
        return;
    }
    greet->on_master(greet->arg, reply->element[0]->str, (uint16_t)port);
}

void
redis_greet_sentinel(struct redis_greet *greet, struct redis_sent *sent,
                     struct redisAsyncContext *ac, const char *master)
{
    redis_sent_words(sent, ac, on_master, greet, "SENTINEL", "get-master-addr-by-name", master,
                     NULL);
}
