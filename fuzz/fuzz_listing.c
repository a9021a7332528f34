/*
 * What a DNS list's answer says of an address, and its reason.
 *
 * Input: the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/dnslist.h"
#include "policyd/listing.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ip_net codes[] = {{{4, {127, 0, 0, 0}}, 24}};
    const struct dnslist list = {.codes = codes, .code_count = 1};
    struct listing listing = listing_read(&list, DNS_ANSWER, data, size);
    char reason[LISTING_REASON_SIZE];

    switch (listing.says) {
    case LISTING_CLEAR:
    case LISTING_FAILED:
        MUST(listing.code.family == 0);
        break;
    case LISTING_LISTED:
        MUST(ip_net_has(&codes[0], &listing.code) && listing.code.bytes[3] != 1);
        break;
    case LISTING_OTHER:
        MUST(listing.code.bytes[0] == 127 && !ip_net_has(&codes[0], &listing.code));
        break;
    case LISTING_REFUSED:
        MUST(listing.code.bytes[0] == 127);
        MUST(strlen(listing_refusal_text(&listing.code)) > 0);
        break;
    case LISTING_ODD:
        MUST(listing.code.family == 4 && listing.code.bytes[0] != 127);
        break;
    }
    listing_read_reason(data, size, reason);
    MUST(strnlen(reason, sizeof(reason)) < sizeof(reason));
    for (const char *c = reason; *c != '\0'; c++)
        MUST(*c >= ' ' && *c <= '~');
    return 0;
}
