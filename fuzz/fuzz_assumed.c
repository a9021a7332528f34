/*
 * What postpool simulate is told to assume: refused with a reason, or mail is made of it, as much
 * as was asked for.
 *
 * Input: for each option a letter and its value, up to a NUL.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "ctl/assumed.h"
#include "lib/conf.h"
#include "lib/err.h"

enum { A_DAY = 20788, COUNT_MAX = 100000, OPTIONS_MAX = 20 };

struct made {
    uint64_t count;
    int64_t last_ms, from_ms, to_ms;
    const struct assumed *assumed;
};

static int
on_mail(void *arg, int64_t at_ms, const struct stream *stream, size_t provider, const char *account,
        uint32_t count)
{
    struct made *made = arg;

    MUST(at_ms >= made->last_ms && at_ms >= made->from_ms && at_ms < made->to_ms);
    MUST(stream != NULL && account != NULL && count > 0);
    MUST(provider < made->assumed->snapshot->provider_count);
    made->last_ms = at_ms;
    made->count += count;
    return 0;
}

static void
take(struct assumed *assumed, uint8_t option, const char *text)
{
    struct err err = {""};
    uint32_t parts;
    int r = 0;

    switch (option) {
    case 'v':
        r = assumed_volumes(assumed, text, &err);
        break;
    case 'p':
        r = assumed_providers(assumed, text, &err);
        break;
    case 'c':
        r = assumed_curve(assumed, text, &err);
        break;
    case 'w':
        r = assumed_when(assumed, text, &err);
        break;
    case 'a':
        r = assumed_accounts(assumed, text, &err);
        break;
    default:
        r = assumed_percent(text, &parts, &err);
        MUST(r < 0 || parts <= ASSUMED_ALL);
        break;
    }
    MUST(r == 0 || err.msg[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct assumed assumed = {.snapshot = fuzz_conf()->snapshot};
    struct made made = {.assumed = &assumed};
    uint64_t shares = 0, most = 0;

    assumed_providers(&assumed, NULL, NULL);
    assumed_curve(&assumed, "day", NULL);
    for (int i = 0; input.size > 0 && i < OPTIONS_MAX; i++) {
        uint8_t option = fuzz_byte(&input);
        char *text = fuzz_text(&input);

        take(&assumed, option, text);
        free(text);
    }
    for (size_t i = 0; i < assumed.count; i++) {
        struct assumed_stream *its = &assumed.streams[i];

        if (its->count > COUNT_MAX) /* for the time that it takes */
            its->count = COUNT_MAX;
        most += its->count * (its->per == ASSUMED_HOUR ? ASSUMED_HOURS : 1);
    }
    for (size_t i = 0; i < assumed.snapshot->provider_count; i++)
        shares += assumed.shares[i];
    if (shares == ASSUMED_ALL) { /* else they were refused */
        made.from_ms = assumed_midnight_ms(&assumed, A_DAY);
        made.to_ms = assumed_midnight_ms(&assumed, A_DAY + 1);
        MUST(assumed_make(&assumed, A_DAY, on_mail, &made) == 0);
        MUST(made.count <= most);
    }
    assumed_clear(&assumed);
    return 0;
}
