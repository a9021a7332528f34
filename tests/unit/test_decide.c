/*
 * The choice under caps and curbs: what is noted as closed spares looking, and
 * changes no choice.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "tests/unit/chance.h"

enum { HISTORIES = 300, STEPS = 1500, GRANTS = 64, LATE = 16 };

struct spent {
    uint32_t meters[DECISION_METERS];
    int64_t at_ms;
};

struct world {
    struct conf *conf;
    struct roster *roster;
    struct meters *meters;
    struct curbs *curbs;
    bool curbed;        /* something is held back now and then */
    struct book *books; /* by number of the meter */
    size_t book_count;
    struct spent spent[GRANTS]; /* which may be given back */
    int64_t now_ms;
    uint64_t life;
    bool away; /* the store */
    struct {
        uint32_t number;
        struct book_answer answer;
    } late[LATE]; /* answers on their way */
    size_t late_count;
    size_t found, missed; /* decisions with an address, and without */
    size_t suspended, refused, probed;
};

/* One pool of many addresses and one of few, one on the ladder of the other. */
static char *
configuration(size_t many)
{
    struct buf text = {0};
    bool common = chance(3) == 0;

    buf_puts(&text, "node = \"mta1\";\naddresses: {\n");
    for (size_t i = 0; i < many + 2; i++) {
        buf_printf(&text, "a%zu = { ip = \"127.1.%zu.%zu\"; helo = \"a.test\"; ", i, i / 250,
                   i % 250 + 1);
        if (chance(8) > 0)
            buf_printf(&text, "caps = { minute = %u; smooth = false; };", 1 + (unsigned)chance(3));
        buf_puts(&text, " };\n");
    }
    buf_puts(&text, "};\nproviders: { p1 = { domains = ( \"p1.test\" ); caps = { minute = 1; "
                    "smooth = false; }; };\n"
                    " p2 = { domains = ( \"p2.test\" ); caps = { minute = 2; hour = 40; }; };\n"
                    " p3 = { domains = ( \"p3.test\" ); }; };\n"
                    "pools: { many = { addresses = ( ");
    for (size_t i = 0; i < many; i++)
        buf_printf(&text, "%s\"a%zu\"", i > 0 ? ", " : "", i);
    buf_printf(&text,
               " ); overflow = [ \"few\" ]; exhausted = \"%s\"; };\n"
               " few = { addresses = ( \"a%zu\", \"a%zu\", \"a0\" ); exhausted = \"%s\"; }; };\n",
               chance(2) == 0 ? "defer" : "exceed", many, many + 1,
               chance(2) == 0 ? "defer" : "exceed");
    buf_printf(
        &text,
        "streams: ( { name = \"s1\"; pool = \"many\"; match = ( { sasl_user = \"x\"; } ); %s },"
        "{ name = \"default\"; pool = \"%s\"; match = (); %s } );\n",
        common ? "caps = { minute = 60; };" : "", chance(2) == 0 ? "few" : "many",
        common ? "account_caps = { minute = 20; };" : "");
    return buf_take(&text);
}

static void
world_start(struct world *w)
{
    char *text = configuration(1 + chance(chance(2) == 0 ? 300 : 40));
    bool *present;

    *w = (struct world){.conf = unit_conf(text), .now_ms = 1700000000000, .life = 1};
    present = mem_array(w->conf->snapshot->address_count, sizeof(*present));
    for (size_t i = 0; i < w->conf->snapshot->address_count; i++)
        present[i] = chance(20) > 0;
    w->roster = roster_new(w->conf->snapshot, present);
    w->meters = meters_new(w->conf->snapshot);
    w->curbs = curbs_new(w->conf->snapshot);
    w->curbed = chance(2) == 0;
    free(present);
    free(text);
}

static void
world_end(struct world *w)
{
    for (size_t i = 0; i < w->book_count; i++)
        book_clear(&w->books[i]);
    free(w->books);
    meters_free(w->meters);
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
}

static const struct address *
any_address(const struct world *w)
{
    const struct snapshot *snapshot = w->conf->snapshot;

    return &snapshot->addresses[chance(snapshot->address_count)];
}

static struct curb
any_curb(const struct world *w)
{
    struct curb curb = {.share = CURB_WHOLE, .until_ms = w->now_ms + (int64_t)chance(100000)};

    switch (chance(6)) {
    case 0:
        curb.share = (uint8_t)chance(CURB_WHOLE);
        break;
    case 1:
        curb.share = 0;
        curb.probes = (uint32_t)chance(3);
        break;
    case 2:
        curb.share = 0;
        curb.until_ms = CURB_NOT_KNOWN;
        break;
    case 3:
        curb.drained = true;
        break;
    default:
        break;
    }
    return curb;
}

/* Something is held back, or not any more; now and then much of it. */
static void
curb_something(struct world *w)
{
    const struct snapshot *snapshot = w->conf->snapshot;
    struct curb curb = any_curb(w);
    bool all = chance(20) == 0;

    for (size_t i = 0; i < (all ? snapshot->address_count : 1); i++) {
        const struct address *address = all ? &snapshot->addresses[i] : any_address(w);

        if (all && chance(8) == 0)
            continue;
        switch (chance(8)) {
        case 0:
            curbs_set_provider(w->curbs, address,
                               &snapshot->providers[chance(snapshot->provider_count)], &curb);
            break;
        case 1:
            curbs_set_domain(w->curbs, address, chance(2) == 0 ? "d1.test" : "d2.test", &curb);
            break;
        default:
            curbs_set_address(w->curbs, address, &curb);
            break;
        }
    }
    if (chance(4) == 0)
        curbs_set_account(w->curbs, chance(2) == 0 ? "x" : "y", &curb);
}

static bool
takes_nothing(const struct curb *curb, bool no_probe)
{
    return curb->share == 0 && (curb->probes == 0 || no_probe);
}

/* May the decision's address be taken, as far as it is not a matter of caps? */
static void
allowed(const struct world *w, const struct decide_question *question,
        const struct decision *decision)
{
    const struct address *address = decision->address;
    const struct curb *of_address = curbs_address(w->curbs, address);
    const struct curb *there =
        curbs_provider(w->curbs, address, &w->conf->snapshot->providers[question->provider]);
    bool no_probe = question->no_probe;

    assert_true(w->roster->present[address->index]);
    assert_false(takes_nothing(of_address, no_probe));
    assert_false(takes_nothing(there, no_probe));
    assert_false(takes_nothing(curbs_account(w->curbs, question->account_name), no_probe));
    assert_false(takes_nothing(curbs_domain(w->curbs, address, question->domain), no_probe));
    if (address != question->prefer)
        assert_false(of_address->drained || there->drained);
    for (size_t i = 0; i < DECIDE_AVOID_MAX; i++)
        assert_ptr_not_equal(address, question->avoid[i]);
}

static struct book *
book_of(struct world *w, uint32_t number)
{
    if (number >= w->book_count) {
        w->books = mem_resize(w->books, number + 100, sizeof(*w->books));
        memset(w->books + w->book_count, 0, (number + 100 - w->book_count) * sizeof(*w->books));
        w->book_count = number + 100;
    }
    return &w->books[number];
}

/* The store answers some of what is asked. */
static void
talk(struct world *w, size_t most)
{
    struct book_ask ask;
    uint32_t number;

    if (chance(2) == 0) {
        for (size_t i = 0; i < w->late_count; i++)
            meters_answered(w->meters, w->late[i].number, &w->late[i].answer, w->now_ms);
        w->late_count = 0;
    }
    for (size_t i = 0; i < most && !w->away; i++) {
        struct book_answer answer;

        number = meters_next(w->meters, w->now_ms, &ask);
        if (number == METERS_NONE)
            break;
        ask.node = "mta1";
        ask.life = w->life;
        assert_int_equal(book_ask(book_of(w, number), meters_at(w->meters, number)->caps, &ask,
                                  w->now_ms, &answer),
                         0);
        if (w->late_count < LATE && chance(4) == 0) {
            w->late[w->late_count].number = number;
            w->late[w->late_count++].answer = answer;
        } else {
            meters_answered(w->meters, number, &answer, w->now_ms);
        }
    }
}

static void
same_choice(struct meters *meters, const struct decision *a, const struct decision *b, bool curbed,
            int64_t now_ms)
{
    assert_ptr_equal(a->address, b->address);
    assert_ptr_equal(a->pool, b->pool);
    assert_int_equal(a->cold, b->cold);
    assert_int_equal(a->full, b->full);
    assert_int_equal(a->suspended, b->suspended);
    assert_int_equal(a->refused, b->refused);
    assert_int_equal(a->held, b->held);
    assert_int_equal(a->exceeds, b->exceeds);
    assert_memory_equal(a->meters, b->meters, sizeof(a->meters));
    if (a->full && !a->cold) /* else it ends where enough is asked about */
        assert_int_equal(a->refused_by == METERS_NONE, b->refused_by == METERS_NONE);
    if (a->full && a->refused_by != METERS_NONE && !curbed) {
        assert_true(a->room_ms > now_ms);
        /* what a meter said, and what is noted of it, says nothing more when it is worth asking */
        if (meter_state(&meters_at(meters, a->refused_by)->meter, now_ms) == METER_FULL)
            assert_true(a->room_ms <= b->room_ms);
    }
}

static void
add_history(struct world *w, struct decide_question *question)
{
    if (chance(8) == 0)
        question->prefer = any_address(w);
    for (size_t i = 0; i < DECIDE_AVOID_MAX && chance(4) == 0; i++)
        question->avoid[i] = any_address(w);
    question->domain = chance(2) == 0 ? "d1.test" : "d2.test";
    question->no_probe = chance(16) == 0;
}

/* Decide with what is noted and without, and now and then spend. */
static void
decide_twice(struct world *w)
{
    const struct snapshot *snapshot = w->conf->snapshot;
    struct roster bare = *w->roster;
    struct decide_question question = {
        .roster = w->roster,
        .stream = &snapshot->streams[chance(snapshot->stream_count)],
        .key = chance(UINT64_MAX),
        .meters = w->meters,
        .provider = chance(snapshot->provider_count),
        .account = METERS_NONE,
        .now_ms = w->now_ms,
        .may_wait = chance(2) == 0,
        .curbs = w->curbs,
        .account_name = chance(2) == 0 ? "x" : "y",
    };
    struct decision with, without;

    bare.memo = NULL;
    question.account = meters_account(w->meters, question.stream->index, question.account_name);
    if (w->curbed)
        add_history(w, &question);
    decide(&question, &with);
    question.roster = &bare;
    decide(&question, &without);
    same_choice(w->meters, &with, &without, w->curbed, w->now_ms);
    if (with.address != NULL)
        allowed(w, &question, &with);
    else
        assert_true(with.full + with.suspended + with.refused <= 1);
    w->suspended += with.suspended;
    w->refused += with.refused;
    if (with.address != NULL && curbs_address(w->curbs, with.address)->share == 0)
        w->probed++;
    if (question.no_probe)
        return;
    if (with.address == NULL || with.exceeds)
        w->missed++;
    else
        w->found++;
    if (with.address != NULL && chance(10) > 0) {
        struct spent *spent = &w->spent[chance(GRANTS)];

        decide_spend(&question, &with);
        memcpy(spent->meters, with.meters, sizeof(spent->meters));
        spent->at_ms = with.exceeds ? 0 : w->now_ms;
    }
}

static void
give_back(struct world *w)
{
    struct spent *spent = &w->spent[chance(GRANTS)];

    for (size_t i = 0; spent->at_ms != 0 && i < DECISION_METERS; i++)
        if (spent->meters[i] != METERS_NONE)
            meters_give_back(w->meters, spent->meters[i], spent->at_ms, w->now_ms);
    spent->at_ms = 0;
}

static void
lapse(struct world *w)
{
    w->away = true;
    for (size_t i = 0; i < w->book_count; i++)
        if (book_row_find(&w->books[i], "mta1") != NULL)
            book_row_lapse(book_row_find(&w->books[i], "mta1"),
                           meters_at(w->meters, (uint32_t)i)->caps, w->now_ms);
    w->life++;
    w->late_count = 0;
    memset(w->spent, 0, sizeof(w->spent));
    meters_lapse(w->meters, w->now_ms);
}

/* As a store does it: rows stay, uses go. */
static void
reset(struct world *w, uint32_t number)
{
    struct book_row *row = book_row_find(book_of(w, number), "mta1");

    for (size_t i = 0; row != NULL && i < CAP_WINDOWS_MAX; i++)
        row->uses[i].count = 0;
    meters_reset(w->meters, number);
}

static void
step(struct world *w)
{
    uint32_t number = (uint32_t)chance(meters_count(w->meters) + 1);
    bool known = number < meters_count(w->meters);

    switch (chance(40)) {
    case 0:
    case 1:
        give_back(w);
        break;
    case 2:
        w->now_ms += (int64_t)chance(chance(4) == 0 ? 70000 : 3000);
        break;
    case 3:
        if (known && chance(4) == 0)
            reset(w, number);
        break;
    case 4:
        if (known) {
            meter_return(&meters_at(w->meters, number)->meter);
            meters_touch(w->meters, number);
        }
        break;
    case 5:
        if (chance(60) == 0 && !w->away)
            lapse(w);
        else if (w->away && chance(4) == 0) {
            w->away = false;
            meters_rejoin(w->meters);
        }
        break;
    case 6:
        if (w->curbed)
            curb_something(w);
        break;
    case 7:
    case 8:
    case 9:
        talk(w, chance(2) == 0 ? chance(4) : 1000);
        break;
    default:
        decide_twice(w);
        w->now_ms += (int64_t)chance(20);
        break;
    }
}

static void
test_the_memo_changes_no_choice(void **state)
{
    size_t found = 0, missed = 0, suspended = 0, refused = 0, probed = 0;

    (void)state;
    for (size_t i = 0; i < HISTORIES; i++) {
        struct world w;

        chance_seed(i);
        world_start(&w);
        for (size_t j = 0; j < STEPS; j++)
            step(&w);
        found += w.found;
        missed += w.missed;
        suspended += w.suspended;
        refused += w.refused;
        probed += w.probed;
        world_end(&w);
    }
    assert_true(found > 1000 && missed > 1000);
    assert_true(suspended > 1000 && refused > 20 && probed > 50);
}

/* Blocks, walked or skipped, are each met, and no member twice. */
static void
test_blocks(void **state)
{
    enum { MOST = 200 };
    static struct address addresses[MOST];
    static struct member members[MOST];
    const struct member *list[MOST];

    (void)state;
    for (size_t i = 0; i < MOST; i++) {
        addresses[i] = (struct address){.seed = hash_mix(i), .index = i};
        members[i] = (struct member){&addresses[i], 1};
        list[i] = &members[i];
    }
    for (size_t count = 0; count <= MOST; count++) {
        struct rendezvous *order = rendezvous_new(list, count);

        for (uint64_t key = 0; key < 10; key++) {
            unsigned met[MOST] = {0};
            struct rendezvous_walk walk;
            const struct member *member;
            size_t block;

            rendezvous_start(&walk, order, hash_mix(key));
            for (;;) {
                block = rendezvous_block(&walk);
                if (block != RENDEZVOUS_BLOCKLESS && hash_mix(block ^ key) % 2 == 0) {
                    const struct member *const *of_block;
                    size_t size = rendezvous_block_members(order, block, &of_block);

                    assert_true(block < rendezvous_blocks(order));
                    for (size_t i = 0; i < size; i++)
                        met[of_block[i]->address->index] |= 2;
                    rendezvous_skip_block(&walk);
                    continue;
                }
                member = rendezvous_next(&walk);
                if (member == NULL)
                    break;
                assert_false(met[member->address->index] & 1);
                met[member->address->index] |= 1;
            }
            for (size_t i = 0; i < count; i++)
                assert_true(met[i] != 0);
        }
        rendezvous_free(order);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_the_memo_changes_no_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
