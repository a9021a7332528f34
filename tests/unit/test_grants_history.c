/*
 * Grants that wait for their result, against a model that does the same in the
 * simplest way, through long histories.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/sample.h"

enum { LIFETIME = 1000 };

/* The simplest thing that keeps the same rules: a list, oldest first. */
struct model {
    size_t most;
    int64_t lifetime_ms;
    struct model_grant {
        uint32_t key;
        struct grant grant;
    } list[1000];
    size_t count;
    struct grants_figures figures;
};

static void
model_remove(struct model *model, size_t at, uint64_t *figure)
{
    memmove(&model->list[at], &model->list[at + 1], (--model->count - at) * sizeof(model->list[0]));
    (*figure)++;
}

static void
model_expire(struct model *model, int64_t now_ms)
{
    while (model->count > 0 && now_ms - model->list[0].grant.at_ms >= model->lifetime_ms)
        model_remove(model, 0, &model->figures.expired);
}

static size_t
model_find(const struct model *model, uint32_t key)
{
    size_t at = 0;

    while (at < model->count && model->list[at].key != key)
        at++;
    return at;
}

static void
model_reserve(struct model *model, uint32_t key, const struct grant *grant)
{
    if (model->count == model->most)
        model_remove(model, 0, &model->figures.dropped);
    model->list[model->count++] = (struct model_grant){key, *grant};
}

static void
model_remap(struct model *model, const uint32_t *map, size_t count)
{
    for (size_t i = model->count; i-- > 0;) {
        struct grant *grant = &model->list[i].grant;

        grant->address = grant->address < count ? map[grant->address] : GRANT_GONE;
        for (size_t j = 0; j < GRANT_METERS; j++)
            grant->meters[j] = grant->meters[j] < count ? map[grant->meters[j]] : GRANT_NO_METER;
        if (grant->address == GRANT_GONE)
            model_remove(model, i, &model->figures.homeless);
    }
}

/* Numbers that are the same in each run. */
static uint32_t
chance(uint64_t *seed, uint32_t below)
{
    return (uint32_t)(hash_mix((*seed)++) % below);
}

static void
check_step(struct grants *grants, struct model *model, struct grant_key (*key_at)(uint32_t),
           uint32_t number, int64_t now_ms, uint64_t *seed)
{
    struct grant_key key = key_at(number);
    size_t at = model_find(model, number);
    const struct grant *found = grants_find(grants, &key, now_ms);
    struct grant grant = {chance(seed, 20), {chance(seed, 20), chance(seed, 20)}, 0, now_ms};
    bool is_open = at < model->count, is_new;

    if (is_open)
        sample_expect(found, &model->list[at].grant);
    else
        assert_null(found);
    switch (chance(seed, 4)) {
    case 0:
    case 1:
        if (!is_open)
            model_reserve(model, number, &grant);
        at = is_open ? at : model->count - 1;
        sample_expect(grants_reserve(grants, &key, &grant, 0, &is_new), &model->list[at].grant);
        assert_int_equal(is_new, !is_open);
        break;
    case 2:
        assert_int_equal(grants_spend(grants, &key, now_ms), is_open);
        if (is_open)
            model_remove(model, at, &model->figures.spent);
        break;
    case 3:
        assert_int_equal(grants_give_back(grants, &key, now_ms, &grant), is_open);
        if (is_open) {
            sample_expect(&grant, &model->list[at].grant);
            model_remove(model, at, &model->figures.given_back);
        }
        break;
    }
}

/* Once all work is done, nothing is left to be met, and the figures are the same, too. */
static void
check_figures(struct grants *grants, struct model *model, int64_t now_ms)
{
    struct grants_figures figures, expected = model->figures;

    grants_expire(grants, now_ms, SIZE_MAX);
    expected.open = model->count;
    /* A grant without an address may have become too old before that was seen. */
    grants_figures(grants, &figures);
    assert_int_equal(figures.expired + figures.homeless, expected.expired + expected.homeless);
    assert_true(figures.homeless <= expected.homeless);
    expected.expired = figures.expired;
    expected.homeless = figures.homeless;
    sample_expect_figures(grants, &expected);
}

static void
check_remap(struct grants *grants, struct model *model, uint64_t *seed)
{
    uint32_t map[20];
    size_t count = 18 + chance(seed, 3);

    for (size_t i = 0; i < count; i++)
        map[i] = chance(seed, 20) == 0 ? GRANT_GONE : chance(seed, 20);
    grants_remap(grants, map, count, map, count);
    model_remap(model, map, count);
}

static void
check_history(size_t most, struct grant_key (*key_at)(uint32_t), uint32_t keys, uint64_t seed)
{
    enum { STEPS = 100000 };
    struct grants *grants = grants_new(most, LIFETIME);
    struct model *model = calloc(1, sizeof(*model));
    bool is_roomy = most >= keys;
    int64_t now_ms = 0;

    model->most = most;
    model->lifetime_ms = LIFETIME;
    for (int step = 0; step < STEPS; step++) {
        now_ms += chance(&seed, chance(&seed, 200) == 0 ? LIFETIME : 5);
        model_expire(model, now_ms);
        check_step(grants, model, key_at, chance(&seed, keys), now_ms, &seed);
        if (chance(&seed, 10) == 0)
            grants_expire(grants, now_ms, chance(&seed, 10));
        if (chance(&seed, 200) == 0) {
            check_remap(grants, model, &seed);
            /* Where room is short, it matters when a grant without an address is seen. */
            if (!is_roomy)
                grants_expire(grants, now_ms, SIZE_MAX);
        }
        if (chance(&seed, 500) == 0)
            check_figures(grants, model, now_ms);
        if (chance(&seed, 1000) == 0) {
            check_figures(grants, model, now_ms); /* none that a longer life would bring back */
            model->lifetime_ms = LIFETIME / 2 + chance(&seed, LIFETIME);
            grants_set_lifetime(grants, model->lifetime_ms);
        }
    }
    check_figures(grants, model, now_ms);
    assert_true(model->figures.expired > 0 && model->figures.homeless > 0 &&
                model->figures.spent > 0 && model->figures.given_back > 0);
    assert_int_equal(model->figures.dropped > 0, !is_roomy);
    free(model);
    grants_free(grants);
}

static void
test_history(void **state)
{
    (void)state;
    check_history(1000, sample_key, 400, 1);
    check_history(1000, sample_crowded_key, 400, 2000000);
    check_history(50, sample_key, 400, 4000000);
    check_history(50, sample_crowded_key, 400, 6000000);
    check_history(1, sample_key, 3, 8000000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
