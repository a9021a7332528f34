/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/message.h"

#include <string.h>

void
message_put16(struct message *message, unsigned number)
{
    message->bytes[message->length++] = (uint8_t)(number >> 8);
    message->bytes[message->length++] = (uint8_t)number;
}

void
message_name(struct message *message, const char *name)
{
    while (*name != '\0') {
        size_t label = strcspn(name, ".");

        message->bytes[message->length++] = (uint8_t)label;
        memcpy(message->bytes + message->length, name, label);
        message->length += label;
        name += label + (name[label] == '.');
    }
    message->bytes[message->length++] = 0;
}

void
message_record(struct message *message, unsigned type, uint32_t ttl, const char *name)
{
    size_t size_at, start;

    message_put16(message, 0xc00c); /* the name of the question */
    message_put16(message, type);
    message_put16(message, 1);
    message_put16(message, ttl >> 16);
    message_put16(message, ttl & 0xffff);
    size_at = message->length;
    message_put16(message, 0);
    start = message->length;
    if (type == TYPE_MX)
        message_put16(message, 10);
    message_name(message, name);
    message->bytes[size_at] = (uint8_t)((message->length - start) >> 8);
    message->bytes[size_at + 1] = (uint8_t)(message->length - start);
    message->records++;
    message->bytes[6] = (uint8_t)(message->records >> 8);
    message->bytes[7] = (uint8_t)message->records;
}

void
message_data(struct message *message, unsigned type, const void *data, size_t length)
{
    message_put16(message, 0xc00c);
    message_put16(message, type);
    message_put16(message, 1);
    message_put16(message, 0);
    message_put16(message, 300);
    message_put16(message, (unsigned)length);
    memcpy(message->bytes + message->length, data, length);
    message->length += length;
    message->records++;
    message->bytes[6] = (uint8_t)(message->records >> 8);
    message->bytes[7] = (uint8_t)message->records;
}

void
message_begin(struct message *message, const char *domain)
{
    static const uint8_t header[12] = {0x12, 0x34, 0x81, 0x80, 0, 1};

    message->length = message->records = 0;
    memcpy(message->bytes, header, sizeof(header));
    message->length = sizeof(header);
    message_name(message, domain);
    message_put16(message, TYPE_MX);
    message_put16(message, 1);
}
