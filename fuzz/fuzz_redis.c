/*
 * What a Redis may say, and where it is: the url, and replies of the script.
 *
 * Input: a url, NUL, a host with its port, NUL, then a reply in RESP.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/err.h"
#include "lib/redis_url.h"
#include "policyd/redis_script.h"

#include <hiredis/hiredis.h>
#include <string.h>

enum { REPLY_MAX = 4096 };

/* What is printed names the same place, and no secret. */
static void
check_url(const char *text)
{
    struct redis_url url, again;
    struct err err;
    char *printed;

    if (redis_url_parse(text, &url, &err) < 0) {
        MUST(strlen(err.msg) > 0);
        return;
    }
    MUST(url.path == NULL || url.path[0] == '/');
    MUST(url.port > 0 && url.database >= 0);
    printed = redis_url_print(&url);
    if (url.password != NULL && strlen(url.password) > 8)
        MUST(strstr(printed, url.password) == NULL || strstr(text, printed) != NULL ||
             (url.host != NULL && strstr(url.host, url.password) != NULL) ||
             (url.path != NULL && strstr(url.path, url.password) != NULL) ||
             strstr("redis://:6379/0", url.password) != NULL);
    if (url.host != NULL || url.path != NULL) {
        MUST(redis_url_parse(printed, &again, NULL) == 0);
        MUST(again.port == url.port && again.database == url.database && again.tls == url.tls);
        MUST(again.user == NULL && again.password == NULL);
        redis_url_clear(&again);
    }
    free(printed);
    redis_url_clear(&url);
}

static void
check_host(const char *text)
{
    char *host;
    uint16_t port;

    if (redis_url_host(text, &host, &port, NULL) < 0)
        return;
    MUST(strlen(host) > 0 && strpbrk(host, "/@ ") == NULL);
    free(host);
}

static void
check_answer(const redisReply *reply)
{
    struct redis_answer answer;
    size_t sum = 0;

    redis_script_answer(reply, &answer);
    if (answer.row != NULL)
        for (size_t i = 0; i < answer.row_length; i++)
            sum += (unsigned char)answer.row[i];
    if (answer.nodes != NULL)
        for (size_t i = 0; i + 3 < answer.nodes->elements; i += 4)
            sum += strlen(answer.nodes->element[i]->str);
    MUST(answer.status <= REDIS_STRANGE && sum < SIZE_MAX);
}

/* hiredis allocates what an array says that it holds, up to 2^32: nothing to learn about us. */
static bool
is_huge(const struct fuzz_input *input)
{
    size_t digits = 0;
    bool counts = false;

    for (size_t i = 0; i < input->size && digits < 5; i++) {
        counts =
            input->data[i] == '*' || (counts && input->data[i] >= '0' && input->data[i] <= '9');
        digits = counts ? digits + 1 : 0;
    }
    return digits >= 5;
}

static void
check_reply(struct fuzz_input *input)
{
    redisReader *reader = redisReaderCreate();
    size_t length = input->size < REPLY_MAX ? input->size : REPLY_MAX;
    void *reply = NULL;

    if (is_huge(input)) {
        redisReaderFree(reader);
        return;
    }
    MUST(redisReaderFeed(reader, (const char *)input->data, length) == REDIS_OK);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
        check_answer(reply);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *url = fuzz_text(&input), *host = fuzz_text(&input);

    check_url(url);
    check_host(host);
    check_reply(&input);
    free(url);
    free(host);
    return 0;
}
