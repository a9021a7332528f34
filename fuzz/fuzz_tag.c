/*
 * The tag in the envelope sender: what tag_add() takes comes back.
 *
 * Input: a sender, NUL, eight bytes for the id, one for the stream's name; two for a day.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/mem.h"
#include "lib/tag.h"
#include "lib/tagged.h"

#include <string.h>

static const uint8_t secret[CONF_SECRET_SIZE] = {1, 2, 3};

static const char *const streams[] = {
    "tx", "news-1", "a", "default", "a2345678-0-0-zz2345678901234567z",
};

/* The found tag must lie in sender, and removing must make an end of tags. */
static void
check_any(const char *sender)
{
    char *rest = mem_strdup(sender);
    char id[TAG_SENDER_SIZE];
    struct tag tag = {{0}, {0}, {0}};
    bool found = tag_find(sender, &tag);
    int count = tag_remove(rest);

    MUST(found == (count > 0));
    if (found) {
        MUST(strlen(tag.id) == TAG_ID_LENGTH || strlen(tag.id) == TAG_ID_MAX);
        MUST(strlen(tag.mac) == TAG_MAC_LENGTH);
        MUST(strlen(tag.stream) > 0 && strlen(tag.stream) <= STREAM_NAME_MAX);
        MUST(strlen(rest) < strlen(sender));
    } else {
        MUST(tag.id[0] == '\0' && strcmp(rest, sender) == 0);
    }
    MUST(tag_remove(rest) == 0);
    if (strlen(sender) <= ADDR_MAX)
        MUST(tagged_stream(fuzz_conf(), sender, id) != NULL);
    free(rest);
}

static void
check_round_trip(const char *sender, const char *stream, const char *id)
{
    static const uint8_t other[CONF_SECRET_SIZE] = {1, 2, 4};
    char tagged[TAG_SENDER_SIZE];
    char *plain;
    struct tag tag;

    if (tag_add(secret, sender, stream, id, tagged) < 0)
        return;
    MUST(strlen(tagged) ==
         strlen(sender) + 4 + strlen(stream) + 1 + strlen(id) + 1 + TAG_MAC_LENGTH);
    MUST(tag_find(tagged, &tag));
    MUST(strcmp(tag.stream, stream) == 0);
    MUST(strcmp(tag.id, id) == 0);
    MUST(tag_verify(secret, &tag));
    MUST(!tag_verify(other, &tag));
    for (size_t i = 0; tag.id[i] != '\0'; i++) {
        char was = tag.id[i];

        tag.id[i] = was == 'a' ? 'b' : 'a';
        MUST(!tag_verify(secret, &tag));
        tag.id[i] = was;
    }

    plain = mem_strdup(sender);
    MUST(tag_remove(tagged) == tag_remove(plain) + 1);
    MUST(strcmp(tagged, plain) == 0);
    free(plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *sender = fuzz_text(&input);
    char id[TAG_ID_MAX + 1];
    uint64_t random = 0;
    const char *stream;
    int32_t day;

    for (int i = 0; i < 8; i++)
        random = random << 8 | fuzz_byte(&input);
    tag_id(random, (int64_t)(random >> 40), id);
    MUST(tag_time_s(id, (int64_t)(random >> 40)) == (int64_t)(random >> 40));
    check_any(sender);
    stream = streams[fuzz_byte(&input) % (sizeof(streams) / sizeof(*streams))];
    check_round_trip(sender, stream, id);
    MUST(tag_day(secret, id) == TAG_NO_DAY);
    day = fuzz_byte(&input) << 8;
    day |= fuzz_byte(&input);
    tag_add_day(secret, id, day);
    MUST(tag_day(secret, id) == day);
    MUST(tag_time_s(id, (int64_t)(random >> 40)) == (int64_t)(random >> 40));
    check_round_trip(sender, stream, id);
    free(sender);
    return 0;
}
