/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/dns_answer.h"

#include <errno.h>

enum {
    HEADER_SIZE = 12,
    QUESTION_SIZE = 4, /* type and class, behind the name */
    RECORD_SIZE = 10,  /* type, class, TTL, length, behind the name */
    QUESTIONS_MAX = 1,
    JUMPS_MAX = 32, /* compression pointers in one name; each must lead backwards */
    LABEL_POINTER = 0xc0,
    LABEL_MAX = 63,
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

bool
dns_answer_name(const struct dns_answer *answer, size_t *at, size_t end,
                char text[static DNS_NAME_SIZE])
{
    const uint8_t *bytes = answer->bytes;
    size_t place = *at, written = 0, jumps = 0;

    for (;;) {
        size_t label;

        if (place >= end)
            return false;
        label = bytes[place++];
        if ((label & LABEL_POINTER) == LABEL_POINTER) {
            size_t start = place - 1, target;

            if (place >= end || jumps == JUMPS_MAX)
                return false;
            target = (label & ~(size_t)LABEL_POINTER) << 8 | bytes[place++];
            if (jumps++ == 0)
                *at = place;
            if (target >= start)
                return false;
            place = target;
            continue;
        }
        if (label > LABEL_MAX || label > end - place || written + label + 1 >= DNS_NAME_SIZE)
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

int
dns_answer_open(struct dns_answer *answer, const uint8_t *bytes, size_t length)
{
    char name[DNS_NAME_SIZE];
    size_t questions;

    *answer = (struct dns_answer){.bytes = bytes, .length = length, .at = HEADER_SIZE};
    if (length < HEADER_SIZE)
        return -EBADMSG;
    questions = get16(bytes + 4);
    answer->left = get16(bytes + 6);
    if (questions > QUESTIONS_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < questions; i++) {
        if (!dns_answer_name(answer, &answer->at, length, name) ||
            length - answer->at < QUESTION_SIZE)
            return -EBADMSG;
        answer->at += QUESTION_SIZE;
    }
    return 0;
}

int
dns_answer_next(struct dns_answer *answer, struct dns_record *ret_record)
{
    char name[DNS_NAME_SIZE];
    const uint8_t *fields;
    uint32_t ttl;

    if (answer->left == 0)
        return 0;
    if (!dns_answer_name(answer, &answer->at, answer->length, name) ||
        answer->length - answer->at < RECORD_SIZE)
        return -EBADMSG;
    fields = answer->bytes + answer->at;
    ttl = get32(fields + 4);
    *ret_record = (struct dns_record){
        .type = get16(fields),
        .of_class = get16(fields + 2),
        .ttl_s = ttl > INT32_MAX ? 0 : ttl, /* RFC 2181, section 8: such a value is none */
        .start = answer->at + RECORD_SIZE,
        .end = answer->at + RECORD_SIZE + get16(fields + 8),
    };
    if (ret_record->end > answer->length)
        return -EBADMSG;
    answer->at = ret_record->end;
    answer->left--;
    return 1;
}
