/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/engagement.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/sha256.h"
#include "lib/addr.h"
#include "lib/err.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORD = 8,
    DAY_BITS = 16,
    DATE_LENGTH = 10,
    CHECK_AT = 3, /* word of the head; before it are the magic and how many there are */
    COUNT_AT = 2,
};

#define DAY_MASK ((UINT64_C(1) << DAY_BITS) - 1)
#define SEPARATORS " \t,;"
#define MARK "\xef\xbb\xbf" /* U+FEFF, which programs write in front of a table in UTF-8 */

/* Begins the file, and is the key of its checksum. */
static const uint8_t magic[HASH_KEY_SIZE + 1] = "postpool engaged";

/* ------------------------------------------------------------------ hashes */

static uint64_t
first_word(const uint8_t hash[static SHA256_SIZE])
{
    uint64_t word;

    memcpy(&word, hash, sizeof(word));
    return be64toh(word) & ~DAY_MASK;
}

uint64_t
engagement_hash(const char *address)
{
    char lower[ADDR_MAX + 1];
    uint8_t hash[SHA256_SIZE];

    snprintf(lower, sizeof(lower), "%s", address);
    addr_lower(lower);
    sha256(lower, strlen(lower), hash);
    return first_word(hash);
}

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
engagement_parse_hash(const char *text, uint64_t *ret_hash)
{
    uint8_t hash[SHA256_SIZE];

    if (strlen(text) != 2 * SHA256_SIZE)
        return -EINVAL;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        int high = hex(text[2 * i]), low = hex(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    *ret_hash = first_word(hash);
    return 0;
}

/* ------------------------------------------------------------------ a line */

/* Without blanks at its ends, and without one pair of quotes. */
static char *
bare(char *text)
{
    size_t length;

    text += strspn(text, " \t");
    length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        text[--length] = '\0';
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        text[length - 1] = '\0';
        text++;
    }
    return text;
}

static int
read_who(const char *text, uint64_t *ret_hash, struct err *err)
{
    struct addr addr;

    if (strchr(text, '@') == NULL && engagement_parse_hash(text, ret_hash) == 0)
        return 0;
    if (addr_split(text, &addr) < 0 || addr.domain == NULL || addr.domain[0] == '\0' ||
        addr.local_length == 0 || (!addr.quoted && memchr(text, '@', addr.local_length) != NULL) ||
        strpbrk(addr.domain, " \t@<>\"") != NULL)
        return err_set(err, -EINVAL,
                       "begins neither with an address nor with 64 hexadecimal digits of SHA-256");
    *ret_hash = engagement_hash(text);
    return 0;
}

/* "12", "12d": so many days ago. */
static bool
read_days(const char *text, int32_t today, int32_t *ret_day)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || (strcmp(text + digits, "") != 0 && strcmp(text + digits, "d")))
        return false;
    *ret_day = today - (int32_t)strtol(text, NULL, 10);
    if (*ret_day < 0)
        *ret_day = 0;
    return true;
}

/* "2026-11-27", also with a time behind. */
static bool
read_date(const char *text, int32_t *ret_day)
{
    char date[DATE_LENGTH + 1];
    size_t length = strlen(text);

    if (length < DATE_LENGTH || (length > DATE_LENGTH && strchr("T ", text[DATE_LENGTH]) == NULL) ||
        strspn(text + DATE_LENGTH, "T 0123456789:.+-Z") != length - DATE_LENGTH)
        return false;
    memcpy(date, text, DATE_LENGTH);
    date[DATE_LENGTH] = '\0';
    return date_parse(date, ret_day) == 0;
}

int
engagement_parse_day(const char *text, int32_t today, int32_t *ret_day)
{
    int32_t day;

    if (!read_days(text, today, &day) && !read_date(text, &day))
        return -EINVAL;
    if (day > today + 1 || day > ENGAGEMENT_DAY_MAX)
        return -ERANGE;
    *ret_day = day;
    return 0;
}

static int
read_when(const char *text, int32_t today, int32_t *ret_day, struct err *err)
{
    int r = engagement_parse_day(text, today, ret_day);

    if (r == -ERANGE)
        return err_set(err, -EINVAL, "has a date that is yet to come");
    if (r < 0)
        return err_set(err, r,
                       "has no date such as 2026-11-27 and no number of days behind the recipient");
    return 0;
}

int
engagement_line(const char *line, int32_t today, uint64_t *ret_word, struct err *err)
{
    char text[ADDR_MAX + 128], *who, *when;
    uint64_t hash;
    int32_t day = 0;
    size_t length;

    if (strlen(line) >= sizeof(text))
        return err_set(err, -EINVAL, "is longer than %zu bytes", sizeof(text) - 1);
    strcpy(text, line);
    who = text + (strncmp(text, MARK, strlen(MARK)) == 0 ? strlen(MARK) : 0);
    who += strspn(who, " \t\r\n");
    if (who[0] == '\0' || who[0] == '#')
        return 0;
    length = strcspn(who, SEPARATORS);
    when = who + length;
    if (*when != '\0')
        *when++ = '\0';
    when += strspn(when, SEPARATORS);
    if (read_who(bare(who), &hash, err) < 0 || read_when(bare(when), today, &day, err) < 0)
        return -EINVAL;
    *ret_word = hash | (uint64_t)day;
    return 1;
}

/* ------------------------------------------------------------------ writing */

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t
checksum(const uint8_t *words, size_t count)
{
    return hash_sip(magic, words, count * WORD);
}

size_t
engagement_make(uint64_t *words, size_t count)
{
    uint64_t *all = words + ENGAGEMENT_HEAD;
    size_t kept = 0;

    qsort(all, count, sizeof(*all), compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && ((all[kept - 1] ^ all[i]) & ~DAY_MASK) == 0)
            kept--; /* days of equal hashes grow */
        all[kept++] = all[i];
    }
    for (size_t i = 0; i < kept; i++)
        all[i] = htole64(all[i]);
    memcpy(words, magic, HASH_KEY_SIZE);
    words[COUNT_AT] = htole64(kept);
    words[CHECK_AT] = htole64(checksum((const uint8_t *)all, kept));
    return kept;
}

/* ------------------------------------------------------------------ reading */

static uint64_t
word_at(const uint8_t *words, size_t place)
{
    uint64_t word;

    memcpy(&word, words + place * WORD, sizeof(word));
    return le64toh(word);
}

int
engagement_read(const void *bytes, size_t length, struct engagement *ret_engagement,
                struct err *err)
{
    const uint8_t *words = bytes;
    struct engagement read;

    if (length < ENGAGEMENT_HEAD * WORD || memcmp(words, magic, HASH_KEY_SIZE) != 0)
        return err_set(err, -EINVAL, "is none that postpool engagement import has made");
    read = (struct engagement){words + ENGAGEMENT_HEAD * WORD, length / WORD - ENGAGEMENT_HEAD};
    if (length % WORD != 0 || word_at(words, COUNT_AT) != read.count)
        return err_set(err, -EINVAL, "is damaged: it has not the length that it should have");
    if (read.count > ENGAGEMENT_MAX)
        return err_set(err, -EINVAL, "has more than %d recipients", ENGAGEMENT_MAX);
    if (word_at(words, CHECK_AT) != checksum(read.words, read.count))
        return err_set(err, -EINVAL, "is damaged: its checksum is another");
    for (size_t i = 1; i < read.count; i++)
        if ((word_at(read.words, i - 1) | DAY_MASK) >= word_at(read.words, i))
            return err_set(err, -EINVAL, "is damaged: recipient %zu is not where it belongs", i);
    *ret_engagement = read;
    return 0;
}

uint64_t
engagement_word_at(const struct engagement *engagement, size_t place)
{
    return word_at(engagement->words, place);
}

int32_t
engagement_day(const struct engagement *engagement, uint64_t hash)
{
    size_t low = 0, high = engagement->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t word = word_at(engagement->words, middle);

        if ((word & ~DAY_MASK) == (hash & ~DAY_MASK))
            return (int32_t)(word & DAY_MASK);
        if (word < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
