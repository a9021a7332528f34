/*
 * Reading the MX records in an answer, whatever its bytes are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "policyd/mx_answer.h"
#include "tests/unit/message.h"

#include <errno.h>

static struct message message;
static struct mx_answer answer;

static void
test_answer(void **state)
{
    (void)state;
    message_begin(&message, "example.test");
    message_record(&message, TYPE_CNAME, 900, "other.test");
    message_record(&message, TYPE_MX, 300, "mx1.example.test");
    message_record(&message, TYPE_MX, 600, "MX2.example.test");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.ttl_s, 300);
    assert_false(answer.too_many);
    assert_memory_equal(answer.hosts, "mx1.example.test\0MX2.example.test", 34);
    assert_int_equal(answer.hosts_length, 34);
}

static void
test_answer_odd(void **state)
{
    (void)state;
    message_begin(&message, "example.test");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_int_equal(answer.count, 0);
    message_record(&message, TYPE_MX, 0xffffffff, "");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.hosts_length, 1);
    assert_int_equal(answer.ttl_s, 0);
    /* A dot inside a label must not look like one between labels. */
    message_begin(&message, "example.test");
    message_record(&message, TYPE_MX, 1, "x_google.com");
    *(uint8_t *)memchr(message.bytes, '_', message.length) = '.';
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_string_equal(answer.hosts, "x?google.com");
}

/* Every beginning of a good answer is malformed, or shorter; none is read beyond its end. */
static void
test_answer_cut(void **state)
{
    uint8_t *copy;

    (void)state;
    message_begin(&message, "example.test");
    message_record(&message, TYPE_MX, 300, "mx1.example.test");
    message_record(&message, TYPE_MX, 300, "mx2.example.test");
    for (size_t length = 0; length < message.length; length++) {
        copy = mem_array(length > 0 ? length : 1, 1);
        memcpy(copy, message.bytes, length);
        assert_int_equal(mx_answer_parse(copy, length, &answer), -EBADMSG);
        free(copy);
    }
}

static void
test_answer_pointers(void **state)
{
    static const struct {
        unsigned pointer; /* put into the MX record in the place of its host */
        int result;
    } cases[] = {
        {0xc00c, 0},        /* the question */
        {0xc000, -EBADMSG}, /* the header: a label longer than the message allows */
        {0xffff, -EBADMSG}, /* beyond the end */
    };
    size_t itself;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        message_begin(&message, "example.test");
        message_record(&message, TYPE_MX, 300, "x");
        message.length -= 3;
        message_put16(&message, cases[i].pointer);
        message.bytes[message.length - 5] = 4; /* bytes of the record: preference, pointer */
        assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), cases[i].result);
    }
    itself = message.length - 2;
    message.bytes[itself] = (uint8_t)(0xc0 | itself >> 8);
    message.bytes[itself + 1] = (uint8_t)itself;
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), -EBADMSG);
}

/* Put an MX record that ends in these bytes in the place of its host. */
static void
put_host(const uint8_t *bytes, size_t length)
{
    message_record(&message, TYPE_MX, 300, "");
    message.length--;
    memcpy(message.bytes + message.length, bytes, length);
    message.length += length;
    message.bytes[message.length - length - 3] = (uint8_t)(length + 2);
}

/* Pointers lead backwards, and not for ever; a name fills its record. */
static void
test_answer_names(void **state)
{
    size_t at;

    (void)state;
    message_begin(&message, "example.test");
    at = message.length + RR_FIXED + 2 + 2; /* of the first record's host */
    put_host((uint8_t[]){0xc0, (uint8_t)(at + 2 + RR_FIXED + 2 + 2)}, 2);
    message_record(&message, TYPE_MX, 300, "mx.example.test");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), -EBADMSG);
    message_begin(&message, "example.test");
    at = message.length; /* of the record, which begins with its owner's name */
    message_record(&message, TYPE_MX, 300, "mx.example.test");
    message.bytes[at + 1] = (uint8_t)(at + 2 + RR_FIXED + 2);
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), -EBADMSG);
    message_begin(&message, "example.test");
    put_host((uint8_t[]){1, 'x', 0, 0}, 4);
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), -EBADMSG);
    message_begin(&message, "example.test");
    put_host((uint8_t[]){1, 'x', 0}, 3);
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
}

/* Each pointer leads to the one before it, the first to the question's name. */
static void
test_answer_chain(void **state)
{
    enum { LINKS = 40 };

    (void)state;
    for (size_t taken = 1; taken < LINKS; taken++) {
        size_t at;

        message_begin(&message, "example.test");
        message_record(&message, TYPE_CNAME, 300, "");
        message.length--;
        at = message.length;
        for (size_t i = 0; i < LINKS; i++)
            message_put16(&message, (unsigned)(0xc000 | (i == 0 ? 12 : at + 2 * (i - 1))));
        message.bytes[at - 1] = 2 * LINKS;
        at += 2 * (taken - 1);
        put_host((uint8_t[]){(uint8_t)(0xc0 | at >> 8), (uint8_t)at}, 2);
        assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer),
                         taken < 32 ? 0 : -EBADMSG);
    }
}

static void
test_answer_flood(void **state)
{
    (void)state;
    message_begin(&message, "example.test");
    for (size_t i = 0; i < 1000; i++)
        message_record(&message, TYPE_MX, 300, "mx.example.test");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_true(answer.too_many);
    assert_int_equal(answer.count, MX_HOSTS_MAX);
    message_begin(&message, "example.test");
    for (size_t i = 0; i <= MX_RECORDS_MAX; i++)
        message_record(&message, TYPE_CNAME, 300, "mx.example.test");
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), 0);
    assert_true(answer.too_many);
    /* A count that the bytes do not bear out. */
    message_begin(&message, "example.test");
    message.bytes[6] = 0xff;
    assert_int_equal(mx_answer_parse(message.bytes, message.length, &answer), -EBADMSG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),       cmocka_unit_test(test_answer_odd),
        cmocka_unit_test(test_answer_cut),   cmocka_unit_test(test_answer_pointers),
        cmocka_unit_test(test_answer_names), cmocka_unit_test(test_answer_chain),
        cmocka_unit_test(test_answer_flood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
