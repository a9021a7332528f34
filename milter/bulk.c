/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/bulk.h"

#include "lib/addr.h"

#include <libpsl.h>
#include <string.h>
#include <strings.h>

void
bulk_header(struct bulk *bulk, const char *name, const char *value)
{
    if (strcasecmp(name, "From") == 0) {
        bulk->from_count++;
        bulk->one_author = bulk_value_author(value, bulk->author);
    } else if (strcasecmp(name, "List-Unsubscribe") == 0) {
        bulk->unsubscribe_count++;
        bulk_value_uris(value, &bulk->uris);
    } else if (strcasecmp(name, "List-Unsubscribe-Post") == 0) {
        bulk->post_count++;
        bulk->one_click = bulk_value_is_one_click(value);
    } else if (strcasecmp(name, "DKIM-Signature") == 0 &&
               bulk->signature_count < BULK_SIGNATURES_MAX) {
        bulk_value_signer(value, bulk->signers[bulk->signature_count++]);
    }
}

/* "example.co.uk" of "news.example.co.uk"; a public suffix is its own (RFC 7489, section 3.2). */
static const char *
organizational(const char *domain)
{
    const char *registrable = psl_registrable_domain(psl_builtin(), domain);

    return registrable != NULL ? registrable : domain;
}

static bool
is_aligned_with(const struct bulk *bulk, const char *domain)
{
    return strcmp(organizational(bulk->author), organizational(domain)) == 0;
}

static bool
is_one_from(const struct bulk *bulk)
{
    return bulk->from_count == 1 && bulk->one_author;
}

static bool
is_aligned(const struct bulk *bulk, const char *sender)
{
    char domain[BULK_DOMAIN_SIZE];

    if (!is_one_from(bulk) || bulk->author[0] == '\0')
        return false;
    addr_domain(sender, domain, sizeof(domain));
    if (is_aligned_with(bulk, domain))
        return true;
    for (size_t i = 0; i < bulk->signature_count; i++)
        if (is_aligned_with(bulk, bulk->signers[i]))
            return true;
    return false;
}

static bool
is_met(const struct bulk *bulk, enum require require, const char *sender)
{
    switch (require) {
    case REQUIRE_LIST_UNSUBSCRIBE:
        return bulk->unsubscribe_count == 1 && bulk->uris.any;
    case REQUIRE_ONE_CLICK:
        return bulk->unsubscribe_count == 1 && bulk->uris.https && bulk->post_count == 1 &&
               bulk->one_click;
    case REQUIRE_ALIGNED_FROM:
        return is_aligned(bulk, sender);
    case REQUIRE_ONE_FROM:
        return is_one_from(bulk);
    case REQUIRE_COUNT:
        break;
    }
    return true;
}

unsigned
bulk_unmet(const struct bulk *bulk, unsigned required, const char *sender)
{
    unsigned unmet = 0;

    for (int i = 0; i < REQUIRE_COUNT; i++)
        if ((required & REQUIRE_BIT(i)) != 0 && !is_met(bulk, (enum require)i, sender))
            unmet |= REQUIRE_BIT(i);
    return unmet;
}

const char *
bulk_print(unsigned set, char out[static BULK_NAMES_SIZE])
{
    out[0] = '\0';
    for (int i = 0; i < REQUIRE_COUNT; i++) {
        if ((set & REQUIRE_BIT(i)) == 0)
            continue;
        if (out[0] != '\0')
            strcat(out, " ");
        strcat(out, require_name((enum require)i));
    }
    return out;
}

const char *
bulk_reply(unsigned unmet)
{
    if (unmet & REQUIRE_BIT(REQUIRE_LIST_UNSUBSCRIBE))
        return "list_unsubscribe: bulk mail needs one List-Unsubscribe header with a URI in <> "
               "(RFC 2369)";
    if (unmet & REQUIRE_BIT(REQUIRE_ONE_CLICK))
        return "one_click: bulk mail needs one List-Unsubscribe header with an https URI in <> and "
               "one List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058)";
    if (unmet & REQUIRE_BIT(REQUIRE_ALIGNED_FROM))
        return "aligned_from: bulk mail needs a From address in the same organizational domain as "
               "its envelope sender, or as a DKIM signature (RFC 7489)";
    return "one_from: mail needs exactly one From header with exactly one address (RFC 5322)";
}
