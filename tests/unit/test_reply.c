/*
 * Why deliveries failed: who said it, how far they had come, and the words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/reply.h"

#define HOST "mx.example.net[192.0.2.9]"

static struct reply reply;

static void
read_text(const char *dsn, const char *text)
{
    reply_read(dsn, strlen(dsn), text, strlen(text), &reply);
}

static const struct {
    const char *text;
    enum reply_origin origin;
    enum reply_phase phase;
    int code;
    const char *enhanced, *words;
} cases[] = {
    {"host " HOST " said: 550 5.1.1 <b@c.test>: no such user (in reply to RCPT TO command)",
     REPLY_SAID, REPLY_RECIPIENT, 550, "5.1.1", "<b@c.test>: no such user"},
    {"host " HOST " said: 554 no (in reply to MAIL FROM command)", REPLY_SAID, REPLY_MAIL, 554,
     "5.0.0", "no"},
    {"host " HOST " said: 421-4.7.0 [192.0.2.1] Too fast. 421-4.7.0 See  421 4.7.0 https://x.test "
     "(in reply to end of DATA command)",
     REPLY_SAID, REPLY_END, 421, "4.7.0", "[192.0.2.1] Too fast. See https://x.test"},
    {"host " HOST " said: 452 4.2.2 full (in reply to RCPT TO command) (in reply to DATA command)",
     REPLY_SAID, REPLY_DATA, 452, "4.2.2", "full (in reply to RCPT TO command)"},
    /* one line: whatever looks like a code in it is what the server wrote */
    {"host " HOST " said: 550 5.7.1 room 421 is free, room 550 5.7.1 is not, nor is 550-a",
     REPLY_SAID, REPLY_RECIPIENT, 550, "5.7.1",
     "room 421 is free, room 550 5.7.1 is not, nor is 550-a"},
    {"host " HOST " said: 550-5.7.1 error 550 here 550-5.7.1 and 550 5.7.1 there: 550-a 550 b",
     REPLY_SAID, REPLY_RECIPIENT, 550, "5.7.1", "error 550 here and there: 550-a 550 b"},
    {"host " HOST " said: 550-error 550 here 550 there", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0",
     "error 550 here there"},
    {"host " HOST " said: 550-first 550-second 550", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0",
     "first second"},
    {"host " HOST " said: 550-first line alone", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0",
     "first line alone"},
    /* cut off by the log: a stranger's end is not Postfix' */
    {"host " HOST " said: 452 4.2.2 full (in reply to EHLO command) and so on, and so", REPLY_SAID,
     REPLY_RECIPIENT, 452, "4.2.2", "full (in reply to EHLO command) and so on, and so"},
    {"host " HOST " said: 452 4.2.2 full (in reply to EHLO command) and so (in reply to RC",
     REPLY_SAID, REPLY_RECIPIENT, 452, "4.2.2",
     "full (in reply to EHLO command) and so (in reply to RC"},
    {"host " HOST " said: 452 4.2.2 full (in reply to EHLO command) and so (on)", REPLY_SAID,
     REPLY_RECIPIENT, 452, "4.2.2", "full (in reply to EHLO command) and so (on)"},
    {"lost connection with " HOST " while sending final RSET", REPLY_LOST, REPLY_END, 0, "4.0.0",
     NULL},
    {"host " HOST " said: 550", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0", ""},
    {"host " HOST " said: 5501 x", REPLY_SAID, REPLY_RECIPIENT, 0, "4.0.0", "5501 x"},
    {"host " HOST " said: 550 10.7.1 x", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0", "10.7.1 x"},
    {"host " HOST " said: 550 5.7.1x", REPLY_SAID, REPLY_RECIPIENT, 550, "5.0.0", "5.7.1x"},
    {"host " HOST " refused to talk to me: 554 5.7.1 blocked", REPLY_SAID, REPLY_GREETING, 554,
     "5.7.1", "blocked"},
    {"host " HOST " said: a\tb\001c  250 d", REPLY_SAID, REPLY_RECIPIENT, 0, "4.0.0",
     "a b c 250 d"},
    {"lost connection with " HOST " while sending message body", REPLY_LOST, REPLY_DATA, 0, "4.0.0",
     "lost connection with " HOST " while sending message body"},
    {"conversation with " HOST " timed out while sending RCPT TO", REPLY_LOST, REPLY_RECIPIENT, 0,
     "4.0.0", NULL},
    {"conversation with " HOST
     " timed out while sending end of data -- message may be sent more than once",
     REPLY_LOST, REPLY_END, 0, "4.0.0", NULL},
    {"lost connection with " HOST " while performing the EHLO handshake", REPLY_LOST,
     REPLY_GREETING, 0, "4.0.0", NULL},
    {"connect to " HOST ":25: Connection timed out", REPLY_CONNECT, REPLY_BEFORE, 0, "4.0.0", NULL},
    {"250 2.0.0 Ok: queued as 77", REPLY_SAID, REPLY_END, 250, "2.0.0", "Ok: queued as 77"},
    {"Host or domain name not found. Name service error for name=c.test type=MX: Host not found",
     REPLY_LOCAL, REPLY_BEFORE, 0, "4.0.0", NULL},
    {"554 we are no server", REPLY_LOCAL, REPLY_BEFORE, 0, "4.0.0", "554 we are no server"},
    {"", REPLY_LOCAL, REPLY_BEFORE, 0, "4.0.0", ""},
};

static void
test_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        read_text("4.0.0", cases[i].text);
        assert_int_equal(reply.origin, cases[i].origin);
        assert_int_equal(reply.phase, cases[i].phase);
        assert_int_equal(reply.code, cases[i].code);
        assert_string_equal(reply.enhanced, cases[i].enhanced);
        assert_string_equal(reply.text, cases[i].words != NULL ? cases[i].words : cases[i].text);
        assert_int_equal(reply_reached(&reply), cases[i].phase >= REPLY_RECIPIENT);
    }
}

static void
test_words(void **state)
{
    static const char words[] = "550-5.7.1 one 550 5.7.1 two";

    (void)state;
    reply_read_words(words, strlen(words), &reply);
    assert_int_equal(reply.code, 550);
    assert_string_equal(reply.enhanced, "5.7.1");
    assert_string_equal(reply.text, "one two");
    reply_read_words("", 0, &reply);
    assert_string_equal(reply.text, "");
}

static void
test_said_by(void **state)
{
    static const struct {
        const char *text, *host; /* NULL: nobody's words */
    } hosts[] = {
        {"host mx.b.test[192.0.2.9] said: 550 no (in reply to RCPT TO command)", "mx.b.test"},
        {"host 192.0.2.9[192.0.2.9] said: 550 no", "192.0.2.9"},
        {"host mx.b.test[192.0.2.9] said: ", "mx.b.test"},
        {"host [192.0.2.9] said: no", ""},
        {"host mx.b.test said: no", NULL},
        {"host mx.b.test[192.0.2.9] refused to talk to me: 554 host x[y] said: no", NULL},
        {"connect to mx.b.test[192.0.2.9]:25: host x[y] said: no", NULL},
        {"host", NULL},
        {"", NULL},
    };
    struct span host;

    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        bool known = reply_said_by(hosts[i].text, strlen(hosts[i].text), &host);

        print_message("%s\n", hosts[i].text);
        assert_int_equal(known, hosts[i].host != NULL);
        if (known) {
            assert_int_equal(host.length, strlen(hosts[i].host));
            assert_memory_equal(host.start, hosts[i].host, host.length);
        }
    }
}

/* No beginning of a text, and none that is too long, is read beyond its end. */
static void
test_sizes(void **state)
{
    struct span host;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t length = 0; length <= strlen(cases[i].text); length++) {
            char *copy = malloc(length + 1);

            memcpy(copy, cases[i].text, length);
            reply_read("5.123.123", 9, copy, length, &reply);
            reply_said_by(copy, length, &host);
            free(copy);
        }
    for (size_t length = REPLY_TEXT_MAX - 2; length < REPLY_TEXT_MAX + 20; length++) {
        char *copy = malloc(length);

        memset(copy, 'a', length);
        reply_read("4.0.0.0.0.0.0", 13, copy, length, &reply);
        assert_int_equal(strlen(reply.text), length < REPLY_TEXT_MAX ? length : REPLY_TEXT_MAX);
        assert_string_equal(reply.enhanced, "");
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_said_by),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
