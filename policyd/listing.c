/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/listing.h"

#include "lib/dnslist.h"
#include "policyd/dns_answer.h"

#include <string.h>

enum { IPV4_BYTES = 4 };

static enum listing_says
read_code(const struct dnslist *list, const struct ip *code)
{
    const uint8_t *bytes = code->bytes;

    if (bytes[0] != 127)
        return LISTING_ODD;
    if (bytes[1] == 255 && bytes[2] == 255)
        return LISTING_REFUSED;
    if (bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 1)
        return LISTING_REFUSED;
    for (size_t i = 0; i < list->code_count; i++)
        if (ip_net_has(&list->codes[i], code))
            return LISTING_LISTED;
    return LISTING_OTHER;
}

/* Of several records: what casts doubt on the whole answer, then what accuses. */
static int
weight(enum listing_says says)
{
    static const int weights[] = {
        [LISTING_CLEAR] = 0,   [LISTING_OTHER] = 1, [LISTING_LISTED] = 2,
        [LISTING_REFUSED] = 3, [LISTING_ODD] = 4,   [LISTING_FAILED] = 5,
    };

    return weights[says];
}

struct listing
listing_read(const struct dnslist *list, enum dns_result result, const uint8_t *bytes,
             size_t length)
{
    struct listing listing = {.says = LISTING_CLEAR};
    struct dns_answer answer;
    struct dns_record record;
    int r = 0;

    if (result == DNS_NO_NAME)
        return listing;
    if (result == DNS_FAILED || dns_answer_open(&answer, bytes, length) < 0)
        return (struct listing){.says = LISTING_FAILED};
    for (size_t i = 0; i < LISTING_RECORDS_MAX; i++) {
        struct ip code = {.family = 4};
        enum listing_says says;

        r = dns_answer_next(&answer, &record);
        if (r <= 0)
            break;
        if (record.type != DNS_A || record.of_class != DNS_CLASS_IN)
            continue;
        if (record.end - record.start != IPV4_BYTES)
            return (struct listing){.says = LISTING_FAILED};
        memcpy(code.bytes, bytes + record.start, IPV4_BYTES);
        says = read_code(list, &code);
        if (weight(says) > weight(listing.says))
            listing = (struct listing){says, code};
    }
    return r < 0 ? (struct listing){.says = LISTING_FAILED} : listing;
}

/* The strings of a TXT record, each behind its length. */
static void
copy_text(const uint8_t *at, const uint8_t *end, char *out, size_t room)
{
    size_t written = 0;

    while (at < end) {
        size_t length = *at++;

        for (; length > 0 && at < end; length--, at++)
            if (written + 1 < room)
                out[written++] = *at >= ' ' && *at <= '~' ? (char)*at : '?';
    }
    out[written] = '\0';
}

void
listing_read_reason(const uint8_t *bytes, size_t length, char out[static LISTING_REASON_SIZE])
{
    struct dns_answer answer;
    struct dns_record record;

    out[0] = '\0';
    if (dns_answer_open(&answer, bytes, length) < 0)
        return;
    for (size_t i = 0; i < LISTING_RECORDS_MAX && dns_answer_next(&answer, &record) > 0; i++)
        if (record.type == DNS_TXT && record.of_class == DNS_CLASS_IN) {
            copy_text(bytes + record.start, bytes + record.end, out, LISTING_REASON_SIZE);
            return;
        }
}

const char *
listing_refusal_text(const struct ip *code)
{
    if (code->bytes[1] == 255)
        switch (code->bytes[3]) {
        case 252:
            return "the name of the list is not right";
        case 254:
            return "it does not serve public resolvers, ask through one of your own";
        case 255:
            return "too many questions came from this resolver";
        }
    return "it does not serve this resolver";
}

struct ip
listing_test_point(int family, bool must_be_listed)
{
    struct ip ip = {.family = (uint8_t)family};
    uint8_t *last = family == 4 ? ip.bytes : ip.bytes + sizeof(ip.bytes) - IPV4_BYTES;

    if (family == 6)
        last[-1] = last[-2] = 0xff;
    last[0] = 127;
    last[3] = must_be_listed ? 2 : 1;
    return ip;
}
