/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/mx_answer.h"

#include <errno.h>
#include <string.h>

enum {
    HEADER_SIZE = 12,
    QUESTION_SIZE = 4, /* type and class, behind the name */
    RECORD_SIZE = 10,  /* type, class, TTL, length, behind the name */
    PREFERENCE_SIZE = 2,
    QUESTIONS_MAX = 1,
    JUMPS_MAX = 32, /* compression pointers in one name; each must lead backwards */
    LABEL_POINTER = 0xc0,
    LABEL_MAX = 63,
    CLASS_IN = 1,
    TYPE_MX = 15,
};

static unsigned
get16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static uint32_t
get32(const uint8_t *bytes)
{
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static char
host_byte(uint8_t byte)
{
    bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';

    return good ? (char)byte : '?';
}

/*
 * Read the name at *at into text, and put *at behind it.  Returns false for one
 * that leaves the message, is too long, or whose pointers do not end.
 */
static bool
read_name(const uint8_t *bytes, size_t length, size_t *at, char text[static MX_HOST_SIZE])
{
    size_t place = *at, written = 0, jumps = 0;

    for (;;) {
        size_t label;

        if (place >= length)
            return false;
        label = bytes[place++];
        if ((label & LABEL_POINTER) == LABEL_POINTER) {
            size_t start = place - 1, target;

            if (place >= length || jumps == JUMPS_MAX)
                return false;
            target = (label & ~(size_t)LABEL_POINTER) << 8 | bytes[place++];
            if (jumps++ == 0)
                *at = place;
            if (target >= start)
                return false;
            place = target;
            continue;
        }
        if (label > LABEL_MAX || label > length - place || written + label + 1 >= MX_HOST_SIZE)
            return false;
        if (label == 0)
            break;
        if (written > 0)
            text[written++] = '.';
        for (size_t i = 0; i < label; i++)
            text[written++] = host_byte(bytes[place + i]);
        place += label;
    }
    if (jumps == 0)
        *at = place;
    text[written] = '\0';
    return true;
}

static void
add_host(struct mx_answer *answer, const char *host)
{
    size_t size = strlen(host) + 1;

    if (answer->count == MX_HOSTS_MAX || size > sizeof(answer->hosts) - answer->hosts_length) {
        answer->too_many = true;
        return;
    }
    memcpy(answer->hosts + answer->hosts_length, host, size);
    answer->hosts_length += size;
    answer->count++;
}

/* Read the record at *at, and put *at behind it. */
static bool
read_record(const uint8_t *bytes, size_t length, size_t *at, struct mx_answer *answer, bool first)
{
    char name[MX_HOST_SIZE];
    const uint8_t *fields;
    size_t end;
    uint32_t ttl;

    if (!read_name(bytes, length, at, name) || length - *at < RECORD_SIZE)
        return false;
    fields = bytes + *at;
    *at += RECORD_SIZE;
    end = *at + get16(fields + 8);
    if (end > length)
        return false;
    ttl = get32(fields + 4);
    if (ttl > INT32_MAX) /* RFC 2181, section 8: such a value is none */
        ttl = 0;
    if (first || ttl < answer->ttl_s)
        answer->ttl_s = ttl;
    if (get16(fields) == TYPE_MX && get16(fields + 2) == CLASS_IN) {
        *at += PREFERENCE_SIZE;
        if (*at > end || !read_name(bytes, end, at, name) || *at != end)
            return false;
        add_host(answer, name);
    }
    *at = end;
    return true;
}

int
mx_answer_parse(const uint8_t *bytes, size_t length, struct mx_answer *ret_answer)
{
    size_t at = HEADER_SIZE, questions, records;
    char name[MX_HOST_SIZE];

    ret_answer->hosts_length = 0;
    ret_answer->count = 0;
    ret_answer->ttl_s = 0;
    ret_answer->too_many = false;
    if (length < HEADER_SIZE)
        return -EBADMSG;
    questions = get16(bytes + 4);
    records = get16(bytes + 6);
    if (questions > QUESTIONS_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < questions; i++) {
        if (!read_name(bytes, length, &at, name) || length - at < QUESTION_SIZE)
            return -EBADMSG;
        at += QUESTION_SIZE;
    }
    for (size_t i = 0; i < records; i++) {
        if (i == MX_RECORDS_MAX) {
            ret_answer->too_many = true;
            break;
        }
        if (!read_record(bytes, length, &at, ret_answer, i == 0))
            return -EBADMSG;
    }
    return 0;
}
