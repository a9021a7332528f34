/*
 * The bytes of one connection to the policy service: requests, and the
 * answers to what is in them.
 *
 * The connection is run with a store that never answers, with one that answers
 * all it is asked, and with one that refuses everything.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "policyd/policy.h"
#include "policyd/policy_request.h"
#include "policyd/transactions.h"

#include <errno.h>
#include <string.h>

enum store { STORE_SILENT, STORE_FREE, STORE_FULL, STORES };

enum { GRANTS = 3 }; /* of one lease */

struct model {
    struct policy_view view;
    struct policy_session session;
    enum store store;
};

static bool
starts(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* One line that Postfix can take, and no other action than those of the manual. */
static void
check_answer(const struct model *model, const char *answer, const struct policy_result *result)
{
    MUST(strlen(answer) < POLICY_ANSWER_SIZE);
    for (const char *at = answer; *at != '\0'; at++)
        MUST(*at >= ' ' && *at <= '~');
    switch (result->answered) {
    case POLICY_DUNNO:
        MUST(strcmp(answer, "DUNNO") == 0);
        break;
    case POLICY_DEFER:
        MUST(starts(answer, "DEFER_IF_PERMIT 4.7.1 ") && strstr(answer, " reached, ") != NULL);
        break;
    case POLICY_REJECT:
        MUST(starts(answer, "REJECT 5.7.1 "));
        break;
    case POLICY_HOLD:
        MUST(starts(answer, "HOLD "));
        break;
    case POLICY_TAG:
        MUST(strcmp(answer, "PREPEND X-Postpool-Over-Quota: yes") == 0);
        break;
    case POLICY_WAIT:
        MUST(model->view.may_wait);
        break;
    }
    MUST(!result->over || result->stream != NULL);
    /* The header is asked for again when the recipient is. */
    MUST(result->answered == POLICY_DUNNO || result->answered == POLICY_WAIT || result->over ||
         result->answered == POLICY_TAG);
}

static void
store_answers(struct model *model)
{
    struct meters *meters = model->view.meters;
    struct book_ask ask;
    uint32_t number;

    if (model->store == STORE_SILENT)
        return;
    while ((number = meters_next(meters, model->view.store_ms, &ask)) != METERS_NONE) {
        struct book_answer answer = {.from_ms = model->view.store_ms};

        answer.count = model->store == STORE_FREE && ask.want > 0 ? GRANTS : 0;
        if (answer.count == 0)
            answer.again_ms = model->view.store_ms + 100000;
        meter_answered(&meters_at(meters, number)->meter, &answer, model->view.store_ms);
    }
}

static void
run_request(struct model *model, const struct policy_request *request)
{
    struct policy_view *view = &model->view;
    struct policy_result result, again;
    char answer[POLICY_ANSWER_SIZE], other[POLICY_ANSWER_SIZE];

    view->now_ms += 7;
    view->store_ms += 7;
    view->may_wait = true;
    policy_answer(view, &model->session, request, answer, &result);
    if (result.answered == POLICY_WAIT) {
        check_answer(model, "", &result);
        store_answers(model);
        view->may_wait = false;
        policy_answer(view, &model->session, request, answer, &result);
    }
    check_answer(model, answer, &result);
    /* Let in once, let in again: Postfix repeats what it got no answer to. */
    if (request->instance[0] != '\0') {
        policy_answer(view, &model->session, request, other, &again);
        MUST(result.answered != POLICY_DUNNO || again.answered == POLICY_DUNNO);
    }
    store_answers(model);
}

static void
check_parts(const char *data, size_t used)
{
    struct policy_request request;
    struct err err;

    for (size_t length = 0; length < used; length += 1 + used / 16)
        MUST(policy_request_parse(data, length, &request, &err) == 0);
}

/* The configuration of the other targets, with caps of each kind. */
static struct conf *
the_conf(void)
{
    struct conf *conf = fuzz_conf();
    struct stream *streams = conf->snapshot->streams;

    streams[0].account_caps =
        (struct caps){{{900000, 4, false, "15m"}, {3600000, 5, false, "hour"}}, 2};
    streams[1].caps = (struct caps){{{86400000, 10, true, "day"}}, 1};
    streams[1].account_caps = (struct caps){{{60000, 1, false, "minute"}}, 1};
    return conf;
}

static void
run_connection(const char *data, size_t size, enum store store, enum over_quota over_quota)
{
    struct conf *conf = the_conf();
    struct model model = {.store = store};
    struct policy_request request;
    struct err err;
    int used;

    conf->over_quota = over_quota;
    model.view = (struct policy_view){
        .conf = conf,
        .meters = meters_new(conf->snapshot),
        .transactions = transactions_new(16),
        .now_ms = 1000000,
        .store_ms = 1700000000000,
        .store_up = true,
    };
    while ((used = policy_request_parse(data, size, &request, &err)) > 0) {
        MUST((size_t)used <= size && used <= POLICY_REQUEST_MAX);
        check_parts(data, (size_t)used);
        run_request(&model, &request);
        data += used;
        size -= (size_t)used;
    }
    MUST(used == 0 || used == -EINVAL || used == -EMSGSIZE);
    MUST(used != 0 || size < POLICY_REQUEST_MAX);
    transactions_free(model.view.transactions);
    meters_free(model.view.meters);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum over_quota over_quota = (enum over_quota)(fuzz_byte(&input) % 4);

    for (int store = 0; store < STORES; store++)
        run_connection((const char *)input.data, input.size, (enum store)store, over_quota);
    return 0;
}
