/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/redis_world.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 2000 }; /* to reach the server, 10 ms apart */

redisContext *redis_world_link;
static pid_t server;
static char folder[] = "/tmp/postpool-test-XXXXXX";
static char sha[REDIS_SHA_SIZE];

redisReply *
redis_world_run(struct redis_args *args)
{
    redisReply *reply = redisCommandArgv(redis_world_link, (int)args->count,
                                         (const char **)args->items, args->lengths);

    redis_args_clear(args);
    if (reply == NULL)
        fail_msg("Redis is gone: %s", redis_world_link->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s", reply->str);
    return reply;
}

struct redis_caller
redis_world_caller(const struct redis_world *w, const struct redis_world_node *node)
{
    return (struct redis_caller){
        .sha = sha,
        .prefix = w->prefix,
        .node = node->name,
        .run_id = "0123456789abcdef",
        .life = node->life,
        .node_timeout_ms = REDIS_WORLD_TIMEOUT_MS,
        .clock_ms = w->now_ms,
    };
}

bool
redis_world_is_away(const struct redis_world *w, const struct redis_world_node *node)
{
    return node->heard_ms + REDIS_WORLD_TIMEOUT_MS <= w->now_ms;
}

redisReply *
redis_world_send_beat(const struct redis_caller *who, uint64_t former, bool starts)
{
    struct redis_args args = {0};

    redis_script_begin(&args, who, "beat", NULL);
    redis_args_print(&args, "%llu", (unsigned long long)former);
    redis_args_print(&args, "7");
    redis_args_print(&args, "%d", starts);
    return redis_world_run(&args);
}

void
redis_world_beat(struct redis_world *w, struct redis_world_node *node, bool starts)
{
    struct redis_args args = {0};
    struct redis_caller who;
    struct redis_answer answer;
    redisReply *reply;
    uint64_t former = node->life;

    if (node->life != 0 && redis_world_is_away(w, node)) {
        node->was_ms =
            node->back_ms > 0 && node->was_ms < node->heard_ms ? node->was_ms : node->heard_ms;
        node->back_ms = w->now_ms;
        node->lost = starts || node->lost;
        node->first = w->lives + 1;
    }
    node->life = ++w->lives;
    node->seq = 0;
    node->asked = false;
    node->heard_ms = w->now_ms;
    who = redis_world_caller(w, node);
    reply = redis_world_send_beat(&who, former, starts);
    redis_script_answer(reply, &answer);
    assert_int_equal(answer.status, REDIS_OK_THERE);
    if (!answer.confirmed) {
        redis_script_begin(&args, &who, "confirm", NULL);
        redis_args_print(&args, "%lld", (long long)answer.generation);
        freeReplyObject(reply);
        reply = redis_world_run(&args);
        redis_script_answer(reply, &answer);
        assert_int_equal(answer.status, REDIS_OK_THERE);
        assert_true(answer.confirmed);
    }
    freeReplyObject(reply);
}

int
redis_world_setup(void **state)
{
    char path[64];
    redisReply *reply;

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/s", folder);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
               "--dir", folder, "--logfile", "/dev/null", "--enable-debug-command", "no", NULL);
        _exit(127);
    }
    for (int i = 0; i < TRIES; i++) {
        redis_world_link = redisConnectUnix(path);
        if (redis_world_link != NULL && redis_world_link->err == 0)
            break;
        redisFree(redis_world_link);
        redis_world_link = NULL;
        usleep(10000);
        if (waitpid(server, NULL, WNOHANG) == server)
            break;
    }
    if (redis_world_link == NULL) {
        print_error("redis-server cannot be started; on Debian: apt-get install redis-server\n");
        return -1;
    }
    reply = redisCommand(redis_world_link, "SCRIPT LOAD %s", redis_script);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        print_error("SCRIPT LOAD: %s\n", reply != NULL ? reply->str : redis_world_link->errstr);
        return -1;
    }
    snprintf(sha, sizeof(sha), "%s", reply->str);
    freeReplyObject(reply);
    return 0;
}

int
redis_world_teardown(void **state)
{
    char path[64];

    (void)state;
    redisFree(redis_world_link);
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    snprintf(path, sizeof(path), "%s/s", folder);
    unlink(path);
    rmdir(folder);
    return 0;
}

void
redis_world_assert_expiry(void **state)
{
    redisReply *keys = redisCommand(redis_world_link, "KEYS *");

    (void)state;
    assert_true(keys->elements >= 2);
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *left = redisCommand(redis_world_link, "PTTL %s", keys->element[i]->str);

        assert_true(left->integer > 0);
        freeReplyObject(left);
    }
    freeReplyObject(keys);
}
