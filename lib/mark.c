/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/mark.h"

#include "engine/hash.h"
#include "lib/addr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a mac of a tag is over has no ":". */
#define KIND "mark:"

#define ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789-"

static bool
is_account(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= MARK_ACCOUNT_MAX && strspn(text, ALPHABET "._") == length;
}

static void
print(const uint8_t secret[static CONF_SECRET_SIZE], const struct mark *mark,
      char out[static MARK_SIZE])
{
    char text[sizeof(KIND) + MARK_SIZE];
    int length =
        snprintf(text, sizeof(text), KIND "%s.%s:%s", mark->stream, mark->id, mark->account);

    snprintf(out, MARK_SIZE, "%s.%s.%016" PRIx64 ":%s", mark->stream, mark->id,
             hash_sip(secret, text, (size_t)length), mark->account);
}

bool
mark_print(const uint8_t secret[static CONF_SECRET_SIZE], const char *stream, const char *id,
           const char *account, char out[static MARK_SIZE])
{
    struct mark mark;

    if (!is_account(account) || strlen(stream) > STREAM_NAME_MAX || strlen(id) > TAG_ID_MAX)
        return false;
    strcpy(mark.stream, stream);
    strcpy(mark.id, id);
    strcpy(mark.account, account);
    print(secret, &mark, out);
    return true;
}

/* A part of up to max characters, and what stands behind it. */
static bool
take(const char **text, size_t max, char behind, char *out)
{
    size_t length = strspn(*text, ALPHABET);

    if (length == 0 || length > max || (*text)[length] != behind)
        return false;
    memcpy(out, *text, length);
    out[length] = '\0';
    *text += length + 1;
    return true;
}

bool
mark_read(const uint8_t secret[static CONF_SECRET_SIZE], const char *text, struct mark *ret_mark)
{
    char lower[MARK_SIZE], mac[MARK_MAC_LENGTH + 1], genuine[MARK_SIZE];
    const char *at = lower;
    struct mark mark;
    int difference = 0;

    if (strlen(text) >= MARK_SIZE)
        return false;
    strcpy(lower, text);
    addr_lower(lower);
    if (!take(&at, STREAM_NAME_MAX, '.', mark.stream) || !take(&at, TAG_ID_MAX, '.', mark.id) ||
        !take(&at, MARK_MAC_LENGTH, ':', mac) || !is_account(at))
        return false;
    strcpy(mark.account, at);
    memset(genuine, 0, sizeof(genuine));
    print(secret, &mark, genuine);
    for (size_t i = 0; i <= strlen(lower); i++) /* in constant time */
        difference |= lower[i] ^ genuine[i];
    if (difference != 0)
        return false;
    *ret_mark = mark;
    return true;
}
