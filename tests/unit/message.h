/*
 * Writing DNS messages, good and bad.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_MESSAGE_H
#define TESTS_UNIT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_MX = 15, TYPE_TXT = 16, RR_FIXED = 10 };

struct message {
    uint8_t bytes[65000];
    size_t length;
    size_t records;
};

/* An answer without records to the question for the MX records of domain. */
void message_begin(struct message *message, const char *domain);

/* Add a record for the question's name, and count it; name stands in its data. */
void message_record(struct message *message, unsigned type, uint32_t ttl, const char *name);

/* The same with any data. */
void message_data(struct message *message, unsigned type, const void *data, size_t length);

void message_put16(struct message *message, unsigned number);
void message_name(struct message *message, const char *name);

#endif
