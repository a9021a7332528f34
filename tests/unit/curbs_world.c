/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/curbs_world.h"

#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"

static const char site[] =
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; };\n"
    "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; };\n"
    "             a3 = { ip = \"127.0.1.3\"; helo = \"a3.test\"; caps = { hour = 100; }; };\n"
    "             b1 = { ip = \"127.0.1.4\"; helo = \"b1.test\"; };\n"
    "             c1 = { ip = \"127.0.1.5\"; helo = \"c1.test\"; }; };\n"
    "providers: { p1 = { domains = ( \"p1.test\" ); caps = { hour = 50; }; };\n"
    "             p2 = { domains = ( \"p2.test\" ); }; };\n"
    "pools: { all = { addresses = ( \"a1\", \"a2\", \"a3\" ); overflow = [ \"more\" ];\n"
    "                 exhausted = \"exceed\"; };\n"
    "         more = { addresses = ( \"b1\" ); };\n"
    "         other = { addresses = ( \"c1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"all\"; match = (); account_caps = { hour = 8; }; } "
    ");\n";

int
curbs_world_setup(void **state)
{
    static const bool here[] = {true, true, true, true, true};
    struct curbs_world *w = mem_new(sizeof(*w));
    const struct snapshot *snapshot;

    w->conf = unit_conf(site);
    snapshot = w->conf->snapshot;
    w->roster = roster_new(snapshot, here);
    w->curbs = curbs_new(snapshot);
    w->meters = meters_new(snapshot);
    w->a1 = &snapshot->addresses[0];
    w->a2 = &snapshot->addresses[1];
    w->a3 = &snapshot->addresses[2];
    w->b1 = &snapshot->addresses[3];
    w->c1 = &snapshot->addresses[4];
    w->other = &snapshot->providers[PROVIDER_OTHER];
    w->p1 = snapshot_find_provider(snapshot, "p1");
    w->p2 = snapshot_find_provider(snapshot, "p2");
    w->question = (struct decide_question){
        .roster = w->roster,
        .stream = &snapshot->streams[0],
        .account = METERS_NONE,
        .now_ms = NOW_MS,
        .curbs = w->curbs,
        .account_name = "sender.test",
        .domain = "d.test",
    };
    *state = w;
    return 0;
}

int
curbs_world_teardown(void **state)
{
    struct curbs_world *w = *state;

    meters_free(w->meters);
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

const struct address *
curbs_world_choice(struct curbs_world *w, uint64_t key)
{
    struct decision told;

    w->question.key = hash_mix(key);
    decide(&w->question, &w->decision);
    decide_explained(&w->question, &told);
    if (w->question.meters == NULL) {
        assert_ptr_equal(told.address, w->decision.address);
        assert_int_equal(told.suspended, w->decision.suspended);
        assert_int_equal(told.refused, w->decision.refused);
        assert_int_equal(told.held, w->decision.held);
        assert_int_equal(told.room_ms, w->decision.room_ms);
    }
    return w->decision.address;
}

size_t
curbs_world_share_of(struct curbs_world *w, const struct address *address)
{
    size_t count = 0;

    for (uint64_t key = 0; key < KEYS; key++)
        count += curbs_world_choice(w, key) == address;
    return count;
}

enum verdict
curbs_world_verdict_of(struct curbs_world *w, const struct address *address)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        struct decision told;

        w->question.key = hash_mix(key);
        decide_explained(&w->question, &told);
        for (size_t i = 0; i < told.candidate_count; i++)
            if (told.candidates[i].address == address &&
                told.candidates[i].verdict != VERDICT_NOT_ASKED)
                return told.candidates[i].verdict;
    }
    return VERDICT_NOT_ASKED;
}

void
curbs_world_suspend_all(struct curbs_world *w, const struct curb *curb)
{
    curbs_set_address(w->curbs, w->a1, curb);
    curbs_set_address(w->curbs, w->a2, curb);
    curbs_set_address(w->curbs, w->a3, curb);
    curbs_set_address(w->curbs, w->b1, curb);
}
