/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/tag.h"

#include "engine/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Static_assert((int)CONF_SECRET_SIZE == (int)HASH_KEY_SIZE, "the secret is a SipHash key");

enum { TIME_BITS = 24, RANDOM_BITS = 36, DAY_BITS = 5 * TAG_DAY_LENGTH };

_Static_assert(TIME_BITS + RANDOM_BITS == 5 * (int)TAG_ID_LENGTH, "an id holds both");

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static void
print_base32(uint64_t bits, char *out, size_t length)
{
    for (size_t i = 0; i < length; i++, bits >>= 5)
        out[i] = base32[bits & 31];
    out[length] = '\0';
}

/* The time is above the random bits, of which no more come than fit in. */
void
tag_id(uint64_t random, int64_t now_s, char id[static TAG_ID_LENGTH + 1])
{
    uint64_t low = random & ((UINT64_C(1) << RANDOM_BITS) - 1);

    print_base32((uint64_t)now_s << RANDOM_BITS | low, id, TAG_ID_LENGTH);
}

/* Characters of base32 from the start of text; how many there were. */
static size_t
read_base32(const char *text, size_t length, uint64_t *ret_bits)
{
    const char *digit;
    size_t i = 0;

    *ret_bits = 0;
    for (; i < length && text[i] != '\0' && (digit = strchr(base32, text[i])) != NULL; i++)
        *ret_bits |= (uint64_t)(digit - base32) << (5 * i);
    return i;
}

static bool
is_id_length(size_t length)
{
    return length == TAG_ID_LENGTH || length == TAG_ID_MAX;
}

/* The time nearest to now_s that has these bits. */
static int64_t
nearest_time_s(uint64_t bits, int64_t now_s)
{
    int64_t range = INT64_C(1) << TIME_BITS;
    int64_t ahead = (int64_t)((bits - (uint64_t)now_s) & (uint64_t)(range - 1));

    return now_s + (ahead < range / 2 ? ahead : ahead - range);
}

int64_t
tag_time_s(const char *id, int64_t now_s)
{
    uint64_t bits;

    if (read_base32(id, TAG_ID_LENGTH, &bits) != TAG_ID_LENGTH || !is_id_length(strlen(id)))
        return -1;
    return nearest_time_s(bits >> RANDOM_BITS, now_s);
}

/* What hides the day: as good as random, and another one for each id. */
static uint64_t
day_mask(const uint8_t secret[static CONF_SECRET_SIZE], const char *id)
{
    return hash_sip(secret, id, TAG_ID_LENGTH) & ((UINT64_C(1) << DAY_BITS) - 1);
}

void
tag_add_day(const uint8_t secret[static CONF_SECRET_SIZE], char id[static TAG_ID_MAX + 1],
            int32_t day)
{
    print_base32((uint64_t)day ^ day_mask(secret, id), id + TAG_ID_LENGTH, TAG_DAY_LENGTH);
}

int32_t
tag_day(const uint8_t secret[static CONF_SECRET_SIZE], const char *id)
{
    uint64_t bits;

    if (strlen(id) != TAG_ID_MAX ||
        read_base32(id + TAG_ID_LENGTH, TAG_DAY_LENGTH, &bits) != TAG_DAY_LENGTH)
        return TAG_NO_DAY;
    bits ^= day_mask(secret, id);
    return bits <= TAG_DAY_MAX ? (int32_t)bits : TAG_NO_DAY;
}

static void
make_mac(const uint8_t secret[static CONF_SECRET_SIZE], const char *stream, const char *id,
         char mac[static TAG_MAC_LENGTH + 1])
{
    char text[STREAM_NAME_MAX + 1 + TAG_ID_MAX + 1];
    char *end = stpcpy(stpcpy(stpcpy(text, stream), "."), id);

    print_base32(hash_sip(secret, text, (size_t)(end - text)), mac, TAG_MAC_LENGTH);
}

int
tag_add(const uint8_t secret[static CONF_SECRET_SIZE], const char *sender, const char *stream,
        const char *id, char out[static TAG_SENDER_SIZE])
{
    struct addr addr;
    char mac[TAG_MAC_LENGTH + 1];
    int before;

    if (strlen(stream) > STREAM_NAME_MAX || !is_id_length(strlen(id)))
        return -EINVAL;
    if (addr_split(sender, &addr) < 0 || strlen(sender) + TAG_LENGTH_MAX > ADDR_MAX)
        return -EINVAL;
    make_mac(secret, stream, id, mac);
    before = (int)addr.local_length - (addr.quoted ? 1 : 0);
    snprintf(out, TAG_SENDER_SIZE, "%.*s+pp=%s.%s.%s%s", before, sender, stream, id, mac,
             sender + before);
    return 0;
}

/* Mail systems may change the letter case of a tag, so it does not count. */
static bool
in_base32(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
}

static bool
in_name(char c)
{
    return in_base32(c) || (c >= '0' && c <= '9') || c == '-';
}

/* How many bytes at the end of text[0..end) are in the alphabet; end when all are. */
static size_t
run_before(const char *text, size_t end, bool (*in_alphabet)(char))
{
    size_t count = 0;

    while (count < end && in_alphabet(text[end - 1 - count]))
        count++;
    return count;
}

static void
copy_lower(char *out, const char *text, size_t length)
{
    memcpy(out, text, length);
    out[length] = '\0';
    addr_lower(out);
}

/*
 * Read the tag that ends at text[end], from its end to its start, because
 * only the end is certain.  Returns its length, 0 for none.
 */
static size_t
tag_before(const char *text, size_t end, struct tag *tag)
{
    size_t at = end, length;

    if (run_before(text, at, in_base32) != TAG_MAC_LENGTH)
        return 0;
    at -= TAG_MAC_LENGTH;
    copy_lower(tag->mac, text + at, TAG_MAC_LENGTH);
    if (at == 0 || text[--at] != '.')
        return 0;
    length = run_before(text, at, in_base32);
    if (!is_id_length(length))
        return 0;
    at -= length;
    copy_lower(tag->id, text + at, length);
    if (at == 0 || text[--at] != '.')
        return 0;
    length = run_before(text, at, in_name);
    if (length == 0 || length > STREAM_NAME_MAX)
        return 0;
    at -= length;
    copy_lower(tag->stream, text + at, length);
    if (at < 4 || strncasecmp(text + at - 4, "+pp=", 4) != 0)
        return 0;
    return end - (at - 4);
}

static size_t
local_end(const struct addr *addr)
{
    return addr->local_length - (addr->quoted ? 1 : 0);
}

bool
tag_find(const char *sender, struct tag *ret_tag)
{
    struct addr addr;
    struct tag tag;

    if (addr_split(sender, &addr) < 0 || tag_before(sender, local_end(&addr), &tag) == 0)
        return false;
    *ret_tag = tag;
    return true;
}

bool
tag_verify(const uint8_t secret[static CONF_SECRET_SIZE], const struct tag *tag)
{
    char mac[TAG_MAC_LENGTH + 1];
    int difference = 0;

    make_mac(secret, tag->stream, tag->id, mac);
    for (size_t i = 0; i < TAG_MAC_LENGTH; i++) /* in constant time */
        difference |= mac[i] ^ tag->mac[i];
    return difference == 0;
}

int
tag_remove(char *sender)
{
    struct addr addr;
    struct tag tag;
    int count = 0;

    while (addr_split(sender, &addr) == 0) {
        size_t end = local_end(&addr);
        size_t length = tag_before(sender, end, &tag);

        if (length == 0)
            break;
        memmove(sender + end - length, sender + end, strlen(sender + end) + 1);
        count++;
    }
    return count;
}
