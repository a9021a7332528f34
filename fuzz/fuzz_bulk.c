/*
 * The header of bulk mail: what of everything that can be required is not met.
 *
 * Input: the envelope sender, NUL, then fields, "name:value", cut by NUL.  A
 * value is also read as that of each other field.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "milter/bulk.h"

#include <string.h>

/* A domain can be compared, and be printed on a line. */
static void
check_domain(const char *domain, bool found)
{
    MUST(strlen(domain) < BULK_DOMAIN_SIZE);
    MUST(found || domain[0] == '\0');
    MUST(strpbrk(domain, "@<>()[],;:\\\" \t\r\n") == NULL);
    for (const char *c = domain; *c != '\0'; c++)
        MUST((unsigned char)*c > ' ' && !(*c >= 'A' && *c <= 'Z'));
}

static void
check_value(const char *value)
{
    char domain[BULK_DOMAIN_SIZE] = "?";
    struct bulk_uris uris;
    bool found;

    found = bulk_value_author(value, domain);
    check_domain(domain, found);
    found = bulk_value_signer(value, domain);
    check_domain(domain, found);
    MUST(!found || domain[0] != '\0');
    bulk_value_uris(value, &uris);
    MUST(uris.any || !uris.https);
    MUST(!bulk_value_is_one_click(value) || !uris.any);
}

static void
check(const struct bulk *bulk, const char *sender)
{
    unsigned all = REQUIRE_BIT(REQUIRE_COUNT) - 1, unmet = bulk_unmet(bulk, all, sender);
    char names[BULK_NAMES_SIZE];

    MUST((unmet & ~all) == 0);
    MUST(strlen(bulk_print(unmet, names)) < BULK_NAMES_SIZE);
    MUST(bulk_reply(unmet) != NULL);
    for (int i = 0; i < REQUIRE_COUNT; i++) /* each by itself, as together */
        MUST(bulk_unmet(bulk, REQUIRE_BIT(i), sender) == (unmet & REQUIRE_BIT(i)));
    if ((unmet & REQUIRE_BIT(REQUIRE_ONE_FROM)) != 0)
        MUST((unmet & REQUIRE_BIT(REQUIRE_ALIGNED_FROM)) != 0);
    if ((unmet & REQUIRE_BIT(REQUIRE_LIST_UNSUBSCRIBE)) != 0)
        MUST((unmet & REQUIRE_BIT(REQUIRE_ONE_CLICK)) != 0);
    MUST(bulk->signature_count <= BULK_SIGNATURES_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *sender = fuzz_text(&input);
    struct bulk bulk = {0};

    while (input.size > 0) {
        char *line = fuzz_text(&input), *colon = strchr(line, ':');

        if (colon != NULL) {
            *colon = '\0';
            bulk_header(&bulk, line, colon + 1);
            check_value(colon + 1);
        }
        free(line);
    }
    check(&bulk, sender);
    free(sender);
    return 0;
}
