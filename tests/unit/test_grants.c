/*
 * Grants that wait for their result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/sample.h"

#include <malloc.h>

/* Where a million grants have to fit. */
#define MEMORY_MAX ((size_t)128 << 20)

enum { LIFETIME = 1000, NO_LIMIT = 1 << 30 };

static const uint8_t secret[HASH_KEY_SIZE] = "secret of a test";

/* All memory of the module comes through here. */
static size_t allocated_bytes;
static size_t allocations_left = NO_LIMIT;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *
__wrap_calloc(size_t count, size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    allocated_bytes += count * size;
    return __real_calloc(count, size);
}

static struct grant_key
key_of(const char *message_id, const char *recipient)
{
    struct grant_key key;

    grant_key(secret, message_id, recipient, &key);
    return key;
}

static bool
same_keys(struct grant_key a, struct grant_key b)
{
    return a.high == b.high && a.low == b.low;
}

/* Reserve number i at a time. */
static bool
reserve(struct grants *grants, uint32_t i, int64_t at_ms)
{
    struct grant_key key = sample_key(i);
    struct grant grant = sample_grant(i, at_ms);
    bool is_new = false;

    assert_non_null(grants_reserve(grants, &key, &grant, 0, &is_new));
    return is_new;
}

static const struct grant *
find(struct grants *grants, uint32_t i, int64_t now_ms)
{
    struct grant_key key = sample_key(i);

    return grants_find(grants, &key, now_ms);
}

static void
test_key(void **state)
{
    static const struct {
        const char *message_id, *recipient;
        bool same; /* as "Id.1", "Joe.Doe@One.test" */
    } cases[] = {
        {"Id.1", "Joe.Doe@One.test", true},   {"Id.1", "Joe.Doe@oNE.TEST", true},
        {"Id.1", "joe.dOE@One.test", true},   {"Id.1", "\"Joe.Doe\"@One.test", true},
        {"Id.1", "Joe\\.Doe@One.test", true}, {"id.1", "Joe.Doe@One.test", false},
        {"Id.2", "Joe.Doe@One.test", false},  {"Id.", "1Joe.Doe@One.test", false},
        {"Id.1J", "oe.Doe@One.test", false},  {"Id.1", "Joe-Doe@One.test", false},
        {"Id.1", "Joe.Doe@One.tes", false},   {"Id.1", "", false},
        {"", "Joe.Doe@One.test", false},      {"Joe.Doe@One.test", "Id.1", false},
    };
    static const uint8_t other[HASH_KEY_SIZE] = "another one";
    struct grant_key key = key_of("Id.1", "Joe.Doe@One.test"), again;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (same_keys(key, key_of(cases[i].message_id, cases[i].recipient)) != cases[i].same)
            fail_msg("\"%s\", \"%s\" should%s be the same", cases[i].message_id, cases[i].recipient,
                     cases[i].same ? "" : " not");
    assert_true(key.high != key.low);
    grant_key(other, "Id.1", "Joe.Doe@One.test", &again);
    assert_true(again.high != key.high && again.low != key.low);
    /* Bytes beyond ASCII have no case here. */
    assert_false(same_keys(key_of("1", "\xc3\x84@a.test"), key_of("1", "\xc3\xa4@a.test")));
}

/* However long the texts are: each byte matters, and so does where the first one ends. */
static void
test_long_keys(void **state)
{
    enum { LENGTH = 1000 };
    char text[LENGTH + 1];
    struct grant_key last = {0};

    (void)state;
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\0';
    for (size_t i = 0; i <= LENGTH; i++) {
        struct grant_key key = key_of(text + i, text + LENGTH - i), changed;

        assert_false(same_keys(key, last));
        assert_true(same_keys(key, key_of(text + i, text + LENGTH - i)));
        last = key;
        key = key_of("id", text);
        text[i] = i < LENGTH ? 'y' : '\0';
        changed = key_of("id", text);
        text[i] = i < LENGTH ? 'x' : '\0';
        assert_int_equal(same_keys(key, changed), i == LENGTH);
        assert_false(same_keys(key, key_of("id", text + i / 2 + 1)));
    }
}

static void
test_reserved_once(void **state)
{
    struct grants *grants = grants_new(10, LIFETIME);
    struct grant_key key = key_of("id", "joe@one.test");
    struct grant first = sample_grant(1, 5), second = sample_grant(2, 6);
    bool is_new;

    (void)state;
    assert_null(grants_find(grants, &key, 5));
    sample_expect(grants_reserve(grants, &key, &first, 0, &is_new), &first);
    assert_true(is_new);
    sample_expect(grants_find(grants, &key, 5), &first);
    sample_expect(grants_reserve(grants, &key, &second, 0, &is_new), &first);
    assert_false(is_new);
    sample_expect(grants_find(grants, &key, 6), &first);
    sample_expect_figures(grants, &(struct grants_figures){.open = 1});
    key = key_of("id", "joe@two.test");
    sample_expect(grants_reserve(grants, &key, &second, 0, &is_new), &second);
    assert_true(is_new);
    sample_expect_figures(grants, &(struct grants_figures){.open = 2});
    grants_free(grants);
    grants_free(NULL);
}

static void
test_settled_once(void **state)
{
    struct grants *grants = grants_new(10, LIFETIME);
    struct grant_key spent = sample_key(1), given = sample_key(2);
    struct grant expected = sample_grant(2, 20), grant = {0}, untouched = {0};

    (void)state;
    reserve(grants, 1, 10);
    reserve(grants, 2, 20);
    assert_true(grants_spend(grants, &spent, 30));
    assert_false(grants_spend(grants, &spent, 30));
    assert_false(grants_give_back(grants, &spent, 30, &grant));
    sample_expect(&grant, &untouched);
    assert_true(grants_give_back(grants, &given, 30, &grant));
    sample_expect(&grant, &expected);
    grant = untouched;
    assert_false(grants_give_back(grants, &given, 30, &grant));
    sample_expect(&grant, &untouched);
    assert_false(grants_spend(grants, &given, 30));
    assert_null(find(grants, 1, 30));
    assert_null(find(grants, 2, 30));
    sample_expect_figures(grants, &(struct grants_figures){.spent = 1, .given_back = 1});
    /* What was settled can be reserved anew. */
    assert_true(reserve(grants, 2, 40));
    assert_true(grants_give_back(grants, &given, 40, &grant));
    assert_int_equal(grant.at_ms, 40);
    grants_free(grants);
}

/* Over is over, whether or not grants_expire() was there. */
static void
test_no_result_is_spent(void **state)
{
    struct grants *grants = grants_new(10, LIFETIME);
    struct grant_key key = sample_key(1);
    struct grant grant;

    (void)state;
    reserve(grants, 1, 0);
    assert_non_null(find(grants, 1, LIFETIME - 1));
    assert_null(find(grants, 1, LIFETIME));
    reserve(grants, 1, LIFETIME);
    assert_false(grants_spend(grants, &key, 2 * LIFETIME));
    reserve(grants, 1, 2 * LIFETIME);
    assert_false(grants_give_back(grants, &key, 3 * LIFETIME, &grant));
    reserve(grants, 1, 3 * LIFETIME);
    assert_true(reserve(grants, 1, 4 * LIFETIME));
    assert_int_equal(find(grants, 1, 4 * LIFETIME)->at_ms, 4 * LIFETIME);
    sample_expect_figures(grants, &(struct grants_figures){.open = 1, .expired = 4});
    grants_free(grants);
}

static void
test_expire(void **state)
{
    struct grants *grants = grants_new(100, LIFETIME);
    struct grants_figures figures;

    (void)state;
    assert_int_equal(grants_expire(grants, LIFETIME, 100), 0);
    for (uint32_t i = 0; i < 50; i++)
        reserve(grants, i, i);
    assert_int_equal(grants_expire(grants, LIFETIME - 1, 100), 0);
    assert_int_equal(grants_expire(grants, LIFETIME + 9, 4), 4);
    assert_int_equal(grants_expire(grants, LIFETIME + 9, 4), 4);
    assert_int_equal(grants_expire(grants, LIFETIME + 9, 4), 2);
    assert_int_equal(grants_expire(grants, LIFETIME + 9, 4), 0);
    sample_expect_figures(grants, &(struct grants_figures){.open = 40, .expired = 10});
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(find(grants, i, LIFETIME - 1) != NULL, i >= 10);
    /* In the order of reservation: each step takes the oldest that is left. */
    for (uint32_t i = 10; i < 20; i++) {
        assert_int_equal(grants_expire(grants, 10 * LIFETIME, 1), 1);
        assert_null(find(grants, i, 0));
        assert_non_null(find(grants, i + 1, 0));
    }
    grants_set_lifetime(grants, 5);
    assert_int_equal(grants_expire(grants, 25, 100), 1);
    grants_set_lifetime(grants, 10 * LIFETIME);
    assert_int_equal(grants_expire(grants, 2 * LIFETIME, 100), 0);
    grants_figures(grants, &figures);
    assert_int_equal(figures.open, 29);
    assert_int_equal(grants_expire(grants, INT64_MAX, SIZE_MAX), 29);
    sample_expect_figures(grants, &(struct grants_figures){.expired = 50});
    grants_free(grants);
}

static void
test_full(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 10, 1023, 1024, 1025, 3000};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct grants *grants = grants_new(sizes[i], LIFETIME);
        uint32_t most = sizes[i] == 0 ? 1 : (uint32_t)sizes[i];

        for (uint32_t j = 0; j < most; j++)
            assert_true(reserve(grants, j, 0));
        sample_expect_figures(grants, &(struct grants_figures){.open = most});
        /* One that is open needs no room. */
        assert_false(reserve(grants, 0, 0));
        assert_true(reserve(grants, most, 1));
        assert_null(find(grants, 0, 1));
        for (uint32_t j = 1; j <= most; j++)
            assert_non_null(find(grants, j, 1));
        sample_expect_figures(grants, &(struct grants_figures){.open = most, .dropped = 1});
        /* Room that an expired one leaves costs no one else its place. */
        assert_true(reserve(grants, most + 1, LIFETIME));
        sample_expect_figures(grants, &(struct grants_figures){.open = most,
                                                               .dropped = most > 1 ? 1 : 2,
                                                               .expired = most > 1 ? 1 : 0});
        grants_free(grants);
    }
}

static void
test_no_memory(void **state)
{
    struct grants *grants;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        allocations_left = i;
        assert_null(grants_new(5000, LIFETIME));
    }
    allocations_left = 3;
    grants = grants_new(5000, LIFETIME);
    assert_non_null(grants);
    for (uint32_t i = 0; i < 2000; i++)
        reserve(grants, i, 0);
    sample_expect_figures(grants, &(struct grants_figures){.open = 1024, .dropped = 2000 - 1024});
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(find(grants, i, 0) != NULL, i >= 2000 - 1024);
    allocations_left = NO_LIMIT;
    for (uint32_t i = 2000; i < 3000; i++)
        reserve(grants, i, 0);
    sample_expect_figures(grants, &(struct grants_figures){.open = 2024, .dropped = 2000 - 1024});
    grants_free(grants);
}

/* With keys that all meet in few chains, each is told from the others. */
static void
test_collisions(void **state)
{
    enum { KEYS = 3000 };
    struct grants *grants = grants_new(KEYS, LIFETIME);
    struct grant_key low = {1, 2}, high = {2, 2};
    struct grant grant;
    bool is_new;

    (void)state;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct grant_key key = sample_crowded_key(i);

        grant = sample_grant(i, 0);
        grants_reserve(grants, &key, &grant, 0, &is_new);
        assert_true(is_new);
    }
    for (uint32_t i = 0; i < KEYS; i += 2) {
        struct grant_key key = sample_crowded_key(i);

        assert_true(grants_spend(grants, &key, 0));
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        struct grant_key key = sample_crowded_key(i);
        struct grant expected = sample_grant(i, 0);

        if (i % 2 == 0)
            assert_null(grants_find(grants, &key, 0));
        else
            sample_expect(grants_find(grants, &key, 0), &expected);
    }
    /* Both halves of a key count. */
    grants_reserve(grants, &low, &grant, 0, &is_new);
    assert_null(grants_find(grants, &high, 0));
    grants_free(grants);
}

static void
test_remap(void **state)
{
    static const uint32_t addresses[] = {2, GRANT_GONE, 0}, meters[] = {7, 6, GRANT_GONE, 5};
    static const uint32_t back[] = {2, 1, 0};
    static const struct {
        struct grant before, after;
    } cases[] = {
        {{0, {0, 1, 2, 3}, 0, 1}, {2, {7, 6, GRANT_NO_METER, 5}, 0, 1}},
        {{1, {0, 1, 2, 3}, 0, 2}, {GRANT_GONE, {0}, 0, 0}},
        {{2, {GRANT_NO_METER, 3, 4, 1000}, 0, 3},
         {0, {GRANT_NO_METER, 5, GRANT_NO_METER, GRANT_NO_METER}, 0, 3}},
        {{3, {0, 0, 0, 0}, 0, 4}, {GRANT_GONE, {0}, 0, 0}},
    };
    struct grants *grants = grants_new(10, LIFETIME);
    struct grant after;
    bool is_new;

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        struct grant_key key = sample_key(i);

        grants_reserve(grants, &key, &cases[i].before, 0, &is_new);
    }
    grants_remap(grants, addresses, COUNT(addresses), meters, COUNT(meters));
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].after.address == GRANT_GONE)
            assert_null(find(grants, i, 4));
        else
            for (int repeat = 0; repeat < 2; repeat++)
                sample_expect(find(grants, i, 4), &cases[i].after);
    }
    sample_expect_figures(grants, &(struct grants_figures){.open = 2, .homeless = 2});
    /* One that was reserved in between has missed nothing, others both. */
    reserve(grants, 1, 5);
    grants_remap(grants, back, COUNT(back), NULL, 0);
    after =
        (struct grant){0, {GRANT_NO_METER, GRANT_NO_METER, GRANT_NO_METER, GRANT_NO_METER}, 0, 1};
    sample_expect(find(grants, 0, 5), &after);
    after.address = 1;
    after.at_ms = 5;
    sample_expect(find(grants, 1, 5), &after);
    after.address = 2;
    after.at_ms = 3;
    sample_expect(find(grants, 2, 5), &after);
    /* Nothing is left. */
    grants_remap(grants, NULL, 0, NULL, 0);
    assert_int_equal(grants_expire(grants, 5, SIZE_MAX), 4); /* as many as were open at once */
    sample_expect_figures(grants, &(struct grants_figures){.homeless = 5});
    grants_free(grants);
}

/* Each remap turns the addresses by one; whoever comes when, ends where he should. */
static void
test_many_remaps(void **state)
{
    enum { ADDRESSES = 7, GRANTS = 2000, ROUNDS = 3 * GRANTS_REMAPS };
    struct grants *grants;
    uint32_t map[ADDRESSES];

    (void)state;
    /* No steps between the remaps; some, so that they overlap; enough of them; no memory. */
    for (size_t steps = 0; steps <= 3000; steps += 1000) {
        grants = grants_new(GRANTS, LIFETIME);
        for (uint32_t i = 0; i < GRANTS; i++) {
            struct grant_key key = sample_key(i);
            struct grant grant = {i % ADDRESSES, {i % ADDRESSES, 0, 0, 0}, 0, 0};
            bool is_new;

            grants_reserve(grants, &key, &grant, 0, &is_new);
            if (i % (GRANTS / ROUNDS) > 0 || i / (GRANTS / ROUNDS) >= ROUNDS)
                continue;
            for (uint32_t j = 0; j < ADDRESSES; j++)
                map[j] = (j + 1) % ADDRESSES;
            allocations_left = steps == 3000 ? 0 : NO_LIMIT;
            grants_remap(grants, map, ADDRESSES, map, ADDRESSES);
            allocations_left = NO_LIMIT;
            memset(map, 0, sizeof(map)); /* it is the caller's again */
            assert_true(grants_expire(grants, 0, steps % 3000) <= steps);
        }
        for (uint32_t i = 0; i < GRANTS; i++) {
            const struct grant *grant = find(grants, i, 0);
            uint32_t made = i / (GRANTS / ROUNDS) + (i % (GRANTS / ROUNDS) > 0);
            uint32_t turns = made < ROUNDS ? ROUNDS - made : 0;

            assert_non_null(grant);
            assert_int_equal(grant->address, (i + turns) % ADDRESSES);
            assert_int_equal(grant->meters[0], (i + turns) % ADDRESSES);
        }
        grants_free(grants);
    }
}

/* What malloc() holds, where it can say so. */
static size_t
held_bytes(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2(); /* all 0 with a sanitizer's malloc() */

    return info.arena + info.hblkhd;
#else
    return 0;
#endif
}

static void
test_a_million(void **state)
{
    enum { MOST = 1000000 };
    size_t held = held_bytes(), allocated = allocated_bytes;
    struct grants *grants = grants_new(MOST, LIFETIME);

    (void)state;
    /* An idle daemon is small. */
    assert_true(allocated_bytes - allocated < 120000);
    for (uint32_t i = 0; i < MOST; i++) {
        assert_true(reserve(grants, i, i % 10 == 0));
        if (i % 1000 == 0)
            assert_true(held_bytes() <= held + MEMORY_MAX);
    }
    /* Nothing is freed on the way, so that this is the peak. */
    assert_true(allocated_bytes - allocated <= MEMORY_MAX);
    assert_true(held_bytes() <= held + MEMORY_MAX);
    allocated = allocated_bytes;
    for (uint32_t i = 0; i < MOST; i++) {
        struct grant expected = sample_grant(i, i % 10 == 0);

        sample_expect(find(grants, i, 1), &expected);
    }
    for (uint32_t i = 0; i < MOST / 2; i++)
        assert_true(reserve(grants, MOST + i, 2));
    sample_expect_figures(grants, &(struct grants_figures){.open = MOST, .dropped = MOST / 2});
    for (uint32_t i = 0; i < MOST + MOST / 2; i++)
        assert_int_equal(find(grants, i, 2) != NULL, i >= MOST / 2);
    assert_int_equal(allocated_bytes, allocated);
    assert_int_equal(grants_expire(grants, 2 * LIFETIME, SIZE_MAX), MOST);
    grants_free(grants);
}

struct met {
    uint32_t addresses[8];
    size_t count, most;
};

static bool
on_met(void *arg, struct grant *grant)
{
    struct met *met = arg;

    met->addresses[met->count++] = grant->address;
    grant->domain = 0;
    grant->meters[1] = 99;
    return met->count < met->most;
}

/* Those of one domain, the newest first, as long as they are open, under their numbers of now. */
static void
test_of_domain(void **state)
{
    struct grants *grants = grants_new(100, LIFETIME);
    uint32_t map[] = {GRANT_GONE, 11, 12, 13, 14, 15, 16, 17};
    struct met met = {.most = 2};
    struct grant_key key;
    struct grant grant;
    char message[8];
    bool is_new;

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        snprintf(message, sizeof(message), "m%u", i);
        grant_key(secret, message, "a@b", &key);
        grant = (struct grant){i, {i, i, i, i}, i % 2 == 0 ? 7 : 8, i};
        grants_reserve(grants, &key, &grant, 0, &is_new);
    }
    grant_key(secret, "m4", "a@b", &key);
    assert_true(grants_spend(grants, &key, 8));
    grants_remap(grants, map, COUNT(map), NULL, GRANT_SAME);
    grants_of_domain(grants, 7, 1, on_met, &met); /* the newest is of another one */
    assert_int_equal(met.count, 0);
    grants_of_domain(grants, 7, 100, on_met, &met);
    assert_int_equal(met.count, 2);
    assert_int_equal(met.addresses[0], 16);
    assert_int_equal(met.addresses[1], 12);
    grants_of_domain(grants, 7, 100, on_met, &met); /* the last one's address is gone */
    assert_int_equal(met.count, 2);
    grant_key(secret, "m6", "a@b", &key);
    assert_true(grants_give_back(grants, &key, 8, &grant));
    assert_int_equal(grant.meters[0], 6);
    assert_int_equal(grant.meters[1], 99);
    grants_free(grants);
}

/* What is open is counted for its stream, however it ends. */
static void
test_of_stream(void **state)
{
    struct grants *grants = grants_new(6, LIFETIME);
    uint32_t map[] = {0, 1, 2, 3, 4, GRANT_GONE};
    struct grant_key keys[10];
    struct grant grant;
    bool is_new;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        keys[i] = sample_key(i);
        grant = sample_grant(i, 0);
        grant.address = i % 6;
        grants_reserve(grants, &keys[i], &grant, i < 3 ? 1 : GRANTS_STREAMS - 1, &is_new);
        grants_reserve(grants, &keys[i], &grant, 1, &is_new); /* it is there already */
    }
    /* 0 to 3 had to make room. */
    assert_int_equal(grants_of_stream(grants, 1), 0);
    assert_int_equal(grants_of_stream(grants, GRANTS_STREAMS - 1), 6);
    assert_int_equal(grants_of_stream(grants, 0), 0);
    assert_int_equal(grants_of_stream(grants, GRANTS_STREAMS), 0);
    grants_remap(grants, map, COUNT(map), NULL, GRANT_SAME); /* 5 is gone */
    grants_expire(grants, 0, 100);
    assert_int_equal(grants_of_stream(grants, GRANTS_STREAMS - 1), 5);
    assert_true(grants_spend(grants, &keys[4], 0));
    assert_true(grants_give_back(grants, &keys[6], 0, &grant));
    assert_int_equal(grants_of_stream(grants, GRANTS_STREAMS - 1), 3);
    grants_expire(grants, LIFETIME, 100);
    assert_int_equal(grants_of_stream(grants, GRANTS_STREAMS - 1), 0);
    grants_free(grants);
}

static void
test_of_account(void **state)
{
    struct grants *grants = grants_new(3, LIFETIME);
    struct grant_key keys[4];
    struct grant grant = sample_grant(0, 0);
    bool is_new;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) { /* the last one takes the room of the first */
        keys[i] = sample_key(i);
        grants_reserve(grants, &keys[i], &grant, 1, &is_new);
        grants_set_account(grants, &keys[i], i % 2 == 0 ? 7 : GRANTS_ACCOUNTS - 1, 0);
    }
    assert_int_equal(grants_of_account(grants, 7), 1);
    assert_int_equal(grants_of_account(grants, GRANTS_ACCOUNTS - 1), 2);
    assert_int_equal(grants_of_account(grants, GRANTS_ACCOUNTS), 0);
    assert_int_equal(grants_of_account(grants, 0), 0);
    grants_set_account(grants, &keys[0], 7, 0); /* it is gone */
    grants_set_account(grants, &keys[1], 0, 0);
    assert_int_equal(grants_of_account(grants, GRANTS_ACCOUNTS - 1), 1);
    assert_true(grants_spend(grants, &keys[2], 0));
    assert_int_equal(grants_of_account(grants, 7), 0);
    grants_expire(grants, LIFETIME, 100);
    assert_int_equal(grants_of_account(grants, GRANTS_ACCOUNTS - 1), 0);
    grants_free(grants);
}

/* Reserved ahead, and then asked for. */
static void
test_asked_for(void **state)
{
    struct grants *grants = grants_new(6, LIFETIME);
    struct grant_key key = sample_key(1);
    struct grant grant = sample_grant(1, 0);
    bool is_new;

    (void)state;
    assert_int_equal(grants_state(grants, &key, 0), GRANT_NONE);
    assert_null(grants_ask(grants, &key, 0));
    grants_reserve(grants, &key, &grant, 0, &is_new);
    assert_non_null(grants_find(grants, &key, 0));
    assert_int_equal(grants_state(grants, &key, 0), GRANT_RESERVED);
    sample_expect(grants_ask(grants, &key, 0), &grant);
    assert_int_equal(grants_state(grants, &key, 0), GRANT_ASKED);
    assert_int_equal(grants_state(grants, &key, LIFETIME), GRANT_NONE);
    grant.at_ms = LIFETIME;
    grants_reserve(grants, &key, &grant, 0, &is_new);
    assert_int_equal(grants_state(grants, &key, LIFETIME), GRANT_RESERVED);
    grants_free(grants);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_reserved_once),
        cmocka_unit_test(test_settled_once),
        cmocka_unit_test(test_no_result_is_spent),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_of_domain),
        cmocka_unit_test(test_of_stream),
        cmocka_unit_test(test_of_account),
        cmocka_unit_test(test_asked_for),
        cmocka_unit_test(test_remap),
        cmocka_unit_test(test_many_remaps),
        cmocka_unit_test(test_a_million),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
