/*
 * The bytes of one lookup connection: netstrings, and the answers to what is
 * in them.
 *
 * The connection is run twice: as fast as can be, and with a pause before each
 * request that is longer than a sender is remembered.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/roster.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/netstring.h"
#include "policyd/lookup.h"

#include <string.h>

/* What the target itself keeps in mind of a connection. */
struct model {
    struct lookup_view view;
    struct lookup_session session;
    int64_t pause_ms;
    bool sender; /* one was named and no recipient was answered since */
};

static struct roster *
the_roster(const struct conf *conf)
{
    static struct roster *roster;
    const struct snapshot *snapshot = conf->snapshot;
    bool *present;

    if (roster != NULL)
        return roster;
    present = mem_array(snapshot->address_count, sizeof(*present));
    for (size_t i = 0; i < snapshot->address_count; i++)
        present[i] = fuzz_is_present(snapshot->addresses[i].name);
    roster = roster_new(snapshot, present);
    free(present);
    MUST(roster != NULL);
    return roster;
}

static bool
starts(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* "OK pp-NAME:...": an address of the configuration, and one that is here. */
static void
check_transport(const struct conf *conf, const char *reply, const struct lookup_result *result)
{
    const char *name = reply + strlen("OK pp-");
    size_t length = strcspn(name, ":");

    if (result->address == NULL)
        return; /* the site's own default, which may look like that */
    MUST(starts(reply, "OK pp-") && name[length] == ':');
    MUST(strlen(result->address->name) == length);
    MUST(memcmp(result->address->name, name, length) == 0);
    MUST(fuzz_is_present(result->address->name));
    MUST(snapshot_find_address(conf->snapshot, result->address->name) == result->address);
}

static void
check_reply(const struct model *model, const char *reply, size_t length,
            const struct lookup_result *result)
{
    MUST(length > 0 && length < LOOKUP_REPLY_SIZE);
    MUST(strlen(reply) == length);
    MUST(starts(reply, "OK ") || starts(reply, "NOTFOUND ") || starts(reply, "PERM "));
    for (size_t i = 0; i < length; i++)
        MUST((unsigned char)reply[i] >= ' ' && reply[i] != 127);
    check_transport(model->view.conf, reply, result);
    MUST(!result->is_decision || starts(reply, "OK "));
}

/* Does request ask this map?  "rcpt" is also "rcpt;relay". */
static bool
asks(const char *request, size_t length, const char *map)
{
    size_t name = strlen(map);

    return length > name && memcmp(request, map, name) == 0 &&
           (request[name] == ' ' || request[name] == ';');
}

/* A recipient is moved into a pool only behind a sender, and once. */
static void
check_pairing(struct model *model, const struct netstring *request, const char *reply)
{
    const char *data = request->data;
    size_t length = request->length;
    const char *space = memchr(data, ' ', length);
    bool star = space != NULL && space + 2 == data + length && space[1] == '*';
    bool refused = starts(reply, "PERM ");

    if (asks(data, length, "sender") || asks(data, length, "sender.note"))
        model->sender |= !refused && !star;
    if (asks(data, length, "rcpt") || asks(data, length, "rcpt.last")) {
        MUST(!starts(reply, "OK ") || (model->sender && model->pause_ms == 0));
        if (starts(reply, "OK ") || (asks(data, length, "rcpt") && !refused && !star))
            model->sender = false;
    }
}

static bool
are_counted(void *arg)
{
    (void)arg;
    return true;
}

/* A refusal for good becomes a deferral in the same words, or stands. */
static void
check_rescue(const struct netstring *request, const char *reply,
             const struct lookup_session *before, const struct lookup_session *after)
{
    const char *space = memchr(request->data, ' ', request->length);

    if (request->length < 6 || memcmp(request->data, "reply.", 6) != 0)
        return;
    MUST(memcmp(before, after, sizeof(*before)) == 0);
    if (!starts(reply, "OK "))
        return;
    MUST(space != NULL && space[1] == '5' && reply[3] == '4');
    MUST(strlen(reply + 4) == (size_t)(request->data + request->length - space - 2));
    MUST(memcmp(reply + 4, space + 2, strlen(reply + 4)) == 0);
}

static void
run_request(struct model *model, const struct netstring *request)
{
    char reply[LOOKUP_REPLY_SIZE], again[LOOKUP_REPLY_SIZE];
    struct lookup_session before = model->session;
    struct lookup_result result, result_again;
    size_t length;

    model->view.now_ms += model->pause_ms;
    length = lookup_answer(&model->view, &model->session, request->data, request->length, reply,
                           &result);
    check_reply(model, reply, length, &result);
    check_pairing(model, request, reply);
    check_rescue(request, reply, &before, &model->session);
    /* The same question in the same state has the same answer. */
    MUST(length == lookup_answer(&model->view, &before, request->data, request->length, again,
                                 &result_again));
    MUST(memcmp(reply, again, length) == 0);
    MUST(result.address == result_again.address);
}

/* Any shorter part of a netstring is one that is not whole yet. */
static void
check_parts(const char *data, size_t used)
{
    struct netstring netstring;

    for (size_t length = 0; length < used; length += 1 + used / 16)
        MUST(netstring_parse(data, length, LOOKUP_REQUEST_MAX, &netstring) == 0);
}

static void
run_connection(const char *data, size_t size, int64_t pause_ms)
{
    struct conf *conf = fuzz_conf();
    struct model model = {
        .view = {.conf = conf,
                 .roster = the_roster(conf),
                 .now_ms = 1000000,
                 .counted = are_counted},
        .pause_ms = pause_ms,
    };
    struct netstring request;

    while (netstring_parse(data, size, LOOKUP_REQUEST_MAX, &request) > 0) {
        MUST(request.used <= size && request.length < request.used);
        MUST(request.data > data && request.data[request.length] == ',');
        check_parts(data, request.used);
        run_request(&model, &request);
        data += request.used;
        size -= request.used;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run_connection((const char *)data, size, 0);
    run_connection((const char *)data, size, LOOKUP_PAIR_MS + 1);
    return 0;
}
